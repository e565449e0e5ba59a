"""Transforms: small changes of view that a picture must survive while it is optimized.

Functions of the form config -> (generator -> map of the plane): a random (3, 3) matrix from where
a pixel of the view is to where it is looked up in the picture, in pixels about the centres. A chain
of them is one matrix, so `warp` samples a picture once and nothing is blurred at every link. What
works only by hitting exact pixels is lost in the next view; shapes stay (Olah et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import cos, radians, sin

import torch
from torch import Generator, Tensor
from torch.nn.functional import affine_grid, grid_sample

__all__ = ["Draw", "compose", "crop", "jitter", "robust", "rotate", "scale", "still", "warp"]

Draw = Callable[[Generator], Tensor]  # -> (3, 3), float64

GREY = 0.5


def still(_: Generator) -> Tensor:
    """No change."""
    return torch.eye(3, dtype=torch.double)


def jitter(pixels: int) -> Draw:
    """Moved by up to `pixels` whole pixels each way."""

    def draw(generator: Generator) -> Tensor:
        made = still(generator)
        made[:2, 2] = torch.randint(-pixels, pixels + 1, (2,), generator=generator).double()
        return made

    return draw


def scale(low: float, high: float) -> Draw:
    """Enlarged by a factor between `low` and `high`."""

    def draw(generator: Generator) -> Tensor:
        factor = _uniform(low, high, generator)
        return torch.diag(torch.tensor([1 / factor, 1 / factor, 1.0], dtype=torch.double))

    return draw


def rotate(degrees: float) -> Draw:
    """Turned by up to `degrees` either way."""

    def draw(generator: Generator) -> Tensor:
        angle = radians(_uniform(-degrees, degrees, generator))
        made = still(generator)
        made[:2, :2] = torch.tensor([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
        return made

    return draw


def crop(low: float, high: float, size: tuple[int, int]) -> Draw:
    """A part of a picture of `size`, `low` to `high` of its sides, from anywhere in it."""

    def draw(generator: Generator) -> Tensor:
        share = _uniform(low, high, generator)
        made = torch.diag(torch.tensor([share, share, 1.0], dtype=torch.double))
        free = torch.tensor([size[1], size[0]], dtype=torch.double) * (1 - share) / 2
        made[:2, 2] = free * (2 * torch.rand(2, generator=generator) - 1)
        return made

    return draw


def compose(*draws: Draw) -> Draw:
    """One after the other, as a picture would meet them."""
    return lambda generator: reduce(torch.mm, (draw(generator) for draw in draws))


def robust(side: int) -> Draw:
    """Moves, zooms and turns for a picture with sides of about `side` pixels.

    The order is Lucid's, the zoom wider (there 0.9 to 1.1): a class then gets whole things, seen
    from near and far, where it otherwise gets one texture at one scale.
    """
    far = max(1, side // 10)
    return compose(jitter(far), scale(0.65, 1.4), rotate(15), jitter(max(1, far // 2)))


def warp(
    images: Tensor, matrices: Tensor, size: tuple[int, int], *, mirrored: bool = True
) -> Tensor:
    """Views (V * B, 3, *size) of pictures (B, 3, H, W), all pictures under the first view first.

    `matrices` are V views (V, 3, 3), float64, on the CPU as they were drawn. A picture is first
    brought to `size`. Around it is its mirror image, or grey where `mirrored` is false: the border
    that padding would have made.
    """
    (rows, columns), same = size, tuple(images.shape[2:]) == size
    if same and all(torch.equal(matrix, torch.eye(3).to(matrix)) for matrix in matrices):
        return images.repeat(len(matrices), 1, 1, 1)
    # grid_sample counts both planes from -1 to 1; a picture of another size is stretched by that
    unit = torch.tensor([columns / 2, rows / 2, 1.0], dtype=torch.double)
    scaled = matrices * unit / unit[:, None]
    theta = scaled[:, :2].to(images).repeat_interleave(len(images), 0)
    grid = affine_grid(theta, [len(theta), 3, rows, columns], align_corners=False)
    edge = "reflection" if mirrored else "zeros"
    source = images.repeat(len(matrices), 1, 1, 1) - GREY
    return grid_sample(source, grid, padding_mode=edge, align_corners=False) + GREY


def _uniform(low: float, high: float, generator: Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.double))
