"""Targets: what is explained, a class, a contrast of two or a likeness; and the score it becomes.

`str` of a target is its text in links and recipes, which the network's output reads again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from featvis.types import WrongRequest

__all__ = ["Contrast", "Likeness", "Score", "Target"]


@dataclass(frozen=True)
class Contrast:
    """Logit of one class minus that of another: why this and not that?"""

    of: int
    against: int

    def __post_init__(self) -> None:
        if self.of == self.against:
            raise WrongRequest("a contrast needs two different classes; choose another one")

    def __str__(self) -> str:
        return f"{self.of}-{self.against}"


@dataclass(frozen=True, eq=False)
class Likeness:
    """Cosine of the network's output to an embedding (D,), for networks without classes."""

    embedding: Tensor
    name: str = "another picture"

    def __str__(self) -> str:
        return self.name


class Score(NamedTuple):
    """What is explained: numbers (B,) with their graph, and in words."""

    values: Tensor
    words: str
    classes: Tensor  # (B,) class numbers; -1 where it is no class
    position: Tensor | None = None  # (B, 2) row and column of a neuron
    probability: Tensor | None = None  # (B,) that the answer is this; None where there is none


Target = int | Sequence[int] | Tensor | Contrast | Likeness | None
