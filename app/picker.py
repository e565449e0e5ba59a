"""The picker: networks found by words and by what is known of them, as a list to choose from."""

from __future__ import annotations

from html import escape

import zoo_adapters
from featvis import WrongRequest
from zoo_adapters import Facts
from zoo_adapters.find import SORTS
from zoo_adapters.hub import Found, search_hub

from . import views
from .texts import sentence

__all__ = ["FILTERS", "listing"]

SHOWN = 40  # networks in the list
# What can be filtered by: label -> choices as pairs of what is read and what is meant.
FILTERS = {
    "Where": [("listed", "listed"), ("on the hub", "hub")],
    "Kind": [("any kind", ""), ("convolutional", "convolutional"), ("transformer", "transformer"),
             ("hybrid", "hybrid")],
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
        if where == "hub":
            return _list([_of_hub(found) for found in search_hub(text or "")], "repositories")
        found = zoo_adapters.find(
            text or "", kind=kind or None, head=head or None, licence=licence or None,
            most_parameters=float(size) if size else None, sort=order or "popular",
        )  # fmt: skip
    except WrongRequest as error:
        return f'<p class="fv-note">{escape(sentence(error))}</p>'
    return _list([_listed(facts) for facts in found], "networks")


def _list(rows: list[str], what: str) -> str:
    if not rows:
        return f'<p class="fv-note">No {what} fit; take a word or a filter away.</p>'
    more = f", the first {SHOWN} of them" if len(rows) > SHOWN else ""
    return (
        f'<p class="fv-note">{len(rows):,} {what}{more}</p>'
        f'<div class="fv-found" role="group" aria-label="Networks found">{"".join(rows[:SHOWN])}'
        "</div>"
    )


def _listed(facts: Facts) -> str:
    about = facts.about
    told = [
        views.count(about) if about else "",
        f"{facts.gmacs:.1f} GMAC" if facts.gmacs else "",
        f"{facts.size[0]} px" if facts.size else "",
        {"": "", "none": "no CAM"}.get(facts.head or "", f"CAM: {facts.head}"),
        facts.licence,
        "on disk" if facts.on_disk else "",
    ]
    return _button(facts.name, facts.name, told)


def _of_hub(found: Found) -> str:
    told = [
        views.count(found.parameters) if found.parameters else "",
        found.licence,
        f"{found.downloads:,} downloads",
        "gated" if found.gated else "",
    ]
    return _button(found.name, found.name, told)


def _button(name: str, title: str, told: list[str]) -> str:
    words = " · ".join(escape(word) for word in told if word)
    return (
        f'<button data-pick="{escape(name)}" aria-pressed="false" title="Load {escape(title)}">'
        f"<b>{escape(title)}</b><span>{words}</span></button>"
    )
