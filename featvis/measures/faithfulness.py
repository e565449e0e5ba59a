"""Faithfulness: does the network's answer follow what a map calls important?

Insertion starts from a blurred picture and puts its parts back, the most important first; deletion
takes them away. The area under the curve of the answer says how early it turns: high is good for
insertion, low for deletion. A random map's areas stand beside them, or they would say nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from featvis.autograd import in_own_mode
from featvis.gradients.aim import Aim
from featvis.gradients.samples import baseline, batches
from featvis.model import Image, WrongRequest, values
from featvis.render import on_input
from featvis.target import Score
from featvis.types import Attribution, Heatmap

__all__ = ["Curve", "deletion", "insertion", "ranks"]

STEPS, CELLS, BATCH = 16, 16, 16


class Curve(NamedTuple):
    """The answer while a share of the picture, from 0 to 1 in equal steps, is put in or out."""

    answers: Tensor  # (N, steps + 1): probability of the class, or share of the score's rise
    auc: Tensor  # (N,) its mean over the shares, by trapezoids


@in_own_mode
def insertion(
    aim: Aim,
    image: Tensor | Image,
    evidence: Heatmap | Attribution | Tensor,
    *,
    steps: int = STEPS,
    cells: int = CELLS,
    batch: int = BATCH,
) -> Curve:
    """The answer while a blurred picture gets its cells back, the most important ones first.

    Source: Petsiuk et al. 2018 (RISE), arXiv:1806.07421, where pixels are ranked. Cells are ranked
    here: a fine map would scatter its pixels over the picture, and what breaks is the picture.

    Args:
        aim: the model and what the map explains. For a class the answer is its probability, for a
            contrast that of the one of the two; else where the score is between the changed
            picture's (0) and the picture's (1).
        image: (B, 3, H, W) in [0, 1].
        evidence: a result, or maps (N, H, W); signed ones rank from the most for to the most
            against. N is B, or any number of maps of one picture.
        steps: how many times some cells are put in.
        cells: cells along the shorter side; as many as pixels, and pixels are ranked.
        batch: pictures computed at once.

    Raises:
        WrongRequest: the maps are not of these pictures.
    """
    return _curve(aim, values(image), evidence, "blur", steps, cells, batch, putting_in=True)


@in_own_mode
def deletion(
    aim: Aim,
    image: Tensor | Image,
    evidence: Heatmap | Attribution | Tensor,
    *,
    steps: int = STEPS,
    cells: int = CELLS,
    batch: int = BATCH,
) -> Curve:
    """The answer while the picture's cells become the network's mean colour; see `insertion`."""
    return _curve(aim, values(image), evidence, "mean", steps, cells, batch, putting_in=False)


def _curve(
    aim: Aim,
    images: Tensor,
    evidence: Heatmap | Attribution | Tensor,
    empty: str,
    steps: int,
    cells: int,
    batch: int,
    *,
    putting_in: bool,
) -> Curve:
    size = (images.shape[2], images.shape[3])
    maps = evidence if isinstance(evidence, Tensor) else on_input(evidence, size)
    if tuple(maps.shape[1:]) != size or len(images) not in (1, len(maps)):
        raise WrongRequest(
            f"maps {tuple(maps.shape)} are not of pictures {tuple(images.shape)}: give one of the "
            "same height and width for each picture, or several of one picture"
        )
    images = images.detach()
    without = baseline(empty, images, aim.model.mean)
    first, last = (without, images) if putting_in else (images, without)
    rank, shares = ranks(maps, cells).to(images), torch.linspace(0, 1, steps + 1)
    of = torch.arange(len(maps)) if len(images) > 1 else torch.zeros(len(maps), dtype=torch.long)
    answers = torch.zeros(len(maps), steps + 1).to(images)
    with torch.no_grad():
        settled, score = aim.settled(images)
        for number, step in batches(len(maps), steps + 1, batch):
            changed = rank[number] < shares[step].to(rank)[:, None, None]
            pictures = torch.where(changed[:, None], last[of[number]], first[of[number]])
            answers[number, step] = _answer(settled.of(of[number])(pictures))
    if score.probability is None:
        low, high = (answers[:, at, None] for at in ((0, -1) if putting_in else (-1, 0)))
        answers = (answers - low) / (high - low)
    return Curve(answers, (answers[:, 1:] + answers[:, :-1]).mean(1) / 2)


def ranks(maps: Tensor, cells: int) -> Tensor:
    """For maps (N, H, W): the share of the picture's cells above each pixel's, in [0, 1)."""
    count, h, w = maps.shape
    rows, columns = (min(length, round(cells * length / min(h, w))) for length in (h, w))
    down, right = (torch.arange(h) * rows) // h, (torch.arange(w) * columns) // w
    cell = (down[:, None] * columns + right).flatten().to(maps.device)
    total = maps.new_zeros(count, rows * columns)
    total.index_add_(1, cell, maps.detach().nan_to_num().flatten(1))
    mean = total / cell.bincount()
    order = mean.argsort(dim=1, descending=True, stable=True)
    above = order.argsort(1).to(maps) / (rows * columns)
    return above[:, cell].unflatten(1, (h, w))


def _answer(score: Score) -> Tensor:
    """The probability (N,) of what is explained, or its score where it has none."""
    return score.values if score.probability is None else score.probability
