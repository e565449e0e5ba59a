"""Readout: the values of a map on a coarse grid over the original picture."""

from __future__ import annotations

import torch

from featvis import Image
from featvis.render import placed
from featvis.types import Attribution, Heatmap, Place

READOUT = 40  # cells per side


def on_original(result: Heatmap | Attribution, image: Image) -> list[list[float]]:
    """Values on a coarse grid over the original picture, for the pointer and for comparisons."""
    if isinstance(result, Heatmap):
        maps, place = result.values[:1], result.place
    else:
        maps, place = result.map[:1], Place((0.5, 0.5), (1.0, 1.0))
    height, width = image.original
    top, left, bottom, right = image.box
    h, w = image.values.shape[2:]
    cells = (torch.arange(READOUT) + 0.5) / READOUT
    y = (cells * height - top) / (bottom - top) * h
    x = (cells * width - left) / (right - left) * w
    at = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1)
    return [[float(f"{v:.3g}") for v in row] for row in placed(maps, place, at)[0].tolist()]
