"""DeepDream: a picture is changed towards whatever a layer already sees in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from featvis.ascent import objectives
from featvis.ascent.climb import PREVIEW, SLOW
from featvis.ascent.memory import check_memory
from featvis.ascent.objectives import Objective
from featvis.ascent.param import noise
from featvis.ascent.viewer import Sight, settled
from featvis.autograd import gradient_at
from featvis.classes import Classes
from featvis.hooks import pulsing
from featvis.model import Image, VisionModel, WrongRequest, values
from featvis.network.neuron import check_channel
from featvis.progress import tick
from featvis.spec import Range, Tuning, method
from featvis.types import Synthesis

__all__ = ["deepdream"]

LARGEST = 512  # side of a tile: bounds the memory, and what one step sees
SMALLEST = 4  # the smallest octave is at least the network's input size divided by this
Size = tuple[int, int]


@method(
    "DeepDream",
    family="DeepDream",
    paper="Mordvintsev, Olah and Tyka 2015, Inceptionism",
    cost=lambda _, given: 3 * given["steps"] * given["octaves"],
)
def deepdream(
    model: VisionModel,
    image: Tensor | Image,
    target: int | None = None,
    layer: str | None = None,
    channel: int | None = None,
    *,
    start: Annotated[Literal["picture", "noise"], "What is dreamt on"] = "picture",
    octaves: Annotated[int, Range(1, 10), "Sizes, from small to full"] = 4,
    ratio: Annotated[float, Range(1.1, 2), "Of one size to the one before"] = 1.4,
    steps: Annotated[int, Range(1, 500), "Steps at each size"] = 10,
    rate: Annotated[float, Range(0, 0.1), "Mean change of a pixel in one step"] = 0.006,
    size: Annotated[int, Range(0, 2048), "Longer side in pixels; 0: as the network takes it"] = 0,
    frames: Annotated[
        int, Range(0, 240), Tuning("Pictures shown on the way, evenly; 0: by the clock")
    ] = 0,
    seed: Annotated[int, Range(0, 2**31 - 1), Tuning("Of the moves, and of a noise start")] = 0,
) -> Iterator[Synthesis]:
    """What a layer sees in a picture is strengthened, at several sizes, until we see it too.

        picture <- picture + rate . g / mean |g|,   g = gradient of mean(activations^2)

    With a channel it is that channel alone, with a class its score. The picture is dreamt on small
    first, where the layer's fields cover much of it; the detail added there is enlarged and carried
    to the next size. Before every step the picture is rolled by random amounts. Large pictures, and
    all for networks of a fixed input size, are seen in tiles. What appears is what the network was
    trained on: animals from a network of animals, whatever the picture.
    """
    objective, words = _objective(model, target, layer, channel)
    pictures = values(image).detach()
    if start == "noise":
        pictures = (0.5 + 0.1 * noise(pictures.shape[1:], [seed], pictures)).expand_as(pictures)
    sizes = _octaves(model, _full(pictures, size), octaves, ratio)
    check_memory(Sight(model, objective), pictures, _tile(model, sizes[-1]), len(pictures))
    dream = Dream(model, objective, [words] * len(pictures), rate, seed)
    detail = torch.zeros_like(pictures)
    shown, total = time.monotonic(), len(sizes) * steps
    for octave in sizes:
        base = _resized(pictures, octave).clamp(0, 1)
        dream.picture = (base + _resized(detail, octave)).clamp(0, 1)
        for _ in range(steps):
            tick(len(dream.curve), total)
            dream.step()
            done = len(dream.curve)
            frame = done * frames // total > (done - 1) * frames // total
            if (frame or time.monotonic() - shown >= PREVIEW) and done < total:
                yield dream.result()
                shown = time.monotonic()
        detail = dream.picture - base
    tick(total, total)
    yield dream.result()


class Dream:
    """The picture of one size, and what happened so far."""

    def __init__(
        self, model: VisionModel, objective: Objective, words: list[str], rate: float, seed: int
    ) -> None:
        self.sight, self.words, self.rate = Sight(model, objective), words, rate
        self.generator = torch.Generator().manual_seed(seed)
        self.picture = torch.empty(0)
        self.curve: list[Tensor] = []
        self.alive = torch.ones(len(words), dtype=torch.bool)
        self.begun, self.seconds = False, 0.0  # of the last gradient

    def step(self) -> None:
        """One step: rolled, seen in tiles, rolled back."""
        h, w = self.picture.shape[2:]
        shift = [int(torch.randint(side, (), generator=self.generator)) for side in (h, w)]
        rolled = self.picture.roll(shift, (2, 3))
        value, gradient = self._gradient(rolled)
        gradient = gradient.roll([-s for s in shift], (2, 3))
        size = gradient.abs().mean((1, 2, 3), keepdim=True)
        self.alive = self.alive.to(value.device) & value.isfinite() & size.flatten().isfinite()
        moved = (self.picture + self.rate * gradient / size.clamp_min(1e-30)).clamp(0, 1)
        self.picture = torch.where(self.alive[:, None, None, None], moved, self.picture)
        self.curve.append(value)

    def _gradient(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The objective (B,), averaged over tiles, and its gradient (B, 3, H, W)."""
        h, w = pictures.shape[2:]
        th, tw = _tile(self.sight.model, (h, w))
        begin, plain = time.monotonic(), torch.eye(3).double()[None]
        corners = [(top, left) for top in _starts(h, th) for left in _starts(w, tw)]
        gradient, total = torch.zeros_like(pictures), pictures.new_zeros(len(pictures))
        for top, left in corners:
            tile = pictures[:, :, top : top + th, left : left + tw].detach().requires_grad_()
            slow = pulsing(self.sight.model.module) if self.seconds > SLOW else nullcontext()
            with slow, torch.enable_grad():
                seen = _resized(tile, (th, tw))  # an octave smaller than a fixed input is enlarged
                if not self.begun:
                    self.sight, self.begun = settled(self.sight, seen.detach(), "auto"), True
                value = self.sight(seen, plain)[0] / len(corners)
                part = gradient_at(value, tile)
            gradient[:, :, top : top + th, left : left + tw] += part
            total = total + value.detach()
        self.seconds = (time.monotonic() - begin) / len(corners)
        return total, gradient

    def result(self) -> Synthesis:
        """The pictures as they are now."""
        curve = torch.stack(self.curve, 1)
        notes = tuple(
            f"picture {row}: the activation was no longer a number; the last good one is shown"
            for row, alive in enumerate(self.alive.tolist())
            if not alive
        )
        notes = (*notes, *self.sight.notes)
        return Synthesis(
            self.picture, curve[:, -1], len(self.curve), tuple(self.words), curve, notes=notes
        )


