"""Colour maps as functions: numbers -> (..., 3) in [0, 1], by a few anchors and straight lines.

Both are made for eyes: `heat` rises evenly in lightness, `signed` is even on its two sides and
neutral in the middle, and neither relies on red against green.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["evidence", "heat", "signed"]

HEAT = ("0b0724", "3b0f70", "8c2981", "de4968", "fe9f6d", "fcfdbf")
COLD = ("04122e", "08306b", "2171b5", "4fb3d9", "b2ecf0", "f7fffd")
SIGNED = ("053061", "2166ac", "6baed6", "f4f4f2", "f4a582", "d6402f", "67001f")


def heat(values: Tensor) -> Tensor:
    """Values in [0, 1]: dark violet over red to pale yellow."""
    return _along(values, HEAT)


def signed(values: Tensor) -> Tensor:
    """Values in [-1, 1]: blue below zero, near white at zero, red above."""
    return _along((values + 1) / 2, SIGNED)


def evidence(values: Tensor) -> Tensor:
    """Values in [-1, 1] for a layer that is transparent at zero: warm above, cold below."""
    return torch.where((values < 0).unsqueeze(-1), _along(-values, COLD), _along(values, HEAT))


def _along(values: Tensor, anchors: tuple[str, ...]) -> Tensor:
    colors = torch.tensor([[int(c[i : i + 2], 16) / 255 for i in (0, 2, 4)] for c in anchors])
    colors = colors.to(values)
    at = values.clamp(0, 1) * (len(anchors) - 1)
    below = at.floor().long().clamp(max=len(anchors) - 2)
    share = (at - below).unsqueeze(-1)
    return colors[below] * (1 - share) + colors[below + 1] * share
