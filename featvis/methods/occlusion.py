"""Occlusion: what the score loses when a window of the picture is hidden."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor

from featvis.gradients.aim import Aim
from featvis.gradients.samples import baseline as made
from featvis.gradients.samples import batches
from featvis.methods.saliency import Baseline, Batch
from featvis.model import Image, VisionModel, values
from featvis.network.neuron import Position
from featvis.spec import Range, method
from featvis.target import Target
from featvis.types import Heatmap, Place

__all__ = ["occlusion", "windows"]


def _passes(model: VisionModel, given: Mapping[str, Any]) -> float:
    rows, columns = windows(model.size, given["window"], given["across"])
    return 1 + len(rows) * len(columns)


@method(
    "Occlusion",
    family="Class evidence",
    paper="Zeiler and Fergus 2014, arXiv:1311.2901",
    cost=_passes,
)
def occlusion(
    model: VisionModel,
    image: Tensor | Image,
    target: Target = None,
    layer: str | None = None,
    channel: int | None = None,
    position: Position = None,
    *,
    window: Annotated[float, Range(0.02, 0.9), "Side of the window, of the shorter side"] = 0.2,
    across: Annotated[int, Range(2, 100), "Places of the window along the shorter side"] = 12,
    baseline: Baseline = "mean",
    batch: Batch = 16,
) -> Heatmap:
    """Hide one window of the picture after another, and see what the score loses.

        map(r, c) = logit_c(I) - logit_c(I with the window at r, c replaced by the baseline)

    It needs no gradient and takes the network as it is; one forward pass for each place. Warm
    colours: hiding this hurts the class; cold ones: hiding this helps it. What stands twice in the
    picture is missed, as one window hides only one of the two.
    """
    images = values(image).detach()
    aim, score = Aim(model, target, layer, channel, position).settled(images)
    empty = made(baseline, images, model.mean)
    h, w = images.shape[2:]
    rows, columns = windows((h, w), window, across)
    side = _side((h, w), window)
    corners = [(top, left) for top in rows for left in columns]
    lost = torch.zeros(len(images), len(corners)).to(images)
    with torch.no_grad():
        for picture, place in batches(len(images), len(corners), batch):
            hidden = images[picture]
            for row, (p, n) in enumerate(zip(picture.tolist(), place.tolist(), strict=True)):
                top, left = corners[n]
                box = (slice(None), slice(top, top + side), slice(left, left + side))
                hidden[row][box] = empty[p][box]
            lost[picture, place] = score.values[picture] - aim.of(picture)(hidden).values
    step = tuple((edges[-1] - edges[0]) / max(len(edges) - 1, 1) for edges in (rows, columns))
    at = Place((rows[0] + side / 2, columns[0] + side / 2), (step[0] or 1.0, step[1] or 1.0))
    maps = lost.unflatten(1, (len(rows), len(columns)))
    return Heatmap(maps, "", at, score.words, score.values, score.classes, signed=True)


def windows(size: tuple[int, int], window: float, across: int) -> tuple[list[int], list[int]]:
    """Top rows and left columns of the windows on an input of `size`, evenly spaced."""
    side = _side(size, window)
    step = max((min(size) - side) / (across - 1), 1.0)
    edges = []
    for length in size:
        count = max(1, round((length - side) / step)) + 1
        edges.append([round(i * (length - side) / (count - 1)) for i in range(count)])
    return edges[0], edges[1]


def _side(size: tuple[int, int], window: float) -> int:
    return max(1, round(window * min(size)))
