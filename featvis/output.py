"""Outputs: what a network gives for a picture, and what may be asked of it.

Each kind is one class in a file of its own, and the only place that knows the kind. It reads the
raw output, puts the prediction in words, turns a target into a score, and reads and lists targets
as text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featvis import selection
from featvis.selection import SCORES, Key, Names
from featvis.target import Likeness, Score, Target
from featvis.tensors import batch_shape
from featvis.types import WrongRequest

__all__ = [
    "Answer",
    "Key",
    "Output",
    "OutputOf",
    "Prediction",
    "likeness",
    "no_class",
    "no_picture",
]

# The name of a picture -> the output (D,) for it; None where it names no picture.
OutputOf = Callable[[str], Tensor | None]


def no_picture(name: str) -> None:
    """Take no name for a picture's: where there are none to open."""


class Answer(NamedTuple):
    """One of several answers of a network."""

    target: str  # as `parse` reads it
    label: str
    share: float | None  # its probability; None where the network gives none
    value: float  # its logit
    chosen: bool  # is it the one that is explained?


class Prediction(NamedTuple):
    """What a network says of one picture, for people."""

    words: str  # "zebra 97.1 %"
    answers: tuple[Answer, ...] = ()  # the strongest first
    note: str = ""  # why there are no answers, in a sentence


@dataclass(frozen=True)
class Output(ABC):
    """What a network gives; a new kind of output is a subclass."""

    prompt: ClassVar[str] = "Explain"  # above the list of choices
    contrasts: ClassVar[bool] = False  # can one answer be held against another?
    names: ClassVar[Names] = SCORES  # of its tensor in a dict or record
    form: ClassVar[str] = ""  # of a target's text, as a regular expression; "": no text has it

    network: str = field(default="this network", kw_only=True)  # its name, as refusals say it
    # which tensor of the raw output; None: see `featvis.selection`
    key: Key = field(default=None, kw_only=True)
    others: str = field(default="", kw_only=True)  # those that may be it too, in a sentence
    problem: str = field(default="", kw_only=True)  # why there are no values, in a sentence

    def read(self, raw: Any) -> Tensor:
        """The raw output of the module, a tensor, tuple, dict or record -> values (B, ...)."""
        return selection.read(self.network, raw, self.key)

    @property
    def meaning(self) -> str:
        """How the values are read from the network, in words; "" where they are its output."""
        return self.others

    def running(self) -> AbstractContextManager[object]:
        """The context in which the module runs."""
        return nullcontext()

    def of(self, module: nn.Module, inputs: Tensor) -> Tensor:
        """The values (B, ...) of normalized pictures: the only way that an output is read."""
        with self.running():
            raw = module(inputs)
            if self.problem:
                raise WrongRequest(self.problem)
            return self.arrange(selection.rows(self.read(raw), len(inputs)))

    def arrange(self, values: Tensor) -> Tensor:
        """The values as targets count them, from one row for each picture."""
        return values

    def check_rows(self, values: Tensor) -> None:
        """Refuse values that are not one row (B, K) per picture."""
        if values.ndim == 2:
            return
        example = f"the mean over the places of {self.key}"
        if callable(self.key):
            example = "the mean over its places"
        elif not self.key:  # the raw output is the tensor itself
            example = f"output=lambda raw: raw.mean({'(2, 3)' if values.ndim == 4 else '1'})"
        raise WrongRequest(
            f"{self.network} gives no class scores (B, K) but an output of shape "
            f"{batch_shape(values)}; explain a neuron (a layer and a channel), or wrap the network "
            f"with an output= that makes scores of it, such as {example}"
        )

    @abstractmethod
    def predict(self, values: Tensor, target: Target = None) -> Prediction:
        """The prediction of one picture's values, in which a target is marked."""

    @abstractmethod
    def score(self, values: Tensor, target: Target) -> Score:
        """The score (B,) of a target; None: of the prediction, or of the output itself."""

    @abstractmethod
    def parse(self, text: str, output_of: OutputOf = no_picture) -> Target:
        """The target of a text; `output_of` gives the output for a picture that it may name."""

    @abstractmethod
    def choices(self, pictures: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str]]:
        """Targets to choose from, in words and as text, the default one, "", first.

        `pictures`, in words and by name, are some that this one can be compared with.
        """

    def words(self, target: Target) -> str:
        """A target in words."""
        return "" if target is None else str(target)

    def quantity(self, target: Target) -> str:
        """The name of a target's score: "logit"; "" where the words of the target say it."""
        return ""

    def goal(self, values: Tensor, target: Target) -> int | Likeness | None:
        """What a picture is made for when a target is explained of values; None: for a layer."""
        return target if isinstance(target, Likeness) else None

    def against(self, target: Target, text: str) -> Target:
        """The target held against that of a text; "": it alone."""
        raise WrongRequest(f"{self.network} has no classes to hold against each other")

    def translate(self, target: Target, other: Output) -> Target:
        """The target that means the same for another network; None: each network's own default."""
        return None


def no_class(values: Tensor) -> Tensor:
    """Class numbers (B,) of a score that is of no class."""
    return torch.full((len(values),), -1, dtype=torch.long, device=values.device)


def likeness(network: str, values: Tensor, target: Likeness) -> Score:
    """The cosine (B,) of each output to an embedding."""
    wanted = target.embedding.detach().to(values).reshape(-1)
    if len(wanted) != values.shape[1]:
        raise WrongRequest(
            f"an embedding of {network} has {values.shape[1]} numbers, not {len(wanted)}"
        )
    cosine = F.cosine_similarity(values, wanted[None], dim=1)
    return Score(cosine, f"likeness to {target.name}", no_class(values))
