"""Placing: where the positions of a map lie on the picture, and what lies between them.

A position stands for the middle of what it sees, which a network may put anywhere: with padding at
two sides only, the first row of MobileNetV2 lies 31.5 pixels inside the picture, and the last one
at its edge. A map that is stretched over the picture is then off by half a position.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from featvis.model import Image
from featvis.types import Attribution, Heatmap, Place

__all__ = ["PIXELS", "coverage", "inside", "on_input", "pixels_of", "placed", "sample"]

LARGEST = 768  # longer side of an overlay, in pixels
PIXELS = Place((0.5, 0.5), (1.0, 1.0))  # of an attribution: a position is a pixel


def sample(maps: Tensor, place: Place, at: Tensor) -> Tensor:
    """Maps (B, h, w) at input coordinates `at` (H, W, 2): bicubic, within the map's own range."""
    maps = maps.nan_to_num(0.0, 0.0, 0.0)
    h, w = maps.shape[1:]
    rows = (at[..., 0] - place.start[0]) / place.step[0]
    columns = (at[..., 1] - place.start[1]) / place.step[1]
    grid = torch.stack([columns * 2 / max(w - 1, 1) - 1, rows * 2 / max(h - 1, 1) - 1], -1)
    grid = grid.clamp(-1, 1).to(maps)
    made = grid_sample(
        maps[None], grid[None], mode="bicubic", padding_mode="border", align_corners=True
    )[0]
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return torch.minimum(torch.maximum(made, low), high)


def on_input(result: Heatmap | Attribution, size: tuple[int, int]) -> Tensor:
    """The evidence (B, H, W) of each pixel of an input of `size`, in its own units and signs."""
    if isinstance(result, Attribution):
        return result.map
    axes = [torch.arange(length) + 0.5 for length in size]
    at = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    return placed(result.values, result.place, at)


def pixels_of(image: Image) -> Tensor:
    """Input coordinates (H, W, 2) of the pixels of the original, reduced to at most LARGEST."""
    height, width = image.original
    factor = min(1.0, LARGEST / max(height, width))
    top, left, bottom, right = image.box
    h, w = image.values.shape[2:]
    rows = (torch.arange(max(1, round(height * factor))) + 0.5) / factor
    columns = (torch.arange(max(1, round(width * factor))) + 0.5) / factor
    y = (rows - top) / (bottom - top) * h
    x = (columns - left) / (right - left) * w
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1)


def placed(maps: Tensor, place: Place, at: Tensor) -> Tensor:
    """Maps (B, h, w) at input coordinates `at` (H, W, 2); where no position looks, zero."""
    size = (maps.shape[1], maps.shape[2])
    return sample(maps, place, at) * coverage(size, place, at).to(maps)


def coverage(size: tuple[int, int], place: Place, at: Tensor) -> Tensor:
    """How much the positions of a map of `size` (h, w) say of `at` (H, W, 2), from 0 to 1.

    All of it up to half a step beyond the outermost positions, where their own cells end; from
    there it falls to nothing at the next position that there would be.
    """
    shares = []
    for axis in (0, 1):
        steps = (at[..., axis] - place.start[axis]) / place.step[axis]
        beyond = torch.maximum(-steps, steps - (size[axis] - 1))
        shares.append((2 * (1 - beyond)).clamp(0, 1))
    return shares[0] * shares[1]


def inside(image: Image, at: Tensor) -> Tensor:
    """Does the network see the coordinates (H, W, 2) of its input?"""
    h, w = image.values.shape[2:]
    return ((at >= 0) & (at <= torch.tensor([h, w]))).all(-1)
