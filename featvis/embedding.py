"""Embeddings: an output of numbers that mean nothing one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from featvis.classes import Classes
from featvis.output import (
    Output,
    OutputOf,
    Prediction,
    likeness,
    no_class,
    no_picture,
)
from featvis.selection import EMBEDDINGS
from featvis.target import Likeness, Score, Target
from featvis.types import WrongRequest

__all__ = ["Embedding"]


@dataclass(frozen=True)
class Embedding(Output):
    """An embedding (B, D): its norm is explained, or its likeness to that of another picture."""

    names = EMBEDDINGS

    size: int = 0  # D

    def predict(self, values: Tensor, target: Target = None) -> Prediction:
        """How many numbers it has."""
        return Prediction(
            "an embedding",
            note=f"This network has no classes: it gives an embedding of {values.numel()} numbers.",
        )

    def score(self, values: Tensor, target: Target) -> Score:
        """The norm (B,), or the cosine to another embedding."""
        self.check_rows(values)
        if isinstance(target, Likeness):
            return likeness(self.network, values, target)
        if target is not None:
            raise self._no_classes()
        return Score(values.norm(dim=1), self.words(None), no_class(values))

    def parse(self, text: str, output_of: OutputOf = no_picture) -> Target:
        """The likeness to the picture of that name."""
        is_class = re.fullmatch(Classes.form, text.strip(), re.ASCII)
        other = None if is_class else output_of(text)
        if other is None:
            raise self._no_classes()
        return Likeness(other, text)

    def choices(self, pictures: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str]]:
        """The norm, and the likeness to each picture."""
        alike = [(f"likeness to {words}", name) for words, name in pictures]
        return [(self.words(None), ""), *alike]

    def words(self, target: Target) -> str:
        """The norm, or whose likeness it is."""
        return "norm of the embedding" if target is None else f"likeness to {target}"

    def _no_classes(self) -> WrongRequest:
        return WrongRequest(
            f"{self.network} has no classes but an embedding (B, {self.size or 'D'}); "
            "explain its norm, its likeness to another picture, or a neuron"
        )
