"""Finding a network among all that are listed, by words and by what is known, without building."""

from __future__ import annotations

import difflib
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from featvis.model import WrongRequest
from zoo_adapters.facts import HEADS, KINDS, Facts
from zoo_adapters.registry import adapter, zoos

__all__ = ["SORTS", "find", "nearest"]

SORTS = ("popular", "name", "parameters", "gmacs", "random")
MANY = float("inf")


def find(
    text: str = "",
    *,
    zoo: str | None = None,
    family: str | None = None,
    most_parameters: float | None = None,
    head: str | None = None,
    kind: str | None = None,
    licence: str | None = None,
    sort: str = "popular",
    seed: int = 0,
) -> list[Facts]:
    """The listed networks that fit, in order; nothing is built and the network is not asked.

    Args:
        text: fragments that must all be in the name: "conv nano", "resnet 50 a1".
        zoo: "timm", ...; all zoos that are installed without it.
        family: as `families` names it.
        most_parameters: an upper bound; networks whose number is not known are left out.
        head: one of HEADS, or "any" for every one that gives class activation maps.
        kind: one of KINDS.
        licence: a beginning ("apache", "cc-by"), or "commercial" for those that do not exclude it.
        sort: popular families first, by name, by weights, by multiplications, or at random.
        seed: of the random order.
    """
    _check("head", head, (*HEADS, "any"))
    _check("kind", kind, KINDS)
    _check("sort", sort, SORTS)
    words = text.lower().split()
    if zoo is not None:
        adapter(zoo)  # refuses one that there is not, or whose library is not installed
    listed = [f for known in zoos() if zoo in (None, known.name) for f in _all(known.name)]
    tests: list[Callable[[Facts], bool]] = [lambda f: all(w in f.name.lower() for w in words)]
    if family is not None:
        tests.append(lambda f: f.family == family)
    if most_parameters is not None:
        tests.append(lambda f: (f.about or MANY) <= most_parameters)
    if head is not None:
        tests.append(lambda f: f.head == head or (head == "any" and f.head in HEADS[:3]))
    if kind is not None:
        tests.append(lambda f: f.kind == kind)
    if licence is not None:
        tests.append(lambda f: f.commercial if licence == "commercial" else
                     f.licence.startswith(licence))  # fmt: skip
    found = [facts for facts in listed if all(test(facts) for test in tests)]
    if sort == "random":
        random.Random(seed).shuffle(found)
    elif sort == "popular" and words:  # names that begin with the first word before the others
        found.sort(key=lambda f: not f.variant.lower().startswith(words[0]))
    elif sort in ORDERS:
        found.sort(key=ORDERS[sort])
    return found


def nearest(text: str) -> tuple[str, ...]:
    """For the first word of `text` that is in no listed name: up to three parts of names like it.

    The more frequent ones come first: "reznet" gives "resnet" before "rexnet". () if every word is
    in some name, or none is near.
    """
    listed = [facts.name.lower() for zoo in zoos() for facts in _all(zoo.name)]
    words = text.lower().split()
    unknown = next((w for w in words if not any(w in name for name in listed)), "")
    letters = "a-z0-9" if re.search("[0-9]", unknown) else "a-z"
    found = (re.findall(f"[{letters}]{{3,}}", name) for name in listed)
    parts = Counter(part for these in found for part in set(these))
    return tuple(sorted(difflib.get_close_matches(unknown, parts), key=lambda part: -parts[part]))


ORDERS: dict[str, Callable[[Facts], tuple[float, str]]] = {
    "name": lambda f: (0, f.name),
    "parameters": lambda f: (f.about or MANY, f.name),
    "gmacs": lambda f: (f.gmacs or MANY, f.name),
}


def _check(what: str, value: str | None, possible: Sequence[str]) -> None:
    if value is not None and value not in possible:
        raise WrongRequest(f"{what} is one of {', '.join(possible)}, not {value!r}")


def _all(zoo: str) -> tuple[Facts, ...]:
    """The facts of a zoo, () where it is not installed."""
    try:
        return _facts(zoo)
    except WrongRequest:
        return ()


@lru_cache(maxsize=16)
def _facts(zoo: str) -> tuple[Facts, ...]:
    """Of all names of a zoo, the popular families first."""
    module = adapter(zoo)
    names = list(module.names())
    if hasattr(module, "families"):
        names = [name for members in module.families().values() for name in members]
    if not hasattr(module, "describe"):
        return tuple(Facts(f"{zoo}:{name}", zoo, name) for name in names)
    return tuple(module.describe(name) for name in names)
