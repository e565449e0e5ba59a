"""Sheets of patches and pictures, for the command line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
import torch

import featvis
from featvis import VisionModel, render

from .reading import Index
from .records import Hit

SIDE = 128  # of a tile, pixels


def patches(index: Index, model: VisionModel, layer: str, hits: Sequence[Hit]) -> PIL.Image.Image:
    """What each hit sees, one beside the other."""
    shown = index.pictures([hit.image for hit in hits])
    tiles = []
    for hit, picture in zip(hits, shown, strict=True):
        box = index.patch(model, layer, hit.position, hit.image).box
        tiles.append(
            picture.crop((round(box.left), round(box.top), round(box.right), round(box.bottom)))
        )
    return _sheet(tiles)


def pictures(index: Index, images: Sequence[str]) -> PIL.Image.Image:
    """Whole pictures, one beside the other."""
    return _sheet(index.pictures(list(images)))


def _sheet(tiles: Sequence[PIL.Image.Image]) -> PIL.Image.Image:
    made = []
    for tile in tiles:
        factor = SIDE / max(tile.size)
        small = tile.resize([max(1, round(side * factor)) for side in tile.size])
        canvas = PIL.Image.new("RGB", (SIDE, SIDE), "white")
        canvas.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
        made.append(torch.from_numpy(np.array(canvas)))
    if not made:
        raise featvis.WrongRequest("there is no picture to show: the index is of none")
    return render.to_pil(render.sheet(torch.stack(made), columns=len(made)))
