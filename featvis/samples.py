"""Samples: gradients of many variants of each picture, a bounded number of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from featvis.aim import Aim
from featvis.progress import tick

__all__ = ["BASELINES", "baseline", "batches", "blurred", "summed_gradients"]

BASELINES = ("black", "mean", "blur")
BLUR = 0.05  # standard deviation of the blurred baseline, as a share of the longer side


def batches(pictures: int, samples: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Numbers of pictures and of samples (N,), N <= batch, all pairs; see `featvis.progress`."""
    for part in torch.arange(pictures * samples).split(batch):
        tick(int(part[0]), pictures * samples)
        yield part // samples, part % samples


def summed_gradients(
    aim: Aim,
    images: Tensor,
    variant: Callable[[Tensor, Tensor], Tensor],
    weights: Tensor,
    batch: int,
) -> Tensor:
    """For images (B, 3, H, W): the sum over samples s of weights[s] x gradient at variant(b, s).

    `aim` is settled; `variant` takes numbers of pictures and of samples (N,), gives (N, 3, H, W).
    """
    total = torch.zeros_like(images)
    for picture, sample in batches(len(images), len(weights), batch):
        leaf = variant(picture, sample).detach().requires_grad_()
        with torch.enable_grad():
            score = aim.of(picture)(leaf).values
            gradient = torch.autograd.grad(score.sum(), leaf)[0]
        total.index_add_(0, picture, gradient * _column(weights[sample].to(gradient)))
    return total


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
