"""Samples: gradients of many variants of each picture, a bounded number of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from featvis.autograd import gradient_at
from featvis.gradients.aim import Aim
from featvis.gradients.precision import ENOUGH, alike, possible, reduced, said
from featvis.progress import tick

__all__ = ["BASELINES", "Summed", "baseline", "batches", "blurred", "summed_gradients"]

BASELINES = ("black", "mean", "blur")
BLUR = 0.05  # standard deviation of the blurred baseline, as a share of the longer side


def batches(pictures: int, samples: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Numbers of pictures and of samples (N,), N <= batch, all pairs; see `featvis.progress`."""
    for part in torch.arange(pictures * samples).split(batch):
        tick(int(part[0]), pictures * samples)
        yield part // samples, part % samples


class Summed(NamedTuple):
    """What `summed_gradients` gives."""

    values: Tensor  # (B, 3, H, W)
    notes: tuple[str, ...]  # on the precision, if it was reduced


def summed_gradients(
    aim: Aim,
    images: Tensor,
    variant: Callable[[Tensor, Tensor], Tensor],
    weights: Tensor,
    batch: int,
    precision: str,
) -> Summed:
    """For images (B, 3, H, W): the sum over samples s of weights[s] x gradient at variant(b, s).

    `aim` is settled; `variant` takes numbers of pictures and of samples (N,), gives (N, 3, H, W).
    With the precision "auto" the first samples of each picture decide; see
    `featvis.gradients.precision`.
    """
    device = images.device.type

    def gradient(picture: Tensor, sample: Tensor, *, half: bool) -> Tensor:
        leaf = variant(picture, sample).detach()
        leaf = leaf.contiguous(memory_format=torch.channels_last).requires_grad_()
        with torch.enable_grad(), reduced(device, on=half):
            score = aim.of(picture)(leaf).values
        found = gradient_at(score, leaf)
        return (found * _column(weights[sample].to(found))).sum(0)

    total, agreed = torch.zeros_like(images), []
    for number in range(len(images)):
        half = False
        for at, sample in enumerate(torch.arange(len(weights)).split(batch)):
            tick(number * len(weights) + int(sample[0]), len(images) * len(weights))
            picture = torch.full_like(sample, number)
            made = gradient(picture, sample, half=half)
            if at == 0 and len(weights) > 2 * batch and possible(precision, aim.model):
                agreed.append(alike(gradient(picture, sample, half=True), made))
                half = agreed[-1] >= ENOUGH
            total[number] += made
    return Summed(total, said(agreed))


def _column(numbers: Tensor) -> Tensor:
    return numbers[:, None, None, None]


def baseline(kind: str, images: Tensor, mean: Tensor) -> Tensor:
    """The picture without information: "black", the network's "mean" colour, or a "blur"."""
    if kind == "black":
        return torch.zeros_like(images)
    if kind == "mean":
        return mean.to(images).expand_as(images).clone()
    return blurred(images)


def blurred(images: Tensor, share: float = BLUR) -> Tensor:
    """Images (B, 3, H, W) under a Gaussian of that share of the longer side, mirrored outside."""
    sigma = share * max(images.shape[2:])
    radius = min(max(1, round(3 * sigma)), min(images.shape[2:]) - 1)
    at = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-at.square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, -1)
    rows = torch.nn.functional.pad(images, (0, 0, radius, radius), mode="reflect")
    rows = torch.nn.functional.conv2d(rows, kernel[..., None], groups=images.shape[1])
    both = torch.nn.functional.pad(rows, (radius, radius, 0, 0), mode="reflect")
    return torch.nn.functional.conv2d(both, kernel[:, :, None], groups=images.shape[1])
