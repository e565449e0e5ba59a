"""The picker: networks found by words and by what is known of them, as a list to choose from."""

from __future__ import annotations

import random
from html import escape

import zoo_adapters
from featvis import WrongRequest
from featvis.model import brief
from zoo_adapters import Facts
from zoo_adapters.facts import KINDS
from zoo_adapters.find import SORTS, nearest
from zoo_adapters.hub import Found, search_hub

from ..machine import errors, values
from ..words.texts import sentence, told

SHOWN = 40  # networks in the list
# What can be filtered by: label -> choices as pairs of what is read and what is meant.
FILTERS = {
    "Where": [("listed", "listed"), ("on the hub", "hub")],
    "Kind": [("any kind", ""), *((kind, kind) for kind in KINDS)],
    "CAM": [("any head", ""), ("with a map", "any"), ("exact", "exact"), ("no map", "none")],
    "Size": [("any size", ""), ("up to 5 M", "5e6"), ("up to 30 M", "3e7"), ("up to 100 M", "1e8")],
    "Licence": [("any", ""), ("commercial use", "commercial"), ("Apache", "apache")],
    "Order": [(sort, sort) for sort in SORTS],
}  # fmt: skip


def listing(
    text: str, where: str, kind: str, head: str, size: str, licence: str, order: str
) -> str:
    """The networks that fit, as buttons; what cannot be found says why."""
    try:
        text = " ".join(values.words(text))
        _check(where, kind, head, size, licence, order)
        if where == "hub":
            return _list([_button(found) for found in search_hub(text)], "repositories")
        found = zoo_adapters.find(
            text, kind=kind or None, head=head or None, licence=licence or None,
            most_parameters=float(size) if size else None, sort=order or "popular",
            seed=random.randrange(2**31),
        )  # fmt: skip
    except WrongRequest as error:
        return f'<p class="fv-note">{escape(sentence(errors.sentence(error)))}</p>'
    if not found and (near := nearest(text)):
        return f'<p class="fv-note">No name is like that; near are {escape(", ".join(near))}.</p>'
    return _list([_button(facts) for facts in found], "networks")


def _check(*chosen: str) -> None:
    """Refuse a filter that the page does not offer; none is chosen where a page sends nothing."""
    for (label, choices), value in zip(FILTERS.items(), chosen, strict=True):
        if (text := values.text(label, value)) and text not in (meant for _, meant in choices):
            raise WrongRequest(f"{label}: {brief(text)} is not one of the choices; choose another")


def _list(rows: list[str], what: str) -> str:
    if not rows:
        return f'<p class="fv-note">No {what} fit; take a word or a filter away.</p>'
    more = f", the first {SHOWN} of them" if len(rows) > SHOWN else ""
    return (
        f'<p class="fv-note">{len(rows):,} {what}{more}</p>'
        f'<div class="fv-found" role="group" aria-label="Networks found">{"".join(rows[:SHOWN])}'
        "</div>"
    )


def _button(one: Facts | Found) -> str:
    name = escape(one.name)
    return (
        f'<button data-pick="{name}" aria-pressed="false" title="Load {name}">'
        f"<b>{name}</b><span>{escape(told(one))}</span></button>"
    )
