"""The ascent: a picture is changed step by step towards more of an objective.

Nothing is read back from the device between the previews, which come at most twice a second. A row
of the batch whose numbers stop being numbers stays at its last good picture; the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.linalg import vector_norm

from featvis.ascent.dead_relu import Leak
from featvis.ascent.objectives import Objective
from featvis.ascent.param import Canvas
from featvis.ascent.regularize import Prior, Regularizer
from featvis.ascent.transform import Draw, still
from featvis.ascent.viewer import Sight, seen_size, settled
from featvis.autograd import gradient_at
from featvis.hooks import pulsing
from featvis.model import VisionModel
from featvis.progress import tick
from featvis.types import Synthesis

__all__ = ["SLOW", "Plan", "Step", "adam", "ascend", "normalized"]

PREVIEW = 0.5  # seconds between previews, at least
TREND = 0.9  # of the steps before, in the mean of the objective's gradient
LEAST = 96  # pixels of a small picture's shorter side: below it strokes become blocks
SLOW = 0.2  # seconds of a step that may be stopped in the middle
CHECKED = 16  # steps after which it is seen whether any row goes on, and whether any is stuck

Step = Callable[[Tensor, int], Tensor]  # gradient (B, ...), step -> change


@dataclass(frozen=True)
class Plan:
    """How to climb: the views of a step, the steps' lengths, and what keeps the picture one."""

    step: Callable[[], Step]
    view: Draw = still  # in pixels of the full size
    views: int = 1  # per step: the gradient is their mean's
    coarse: tuple[
        tuple[float, float], ...
    ] = ()  # share of the steps until which, share of the size
    ease: float = 0.0  # share of the steps, the last ones, that grow shorter down to nothing
    apart: Objective | None = None  # added to the objective, not to the curve
    prior: Prior | None = None  # see `Climb`
    after: tuple[Regularizer, ...] = ()


def adam(rate: float, *, beta: float = 0.9, gamma: float = 0.999) -> Callable[[], Step]:
    """Adam (Kingma and Ba 2014): every number moves by about `rate`, whatever its gradient's size.

    Elementwise, so a batch climbs as each of its pictures would alone.
    """

    def begin() -> Step:
        means: list[Tensor] = []  # of the gradient, and of its square

        def step(gradient: Tensor, count: int) -> Tensor:
            if not means:
                means.extend((torch.zeros_like(gradient), torch.zeros_like(gradient)))
            mean = means[0].mul_(beta).add_(gradient, alpha=1 - beta)
            square = means[1].mul_(gamma).addcmul_(gradient, gradient, value=1 - gamma)
            first, second = 1 - beta ** (count + 1), 1 - gamma ** (count + 1)
            # in place: a step of large pictures is bound by what it writes
            size = square.sqrt().mul_(second**-0.5).add_(1e-8)
            return torch.div(mean, size, out=size).mul_(rate / first)

        return step

    return begin


def normalized(rate: float) -> Callable[[], Step]:
    """Plain ascent; a picture's whole step has the root mean square `rate`."""

    def step(gradient: Tensor, count: int) -> Tensor:
        return rate * gradient / _rms(gradient).clamp_min(1e-30)

    return lambda: step


def ascend(
    model: VisionModel,
    objective: Objective,
    canvas: Canvas,
    plan: Plan,
    *,
    steps: int,
    seed: int,
    subjects: Sequence[str],
    precision: str = "auto",
    frames: int = 0,
    before: int = 0,
    total: int = 0,
) -> Iterator[Synthesis]:
    """Pictures on the way and at the end; `subjects` are the words for each of the B pictures.

    On the way there are `frames`, evenly spaced, beside the previews. `before` and `total` are the
    steps of all the work that this is a part of.
    """
    generator = torch.Generator().manual_seed(seed)
    total = total or steps
    tick(before, total)
    climb = Climb(Sight(model, objective, plan.apart), canvas, plan, precision)
    shown = time.monotonic()
    for step in range(steps):
        if step:
            tick(before + step, total)
        climb.resize(step / steps)
        climb.step(generator, min(1.0, (1 - step / steps) / plan.ease) if plan.ease else 1.0)
        if step % CHECKED == CHECKED - 1 and not climb.goes_on():
            break
        frame = (step + 1) * frames // steps > step * frames // steps
        if (frame or time.monotonic() - shown >= PREVIEW) and step + 1 < steps:
            yield climb.result(subjects)
            shown = time.monotonic()
    tick(before + steps, total)
    climb.finish()
    yield climb.result(subjects, climb.notes(subjects))


