"""Trainings: the other weights of an architecture, and what they would cost to download."""

from __future__ import annotations

import re
from collections.abc import Sequence

import zoo_adapters
from featvis import WrongRequest
from zoo_adapters import Facts

from ..machine.cache import MODELS
from .state import MOST, State

# How a set of weights was made, by the words of its name; the first that fits. Most of the zoos'
# weights have learned classes with labels: they come last.
KINDS = {
    "CLIP": r"clip|openai|laion|datacomp|dfn|webli|cc12m|yfcc15m",
    "MAE": r"mae",
    "DINO": r"dino",
    "weakly supervised": r"ssl|swsl|swag|bamboo",
    "distilled": r"dist",
    "sharpness-aware": r"sam_",
    "ImageNet-21k": r"in2[12]k$",
}
# Towers of CLIP are the same transformers with a norm before the first block.
TOWER = re.compile(r"^(vit_.*?)_(?:clip|siglip)(?:_quickgelu)?(?=_)")


def kind(name: str) -> str:
    """How the weights of that name were trained, in a word."""
    made = name.partition(":")[2]
    found = (words for words, pattern in KINDS.items() if re.search(pattern, made))
    return next(found, "supervised")


def trainings(name: str) -> tuple[str, ...]:
    """All weights of the architecture of a network, that one first, then one of each kind in turn.

    () where the zoo lists no other ones.
    """
    zoo, _, variant = name.partition(":")
    if ":" in variant or ("." not in variant and zoo != "torchvision"):
        return ()
    try:
        listed = [n for n in zoo_adapters.names(zoo) if _architecture(n) == _architecture(name)]
    except WrongRequest:
        return ()
    by_kind: dict[str, list[str]] = {words: [] for words in (*KINDS, "supervised")}
    own = _architecture(name, exactly=True)
    for one in sorted(listed, key=lambda n: _architecture(n, exactly=True) != own):
        if one != name and "." in one:
            by_kind[kind(one)].append(one)
    turns = max(map(len, by_kind.values()))
    found = [kinds[i] for i in range(turns) for kinds in by_kind.values() if i < len(kinds)]
    return (name, *found) if found else ()


def lined_up(name: str) -> tuple[str, ...]:
    """Those of them that are shown beside the network itself."""
    return trainings(name)[1:MOST]


def check_here(name: str, state: State) -> None:
    """Refuse a network that must be downloaded first, unless the state says so."""
    if not state.display("download") and (words := cost(name)):
        raise WrongRequest(f"{words}; choose Download to fetch it")


def cost(name: str) -> str | None:
    """What must be downloaded before a network can be asked, in words; None: nothing."""
    if name in MODELS:
        return None
    facts = zoo_adapters.describe(name)
    if facts.on_disk or not facts.source.startswith("http"):
        return None
    return f"{name} is not on disk: {_size([facts])} to download"


def _size(missing: Sequence[Facts]) -> str:
    """What downloads amount to; weights are four bytes each where the file's size is not known."""
    known = [facts.download or 4 * (facts.about or 0) for facts in missing]
    if not all(known):
        return "an unknown number of MB"
    return f"about {sum(known) / 1e6:,.0f} MB"


def words(name: str) -> str:
    """What lining up would show, and what it would cost; "" where there is one training alone."""
    every, chosen = trainings(name), lined_up(name)
    if not every:
        return ""
    told = ", ".join(f"{one.partition('.')[2]} ({kind(one)})" for one in chosen)
    some = f"{len(chosen)} of the {len(every) - 1}" if len(every) > MOST else f"the {len(chosen)}"
    facts = [zoo_adapters.describe(one) for one in chosen if cost(one)]
    much = f"; {len(facts)} of them are not on disk, {_size(facts)}" if facts else ""
    return f"{some} other trainings of this architecture: {told}{much}"


def _architecture(name: str, *, exactly: bool = False) -> str:
    zoo, _, variant = name.partition(":")
    architecture = variant.partition(".")[0]
    plain = architecture if exactly else TOWER.sub(r"\1", architecture)
    return f"{zoo}:{plain}"
