"""Regularizers: what is done to a picture of pixels after each step, so that it stays a picture.

Functions of the form config -> (pixels, gradient, step) -> pixels, all (B, 3, H, W), pixels about
grey = 0. They are those of Yosinski et al. 2015, "Understanding Neural Networks Through Deep
Visualization". A prior instead says where pictures are to go, and is added to the gradient.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from featvis.gradients.samples import blurred

__all__ = ["Prior", "Regularizer", "blur", "calm", "clip_contribution", "clip_norm", "decay"]

Regularizer = Callable[[Tensor, Tensor, int], Tensor]
Prior = Callable[[Tensor], Tensor]  # pictures (B, 3, H, W) in [0, 1] -> a gradient as large

GREY = 0.5


def decay(share: float) -> Regularizer:
    """L2 decay: every step takes `share` of each pixel's distance from grey."""
    return lambda pixels, gradient, step: pixels * (1 - share)


def blur(sigma: float, every: int = 4) -> Regularizer:
    """A Gaussian of `sigma` pixels after every so many steps: high frequencies must earn it."""

    def apply(pixels: Tensor, gradient: Tensor, step: int) -> Tensor:
        if (step + 1) % every:
            return pixels
        return blurred(pixels, sigma / max(pixels.shape[2:]))

    return apply


def clip_norm(percent: float) -> Regularizer:
    """The `percent` of pixels nearest to grey become grey."""
    return lambda pixels, gradient, step: _cleared(pixels, pixels.norm(dim=1), percent)


def clip_contribution(percent: float) -> Regularizer:
    """The `percent` of pixels that contribute least become grey: |sum over colour of x . g|."""

    def apply(pixels: Tensor, gradient: Tensor, step: int) -> Tensor:
        return _cleared(pixels, (pixels * gradient).sum(1).abs(), percent)

    return apply


def calm(*, l2: float = 0.0, variation: float = 0.0) -> Prior:
    """Away from glaring colour and from grain: what less of both would gain at every pixel.

    The gradient of -(l2 . `objectives.l2` + variation . `objectives.total_variation`), times the
    number of a picture's values. It is written out: the ascent asks for it in every step, and
    autograd takes six times as long.
    """

    def towards(pictures: Tensor) -> Tensor:
        made = (pictures - GREY).mul_(-2 * l2)
        for dim in (2, 3):
            side = pictures.shape[dim]
            if variation and side > 1:
                rise = pictures.diff(dim=dim).sign_().mul_(variation * side / (side - 1))
                made.narrow(dim, 0, side - 1).add_(rise)
                made.narrow(dim, 1, side - 1).sub_(rise)
        return made

    return towards


def _cleared(pixels: Tensor, worth: Tensor, percent: float) -> Tensor:
    """Pixels with the lowest `worth` (B, H, W) of each picture set to 0."""
    flat = worth.flatten(1)
    count = int(flat.shape[1] * percent / 100)
    if not count:
        return pixels
    limit = flat.kthvalue(count, 1).values[:, None, None]
    return pixels * (worth > limit)[:, None]