class Climb:
    """The state between steps: numbers of the canvas, and which rows still go on.

    At the picture the objective's gradient is brought to a root mean square of 1, so the ascent
    does not depend on the objective's unit. The prior's is added per pixel, times the size of the
    part that stays over the steps: a simple channel asks for the same in every view, and would
    outdo a prior that is right for a class, most of whose gradient averages out.
    """

    def __init__(self, sight: Sight, canvas: Canvas, plan: Plan, precision: str) -> None:
        self.exact, self.canvas, self.plan = sight, canvas, plan
        self.x = self.good = canvas.start
        self.alive = torch.ones(len(self.x), dtype=torch.bool, device=self.x.device)
        self.felt = torch.zeros_like(self.alive)  # any gradient at all
        self.waking, self.woken = True, False  # are dead pictures looked for; was there one?
        self.advance = plan.step()
        begin = canvas.paint(self.x)
        self.size = self.full = (begin.shape[2], begin.shape[3])
        self.begin = sight.plainly(begin)
        self.sight = settled(sight, begin, precision)
        self.trend: Tensor | None = None
        self.since = 0  # the step at which the trend begins
        self.values: list[Tensor] = []  # (B,) of each step
        self.activation: Tensor | None = None  # of the finished picture
        self.taken: dict[tuple[int, int], bool] = {}  # smaller sizes that can be seen
        self.seconds = 0.0  # of the last gradient

    def resize(self, done: float) -> None:
        """The size of the pictures when a share of the steps is done: a small one to begin with."""
        h, w = self.full
        share = next((part for until, part in self.plan.coarse if done < until), 1.0)
        size = (round(share * h), round(share * w))
        if size != self.full and not self._takes(size):
            size = self.full
        if size != self.size:
            self.size, self.trend, self.since = size, None, len(self.values)

    def _takes(self, size: tuple[int, int]) -> bool:
        """Are pictures of a smaller size made here, and does the network take them?"""
        if size not in self.taken:
            self.taken[size] = False
            whole = seen_size(self.exact.model, size) == size
            if self.canvas.small and min(size) >= LEAST and whole:
                # some networks work in blocks of positions and refuse what does not divide
                with suppress(RuntimeError, AssertionError, ValueError):
                    self.exact.plainly(self.canvas.small(self.x, size))
                    self.taken[size] = True
        return self.taken[size]

    def _painted(self, numbers: Tensor) -> Tensor:
        if self.canvas.small and self.size != self.full:
            return self.canvas.small(numbers, self.size)
        return self.canvas.paint(numbers)

    def step(self, generator: Generator, pace: float = 1.0) -> None:
        """One step of all rows, `pace` times as long as the plan's."""
        count = len(self.values)
        views = torch.stack([self.plan.view(generator) for _ in range(self.plan.views)])
        views[:, :2, 2] *= self.size[0] / self.full[0]
        value, gradient = self._gradient(views)
        size = vector_norm(gradient.flatten(1), dim=1)  # one pass; no number if any of it is none
        self.alive = self.alive & value.isfinite() & size.isfinite()
        self.felt = self.felt | (size > 0)
        self.good = self._where_alive(self.x, self.good)
        moved = self.x.add(self.advance(gradient, count), alpha=pace)
        for regularizer in self.plan.after:
            moved = regularizer(moved, gradient, count)
        self.x = self._where_alive(moved, self.good)
        self.values.append(torch.where(self.alive, value, torch.nan))

    def _gradient(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """The objective (B,), and its gradient at the canvas' numbers."""
        leaf, begin = self.x.detach().requires_grad_(), time.monotonic()
        slow = pulsing(self.sight.model.module) if self.seconds > SLOW else nullcontext()
        with slow, torch.enable_grad():
            painted = self._painted(leaf)
            picture = painted.detach().requires_grad_()
            value, total = self.sight(picture, views)
            gradient = self._back(total.sum(), picture)
            uphill = self._with_prior(picture, gradient)
            # a large shape counts as many pixels at every size
            uphill = uphill * (self.full[0] * self.full[1] / (self.size[0] * self.size[1]))
            made = torch.autograd.grad(painted, leaf, uphill)[0]
        self.seconds = time.monotonic() - begin
        return value.detach(), made

    def _back(self, total: Tensor, picture: Tensor) -> Tensor:
        """The gradient at the pictures; of those of which rectifiers stop all, one that leaks."""
        gradient = gradient_at(total, picture, retain_graph=self.waking)
        if not self.waking or bool((lives := gradient.flatten(1).any(1)).all()):
            return gradient
        self.woken = True
        with Leak():  # type: ignore[no-untyped-call]
            leaked = torch.autograd.grad(total, picture)[0]
        return torch.where(_column(lives, gradient), gradient, leaked)

    def _with_prior(self, picture: Tensor, gradient: Tensor) -> Tensor:
        """The direction to go at the picture: see above."""
        size = _rms(gradient)
        unit = gradient / size.clamp_min(1e-30)
        if self.plan.prior is None:
            return unit
        part = unit * (1 - TREND)
        self.trend = part if self.trend is None else part.add_(self.trend, alpha=TREND)
        steady = _rms(self.trend) / (1 - TREND ** (len(self.values) - self.since + 1))
        # what excites nothing must not fade to grey
        return unit.addcmul_(self.plan.prior(picture.detach()), steady * (size > 0))

    def goes_on(self) -> bool:
        """Whether any row does; asks the device, so it is asked now and then only."""
        self.waking, self.woken = self.waking and self.woken, False
        return bool(self.alive.any())

    def _where_alive(self, new: Tensor, old: Tensor) -> Tensor:
        return torch.where(_column(self.alive, new), new, old)

    def finish(self) -> None:
        """Look at the pictures as they are; one that cannot be looked at is the last good one."""
        value = self.exact.plainly(self.canvas.paint(self.x))
        self.alive = self.alive & value.isfinite()
        self.x = self._where_alive(self.x, self.good)
        self.activation = torch.where(self.alive, value, self._last())

    def _last(self) -> Tensor:
        """The last value of each row that was a number; 0 where there was none."""
        curve = torch.stack(self.values, 1)
        steps = torch.arange(1, curve.shape[1] + 1, device=curve.device) * curve.isfinite()
        last = steps.amax(1)
        found = curve.nan_to_num(0.0).gather(1, (last - 1).clamp_min(0)[:, None])[:, 0]
        return torch.where(last > 0, found, 0.0)

    def result(self, subjects: Sequence[str], notes: tuple[str, ...] = ()) -> Synthesis:
        """The pictures as they are now."""
        with torch.no_grad():
            pictures = self.canvas.paint(self._where_alive(self.x, self.good))
        activation = self._last() if self.activation is None else self.activation
        curve = torch.stack(self.values, 1)
        made = pictures.clamp(0, 1).contiguous()
        return Synthesis(made, activation, len(self.values), tuple(subjects), curve, notes=notes)

    def notes(self, subjects: Sequence[str]) -> tuple[str, ...]:
        """What went wrong, in a sentence for each picture."""
        steps = torch.stack(self.values, 1).isfinite().sum(1).tolist()
        rows = zip(subjects, self.alive.tolist(), self.felt.tolist(), strict=True)
        ends = self._last() if self.activation is None else self.activation
        numbers = zip(self.begin.tolist(), ends.tolist(), steps, strict=True)
        said = []
        for (subject, alive, felt), (begin, end, step) in zip(rows, numbers, strict=True):
            if not alive:
                said.append(
                    f"{subject}: after {step} steps the activation was no longer a number; "
                    "the last good picture is shown"
                )
            elif not felt or end <= begin:
                said.append(
                    f"{subject} could not be excited: {begin:.3g} at the start, {end:.3g} after "
                    f"{step} steps; another seed or layer may do better"
                )
        return (*said, *self.sight.notes)


def _rms(pictures: Tensor) -> Tensor:
    """The root mean square of each, (B, 1, 1, 1)."""
    size = vector_norm(pictures.flatten(1), dim=1) * pictures[0].numel() ** -0.5
    return _column(size, pictures)


def _column(rows: Tensor, like: Tensor) -> Tensor:
    return rows.reshape(-1, *[1] * (like.ndim - 1))
