"""Transforms: small changes of view that a picture must survive while it is optimized.

Functions of the form config -> (generator -> map of the plane): a random (3, 3) matrix from where
a pixel of the view is to where it is looked up in the picture, in pixels about the centres. A chain
of them is one matrix, so `warp` samples a picture once and nothing is blurred at every link. What
works only by hitting exact pixels is lost in the next view; shapes stay (Olah et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import cos, gcd, radians, sin

import torch
from torch import Generator, Tensor
from torch.nn.functional import grid_sample

__all__ = [
    "Draw",
    "compose",
    "crop",
    "gentle",
    "jitter",
    "robust",
    "rotate",
    "scale",
    "still",
    "warp",
]

Draw = Callable[[Generator], Tensor]  # -> (3, 3), float64

PARTS = 4  # of a batch, at most


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
    """Moves, zooms and turns for a picture with sides of about `side` pixels, and one thing.

    The order is that of `gentle`, the zoom wider: a class then gets whole things, seen from near
    and far, where it otherwise gets one texture at one scale.
    """
    far = max(1, side // 10)
    return compose(jitter(far), scale(0.65, 1.4), rotate(15), jitter(max(1, far // 2)))


def gentle(side: int) -> Draw:
    """Lucid's moves, zooms and turns (Olah et al. 2017), for sides of about `side` pixels.

    A pattern keeps its size under them. A class is better served by `robust`.
    """
    far = max(1, side // 28)
    return compose(jitter(far), scale(0.9, 1.1), rotate(10), jitter(max(1, far // 2)))


def warp(images: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Views (V * B, 3, *size) of pictures (B, 3, H, W), all pictures under the first view first.

    `matrices` are V views (V, 3, 3), float64, on the CPU as they were drawn. A picture is first
    brought to `size`. Around it is its mirror image.
    """
    views, same = len(matrices), tuple(images.shape[2:]) == size
    if same and all(torch.equal(matrix, torch.eye(3).to(matrix)) for matrix in matrices):
        return images.repeat(views, 1, 1, 1)
    # pictures under one view share its grid, as channels of one; what cores can do side by side
    # are groups of them, or else the halves of a view
    parts = gcd(len(images), PARTS)
    strips = 2 if parts == 1 and size[0] % 2 == 0 else 1
    work = views, parts, strips
    grid = torch.stack([_grid(matrix, size, images) for matrix in matrices])
    grid = grid.unflatten(1, (strips, -1))[:, None].expand(*work, -1, -1, -1)
    source = images.reshape(1, parts, 1, -1, *images.shape[2:]).expand(*work, -1, -1, -1)
    flat = source.flatten(0, 2), grid.flatten(0, 2)
    made = grid_sample(*flat, padding_mode="reflection", align_corners=False)
    return made.unflatten(0, work).movedim(2, 3).reshape(-1, *images.shape[1:2], *size)


def _grid(matrix: Tensor, size: tuple[int, int], like: Tensor) -> Tensor:
    """Where each pixel of a view of `size` is looked up, (rows, columns, 2): x and y, -1 to 1.

    Both planes are counted so by `grid_sample`: a picture of another size is stretched by that.
    """
    rows, columns = (torch.arange(side).double() + 0.5 - side / 2 for side in size)
    along = (matrix[:2, 0, None] * columns).to(like)  # (2, columns)
    down = (matrix[:2, 1, None] * rows + matrix[:2, 2, None]).to(like)  # (2, rows)
    half = like.new_tensor([size[1] / 2, size[0] / 2])
    return ((along[:, None] + down[:, :, None]) / half[:, None, None]).permute(1, 2, 0)


def _uniform(low: float, high: float, generator: Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.double))