def _objective(
    model: VisionModel, target: int | None, layer: str | None, channel: int | None
) -> tuple[Objective, str]:
    """What is strengthened, and in words."""
    if channel is None and layer is None and target is not None:
        if not isinstance(model.output, Classes):
            raise WrongRequest(f"{model.name} has no classes; choose a layer or a channel")
        number = model.output.check(target)
        return objectives.logit(number), model.output.label(number)
    name = model.layer(layer).name if layer else model.middle_layer
    if channel is None:
        return objectives.layer(name), name
    number = check_channel(name, channel, model.layer(name).channels)
    return objectives.excitation(name, number), f"{model.layer(name).units}, channel {number}"


def _tile(model: VisionModel, size: Size) -> Size:
    """What one step sees of a picture: the network's own size where it takes no other."""
    if model.input.fixed_size or model.tokens is not None:
        return model.size
    return min(size[0], LARGEST), min(size[1], LARGEST)


def _full(pictures: Tensor, size: int) -> Size:
    h, w = pictures.shape[2:]
    factor = size / max(h, w) if size else 1.0
    return max(1, round(h * factor)), max(1, round(w * factor))


def _octaves(model: VisionModel, full: Size, octaves: int, ratio: float) -> list[Size]:
    """Sizes from small to full; those too small for the network to see anything are left out."""
    sizes = [(round(full[0] / ratio**n), round(full[1] / ratio**n)) for n in range(octaves)]
    least = min(model.size) // SMALLEST
    return [size for size in sizes if min(size) >= least or size == full][::-1]


def _starts(length: int, tile: int) -> list[int]:
    """Where tiles begin so that they cover `length` evenly, overlapping where they must."""
    count = max(1, -(-length // tile))
    return [round(n * max(0, length - tile) / max(1, count - 1)) for n in range(count)]


def _resized(images: Tensor, size: Size) -> Tensor:
    if tuple(images.shape[2:]) == size:
        return images
    return interpolate(images, size, mode="bicubic", antialias=True, align_corners=False)
