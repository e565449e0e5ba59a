"""Colour maps: numbers -> bytes (..., 3) or with alpha (..., 4), read from tables of a few anchors.

Both are made for eyes: `heat` rises evenly in lightness, `signed` is even on its two sides and
neutral in the middle, and neither relies on red against green.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

__all__ = ["evidence", "heat", "shown", "signed"]

HEAT = ("0b0724", "3b0f70", "8c2981", "de4968", "fe9f6d", "fcfdbf")
COLD = ("04122e", "08306b", "2171b5", "4fb3d9", "b2ecf0", "f7fffd")
SIGNED = ("053061", "2166ac", "6baed6", "f4f4f2", "f4a582", "d6402f", "67001f")
ALPHA = 1.4  # opaque from 1 / ALPHA of the limit on: strong evidence keeps its colour
FINE = 4096  # entries for each unit: nearest ones differ by less than a byte


def heat(values: Tensor) -> Tensor:
    """Values in [0, 1]: dark violet over red to pale yellow."""
    return _read(values.clamp(0, 1) * FINE, _heat())[..., :3]


def signed(values: Tensor) -> Tensor:
    """Values in [-1, 1]: blue below zero, near white at zero, red above."""
    return _read((values.clamp(-1, 1) + 1) * FINE, _signed())[..., :3]


def evidence(values: Tensor) -> Tensor:
    """Values in [-1, 1], with alpha: transparent at zero, warm above, cold below."""
    return _read((values.clamp(-1, 1) + 1) * FINE, _evidence())


def _read(at: Tensor, table: Tensor) -> Tensor:
    """The entries (..., 4) at places (...) of a table: one number each, so that it is quick."""
    return table.take(at.round().long()).view(torch.uint8).view(*at.shape, 4)


@cache
def _heat() -> Tensor:
    return _table(_along(torch.linspace(0, 1, FINE + 1), HEAT))


@cache
def _signed() -> Tensor:
    return _table(_along(torch.linspace(0, 1, 2 * FINE + 1), SIGNED))


@cache
def _evidence() -> Tensor:
    side = torch.linspace(0, 1, FINE + 1)
    cold, warm = (_along(side, anchors) for anchors in (COLD, HEAT))
    alpha = (ALPHA * torch.linspace(-1, 1, 2 * FINE + 1).abs()).clamp(max=1)
    return _table(torch.cat([cold[1:].flip(0), warm]), alpha)


def _table(colors: Tensor, alpha: Tensor | None = None) -> Tensor:
    """Colours (N, 3) in [0, 1], and how opaque each is, as numbers (N,) of four bytes."""
    alpha = torch.ones(len(colors)) if alpha is None else alpha
    whole = torch.cat([colors, alpha[:, None]], 1)
    return (whole * 255).round().to(torch.uint8).view(torch.int32).flatten()


def _along(values: Tensor, anchors: tuple[str, ...]) -> Tensor:
    """Values (N,) in [0, 1] as colours (N, 3), on straight lines between the anchors."""
    colors = torch.tensor([[int(c[i : i + 2], 16) / 255 for i in (0, 2, 4)] for c in anchors])
    at = values * (len(anchors) - 1)
    below = at.floor().long().clamp(max=len(anchors) - 2)
    share = (at - below).unsqueeze(-1)
    return colors[below] * (1 - share) + colors[below + 1] * share


def shown(values: Tensor, rgb: Sequence[int] = (0, 1, 2)) -> Tensor:
    """Three bands (B, 3, H, W) of any number: gray three times, of more those of `rgb`."""
    if values.shape[1] == 3 and tuple(rgb) == (0, 1, 2):
        return values
    if values.shape[1] < 3:
        return values[:, [0, 0, 0] if values.shape[1] == 1 else [0, 1, 1]]
    return values[:, list(rgb)]
