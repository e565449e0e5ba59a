"""Labels: the words for a network's outputs, one short name each."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence

__all__ = ["are_imagenets", "given", "short"]

IMAGENET = {  # outputs -> the words of a tag that say they are ImageNet's classes
    1000: {"in1k"},
    11221: {"in21k"},
    11821: {"in12k"},
    21841: {"in21k", "in22k"},
    21842: {"in22k"},
    21843: {"in21k"},
}
SYNSET = re.compile(r"n\d{8}")


def are_imagenets(classes: int, tag: str) -> bool:
    """Does the tag of weights say that their outputs are ImageNet's classes? A count does not."""
    return bool(IMAGENET.get(classes, set()) & set(tag.split("_")))


def short(lemmas: Sequence[str], definitions: Sequence[str]) -> tuple[str, ...]:
    """The first name of each class: "tabby, tabby cat" -> "tabby".

    Where two classes share it, each gets its next name or its definition: "crane (large
    long-necked wading bird)".
    """
    names = [[name.strip() for name in lemma.split(",")] for lemma in lemmas]
    times = Counter(name[0] for name in names)
    return tuple(
        name[0] if times[name[0]] == 1 else f"{name[0]} ({_other(name, definition)})"
        for name, definition in zip(names, definitions, strict=True)
    )


def _other(names: Sequence[str], definition: str) -> str:
    first = definition.partition(";")[0]
    return names[1] if len(names) > 1 else textwrap.shorten(first, 48, placeholder=" ...")


def given(
    names: Sequence[str] | Mapping[str, str], descriptions: Mapping[str, str], classes: int
) -> tuple[str, ...]:
    """Labels that a configuration gives: a list, or a mapping from the index; else ().

    Synsets ("n02123045") are no words for a reader: their description is.
    """
    if isinstance(names, Mapping):
        known = {int(index): name for index, name in names.items()}
        names = [known.get(index, f"class {index}") for index in range(classes)]
    if len(names) != classes:
        return ()
    return tuple(
        descriptions.get(name, name).partition(",")[0] if SYNSET.fullmatch(name) else name
        for name in names
    )
