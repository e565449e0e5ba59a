"""Classes: an output of one score per class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from featvis.final import (
    EXCLUSIVE,
    INDEPENDENT,
    NAMES,
    PROBABILITY,
    SCALES,
    VALUE,
    Call,
    leaving_out,
    probabilities,
)  # fmt: skip
from featvis.output import Answer, Output, OutputOf, Prediction, likeness, no_picture
from featvis.target import Contrast, Likeness, Score, Target
from featvis.types import WrongRequest, brief

__all__ = ["Classes"]


@dataclass(frozen=True)
class Classes(Output):
    """Scores (B, K) of classes, before the network's final activation.

    A network with a single score z per picture has two sides, -z and z: classes 0 and 1.
    """

    prompt = "Another class"
    contrasts = True
    form = "([0-9]{1,9})(?:-([0-9]{1,9}))?"

    labels: tuple[str, ...] = ()  # one per class, or none
    unlabeled: int = 0  # number of classes where there are no labels, if it is known
    # the activation behind the scores, see `featvis.final`: "sigmoid" of independent classes,
    # "softmax" of exclusive ones; "": they are trained with a softmax that the network leaves out
    final: str = field(default="", kw_only=True)
    left_out: tuple[Call, ...] = field(default=(), kw_only=True)  # its calls, left out of a pass
    counts: tuple[int, ...] = field(default=(), kw_only=True)  # how many such calls a pass has

    def __post_init__(self) -> None:
        """Refuse a final activation that is not known."""
        known = ("", *NAMES, PROBABILITY, VALUE)
        if self.final not in known:
            raise WrongRequest(
                f"{self.network} cannot end in {brief(self.final)}; "
                f"final is one of {', '.join(known[1:])}, or empty"
            )

    def running(self) -> AbstractContextManager[object]:
        """The context in which the module gives its scores before the final activation."""
        if not self.left_out:
            return super().running()
        return leaving_out(self.network, self.final, self.left_out, self.counts)

    def arrange(self, values: Tensor) -> Tensor:
        """Scores (B, K); both sides (B, 2) of single ones (B, 1)."""
        if values.ndim != 2 or values.shape[1] != 1:
            return values
        other = 1 - values if self.final == PROBABILITY else -values
        return torch.cat([other, values], 1)

    def probabilities(self, values: Tensor) -> Tensor | None:
        """The network's own probabilities (..., K) of scores; None where it gives none."""
        return probabilities(values, self.final)

    @property
    def meaning(self) -> str:
        """Which values of the network the scores are, in words; "" where they are its output."""
        scale = SCALES.get(self.final, "")
        if self.left_out:
            scale = f"the scores are the values before the final {NAMES[self.final]}"
        return "; ".join(part for part in (scale, self.others) if part)

    @property
    def count(self) -> int:
        """Number of classes; 0 where it is not known."""
        return len(self.labels) or self.unlabeled

    def label(self, number: int) -> str:
        """The label of a class, or its number."""
        return self.labels[number] if number < len(self.labels) else f"class {number}"

    def check(self, number: int) -> int:
        """The number, if there is such a class."""
        if number < 0 or 0 < self.count <= number:
            raise self._outside(number, self.count)
        return number

    def predict(self, values: Tensor, target: Target = None) -> Prediction:
        """The five strongest classes, the explained one among them."""
        if values.ndim != 1 or len(values) < 2:
            note = f"This network gives no classes: its output for a picture is {_size(values)}."
            return Prediction("no classes", note=note)
        shares = self.probabilities(values.float())
        top = values.topk(min(5, len(values))).indices.tolist()
        goal = self.goal(values, target)
        explained = goal if isinstance(goal, int) else top[0]
        shown = top if explained in top else [*top[:4], explained]
        answers = (
            Answer(
                target=str(number),
                label=self.label(number),
                share=None if shares is None else float(shares[number]),
                value=float(values[number]),
                chosen=number == explained,
            )
            for number in shown
        )
        return Prediction(self._verdict(values, shares, top), tuple(answers))

    def _verdict(self, values: Tensor, shares: Tensor | None, top: Sequence[int]) -> str:
        """The strongest class in words; of independent ones all that are more likely than not."""
        if shares is None:
            return f"{self.label(top[0])} {float(values[top[0]]):.3g}"
        likely = [number for number in top if float(shares[number]) > 0.5]
        count = len(likely) if self.final in INDEPENDENT and likely else 1
        return ", ".join(f"{self.label(n)} {100 * float(shares[n]):.1f} %" for n in top[:count])

    def score(self, values: Tensor, target: Target) -> Score:
        """The logit of a class, one per picture or one for all; None: of the predicted one.

        One picture may be asked for several classes.
        """
        self.check_rows(values)
        if isinstance(target, Likeness):
            return likeness(self.network, values, target)
        if isinstance(target, Contrast):
            of, against = (self._numbers(values, n) for n in (target.of, target.against))
            difference = _pick(values, of) - _pick(values, against)
            odds = difference.sigmoid() if self.final in EXCLUSIVE else None
            return Score(difference, self.words(target), of, probability=odds)
        classes = self._numbers(values, target)
        shares = self.probabilities(values)
        return Score(
            values=_pick(values, classes),
            words=", ".join(dict.fromkeys(self.label(number) for number in classes.tolist())),
            classes=classes,
            probability=None if shares is None else _pick(shares, classes),
        )

    def parse(self, text: str, output_of: OutputOf = no_picture) -> Target:
        """A class by its number, its label or a part of it; "3-5": class 3 rather than 5."""
        match = re.fullmatch(self.form, text.strip(), re.ASCII)
        if match and match[2]:
            return Contrast(self.check(int(match[1])), self.check(int(match[2])))
        return self._class(text.strip())

    def choices(self, pictures: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str]]:
        """The predicted class, and all classes by their numbers."""
        if self.labels:
            classes = [(f"{label} ({i})", str(i)) for i, label in enumerate(self.labels)]
        else:
            classes = [(f"class {i} ({i})", str(i)) for i in range(self.count)]
        return [("the predicted class", ""), *classes]

    def words(self, target: Target) -> str:
        """The label of a class; "zebra rather than cow" of two."""
        if isinstance(target, Contrast):
            return f"{self.label(target.of)} rather than {self.label(target.against)}"
        return self.label(target) if isinstance(target, int) else super().words(target)

    def quantity(self, target: Target) -> str:
        """The logit, or a difference of two."""
        if self.final not in (*EXCLUSIVE, *INDEPENDENT):
            return "difference of scores" if isinstance(target, Contrast) else "score"
        return "logit difference" if isinstance(target, Contrast) else "logit"

    def goal(self, values: Tensor, target: Target) -> int | Likeness | None:
        """The class that is explained: the chosen or the predicted one."""
        if values.ndim != 1:
            return None
        if target is None:
            return int(values.argmax())
        number = target.of if isinstance(target, Contrast) else target
        return number if isinstance(number, int) else super().goal(values, target)

    def against(self, target: Target, text: str) -> Target:
        """The class rather than another one; "": it alone."""
        of = target.of if isinstance(target, Contrast) else target
        if not isinstance(of, int):
            return super().against(target, text)
        return Contrast(of, self._class(text.strip())) if text.strip() else of

    def translate(self, target: Target, other: Output) -> Target:
        """The classes with the same labels; a contrast of two that have them."""
        if target is None or not isinstance(other, Classes):
            return None
        if other == self:
            return target
        if isinstance(target, Contrast):
            return Contrast(self._same(target.of, other), self._same(target.against, other))
        return self._same(target, other) if isinstance(target, int) else None

    def _same(self, number: int, other: Classes) -> int:
        """The class of `other` with the label that class `number` has here."""
        if number >= len(self.labels):
            raise WrongRequest(f"class {number} of {self.network} has no label to find it by")
        label = self.labels[number]
        if number < len(other.labels) and other.labels[number] == label:
            return number  # the same list of labels may have one twice
        for i, name in enumerate(other.labels):
            if _synonyms(name) & _synonyms(label):
                return i
        raise WrongRequest(f"{other.network} has no class {label!r}")

    def _class(self, text: str) -> int:
        """The class of that number or label; a part of a label will do if only one has it."""
        if re.fullmatch("[0-9]{1,9}", text, re.ASCII):
            return self.check(int(text))
        if re.fullmatch("[0-9]+", text, re.ASCII) and self.count:
            raise self._outside(brief(text), self.count)
        wanted = text.lower()
        exact = [i for i, label in enumerate(self.labels) if label.lower() == wanted]
        near = exact[:1] or [i for i, label in enumerate(self.labels) if wanted in label.lower()]
        if len(near) == 1:
            return near[0]
        if not near:
            raise WrongRequest(
                f"{self.network} has no class {brief(text)} among its {len(self.labels)} labels; "
                "give a part of one of them, or a class number"
            )
        some = ", ".join(f"{self.labels[i]} ({i})" for i in near[:6])
        raise WrongRequest(
            f"{brief(text)} is part of {len(near)} labels, as of {some}; give a number"
        )

    def _numbers(self, values: Tensor, target: int | Sequence[int] | Tensor | None) -> Tensor:
        """Class numbers (N,) for scores (B, K), checked."""
        pictures, count = values.shape
        if target is None:
            return values.detach().argmax(1)
        try:
            chosen = torch.as_tensor(target, dtype=torch.long, device=values.device).reshape(-1)
        except (ValueError, RuntimeError) as error:  # numbers of a tensor end at 64 bits
            raise self._outside(target, count) from error
        if len(chosen) == 1:
            chosen = chosen.expand(pictures)
        if pictures != 1 and len(chosen) != pictures:
            raise WrongRequest(
                f"{len(chosen)} classes for {pictures} pictures; give one class, or one per picture"
            )
        if chosen.numel() == 0 or int(chosen.min()) < 0 or int(chosen.max()) >= count:
            raise self._outside(target, count)
        return chosen

    def _outside(self, target: object, count: int) -> WrongRequest:
        return WrongRequest(f"class {target} of {self.network}: classes go from 0 to {count - 1}")


def _size(values: Tensor) -> str:
    return " x ".join(map(str, values.shape)) or "one number"


def _pick(values: Tensor, classes: Tensor) -> Tensor:
    """The number of classes[n] for each picture, or for the only one."""
    return values.expand(len(classes), -1).gather(1, classes[:, None])[:, 0]


def _synonyms(label: str) -> set[str]:
    """The synonyms of a label: "tabby, tabby cat" has two."""
    return {part.strip().lower() for part in label.replace("_", " ").split(",") if part.strip()}
