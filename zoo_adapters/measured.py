"""What was measured of every architecture, kept in networks.csv: nothing is built to know it.

`python -m benchmarks zoo --all --page` makes the file. Of each architecture, with the size and the
classes of its default weights: parameters, multiplications, head, and how positions are mixed.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from featvis.model import VisionModel
from zoo_adapters.facts import Facts

__all__ = ["FILE", "Entry", "completed", "convolutions", "kind_of", "table"]

FILE = Path(__file__).parent / "networks.csv"
HYBRID = 4  # convolutions from which on a network that attends is called a hybrid


class Entry(NamedTuple):
    """A row of the table."""

    parameters: int
    gmacs: float  # 10^9 multiplications for a picture
    size: tuple[int, int]
    classes: int | None
    kind: str  # one of KINDS; "" where it was not measured
    head: str  # one of HEADS; "" where it was not measured


@lru_cache(maxsize=1)
def table() -> dict[str, Entry]:
    """Architecture -> its row: "timm:resnet50", "torchvision:alexnet", "transformers:resnet"."""
    if not FILE.is_file():
        return {}
    with FILE.open(encoding="utf8", newline="") as file:
        return {row["name"]: _entry(row) for row in csv.DictReader(file)}


def _entry(row: dict[str, str]) -> Entry:
    return Entry(
        parameters=int(row["parameters"]),
        gmacs=float(row["gmacs"]),
        size=(int(row["height"]), int(row["width"])),
        classes=int(row["classes"]) if row["classes"] else None,
        kind=row["mixing"] and kind_of(row["mixing"], int(row["convolutions"])),
        head=row["head"],
    )


def convolutions(model: VisionModel) -> int:
    """How many of its layers are convolutions."""
    return sum(layer.kernel is not None for layer in model.layers.values())


def kind_of(mixing: str, convolutions: int) -> str:
    """One of KINDS."""
    if mixing == "attention":
        return "hybrid" if convolutions >= HYBRID else "transformer"
    return "mixer" if mixing == "weights" else "convolutional"


def completed(facts: Facts, architecture: str) -> Facts:
    """The facts of weights, with what was measured of their architecture.

    The number of weights is taken over only where size and classes are those measured; the cost
    goes with the area of the picture, and the head with whether there are classes at all.
    """
    known = table().get(architecture)
    if known is None:
        return facts
    same = facts.size == known.size and facts.classes == known.classes
    head = known.head if bool(facts.classes) == bool(known.classes) else ""
    area = 1.0
    if facts.size:
        area = facts.size[0] * facts.size[1] / (known.size[0] * known.size[1])
    return replace(
        facts,
        parameters=facts.parameters or (known.parameters if same else None),
        about=facts.parameters or known.parameters,
        gmacs=float(f"{known.gmacs * area:.4g}"),
        kind=known.kind,
        head="none" if facts.classes == 0 else head,
    )
