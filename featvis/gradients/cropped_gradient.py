"""The slope of a score at the pixels, of a neuron computed on the part of the picture it sees.

A neuron's gradient is zero outside its receptive field. Where the field is known and small, the
forward and backward passes are made on that part alone: no position that the neuron depends on
reaches its edge, so the gradient is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from math import ceil, isfinite
from typing import NamedTuple

import torch
from torch import Tensor

from featvis.autograd import gradient_at
from featvis.gradients.aim import Aim
from featvis.target import Score

__all__ = ["slope", "zero_notes"]

SMALL = 0.7  # share of the picture up to which a part is worth a second forward pass
CLOSE = 1e-3  # of the score: what a part may differ from the whole, by rounding


ZERO = "the gradient is zero everywhere: a rectifier stops all of it, or the score is constant here"


def zero_notes(gradient: Tensor) -> tuple[str, ...]:
    """What must be known of a gradient (B, 3, H, W) that is zero for one of the pictures."""
    return () if bool(gradient.flatten(1).any(1).all()) else (ZERO,)


class Part(NamedTuple):
    """The same piece size of every picture, and the neuron on them."""

    images: Tensor  # (B, 3, h, w)
    aim: Aim
    corners: list[tuple[int, int]]  # top and left on each picture


def slope(
    aim: Aim, images: Tensor, rules: AbstractContextManager[object] | None = None
) -> tuple[Tensor, Score]:
    """The gradient (B, 3, H, W) of the score, and the score; `rules` hold on the way back."""
    side = _side(aim, images)
    if side is None:
        return _whole(aim, images, rules)
    settled, score = aim.settled(images)
    part = _part(settled, images, side)
    with enabled(part.images) as leaf:
        found = part.aim(leaf)
        if not torch.allclose(found.values, score.values, rtol=CLOSE, atol=0):
            return _whole(settled, images, rules)  # the field is not all that matters
        with rules or nullcontext():
            pieces = gradient_at(found.values, leaf)
    gradient = torch.zeros_like(images)
    for whole, piece, (top, left) in zip(gradient, pieces, part.corners, strict=True):
        whole[:, top : top + side[0], left : left + side[1]] = piece
    return gradient, score


def _whole(
    aim: Aim, images: Tensor, rules: AbstractContextManager[object] | None
) -> tuple[Tensor, Score]:
    with enabled(images) as leaf:
        score = aim(leaf)
        with rules or nullcontext():
            gradient = gradient_at(score.values, leaf)
    return gradient, score._replace(values=score.values.detach())


@contextmanager
def enabled(images: Tensor) -> Iterator[Tensor]:
    """Within: gradients are on, by the leaf that is given."""
    with torch.enable_grad():
        yield images.detach().requires_grad_()


def _side(aim: Aim, images: Tensor) -> tuple[int, int] | None:
    """Height and width of the part that a neuron needs at most, or None: the whole is computed."""
    model = aim.model
    if aim.layer is None or aim.channel is None or model.input.fixed_size:
        return None
    layer, size = model.layer(aim.layer), (images.shape[2], images.shape[3])
    if layer.gated or layer.layout.kind != "NCHW" or not all(map(isfinite, layer.field)):
        return None
    if any(not float(step).is_integer() or length % step for step, length in zip(
        layer.stride, size, strict=True
    )):  # fmt: skip
        return None
    steps = [int(step) for step in layer.stride]
    # a corner is a multiple of the stride, so that all positions between keep their places
    sides = [
        min((ceil(field / step) + 1) * step, length)
        for field, step, length in zip(layer.field, steps, size, strict=True)
    ]
    small = sides[0] * sides[1] <= SMALL * size[0] * size[1]
    return (sides[0], sides[1]) if small else None


def _part(aim: Aim, images: Tensor, side: tuple[int, int]) -> Part:
    """The part of each picture round its neuron; `aim` is settled."""
    layer = aim.model.layer(aim.layer or "")
    given = aim.position
    rows = given if isinstance(given, Tensor) else torch.tensor([given]).expand(len(images), 2)
    corners, inside, pieces = [], [], []
    for image, (row, column) in zip(images, rows.tolist(), strict=True):
        center = layer.place.center((row, column))
        corner = []
        for i in (0, 1):
            step, length = int(layer.stride[i]), image.shape[1 + i]
            first = int((center[i] - layer.field[i] / 2) // step) * step
            corner.append(min(max(first, 0), length - side[i]))
        top, left = corner
        corners.append((top, left))
        inside.append([row - top // int(layer.stride[0]), column - left // int(layer.stride[1])])
        pieces.append(image[:, top : top + side[0], left : left + side[1]])
    at = torch.tensor(inside, device=images.device)
    return Part(torch.stack(pieces), replace(aim, position=at), corners)
