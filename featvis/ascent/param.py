"""Parametrizations: how a picture is stored while it is optimized.

Functions of the form (size, starts, ...) -> `Canvas`. A canvas holds the numbers that the ascent
changes, (B, ...), and `paint`, which turns such numbers into pictures (B, 3, H, W) in [0, 1].
All zeros are grey; the ascent is the same in every coordinate, but small steps in these lead to
different pictures: of pixels to grain, of frequencies to shapes of all sizes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import pi

import torch
from torch import Tensor

__all__ = ["Canvas", "fourier", "maco", "noise", "pixels", "spectrum", "to_rgb"]

# Brightness, red against blue, green against both: Ohta et al. 1980 found these to be, nearly, the
# principal components of natural colour. The spreads are those of photographs, brightness = 1.
AXES = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 2.0, -1.0))
SPREADS = (1.0, 0.27, 0.13)
FALL = 1.2  # natural amplitudes fall as f^-1 to f^-1.4 (Field 1987; Tolhurst et al. 1992)
CONTRAST = 1.0  # of MACO before the sigmoid: the standard deviation of brightness


Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Canvas:
    """Numbers to be optimized, and how they are painted."""

    start: Tensor  # (B, ...)
    paint: Callable[[Tensor], Tensor]  # (B, ...) -> pictures (B, 3, H, W) in [0, 1], differentiable
    small: Callable[[Tensor, Size], Tensor] | None = None  # the same pictures at a smaller size

    def repeated(self, times: int) -> Canvas:
        """The same starts once more for each of `times` subjects: (times * B, ...)."""
        return replace(self, start=self.start.repeat(times, *[1] * (self.start.ndim - 1)))


def noise(shape: Sequence[int], starts: Sequence[int], like: Tensor) -> Tensor:
    """Normal noise (len(starts), *shape), each row from its own seed; the global one is left be."""
    rows = [torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) for seed in starts]
    return torch.stack(rows).to(like)


def pixels(
    size: tuple[int, int],
    starts: Sequence[int],
    like: Tensor,
    *,
    spread: float = 0.1,
    bands: int = 3,
) -> Canvas:
    """Every pixel by itself, squashed into [0, 1]: picture = sigmoid(4 x).

    `spread` is the start's standard deviation; near grey a change of x is one of the picture.
    """
    return Canvas(spread * noise((bands, *size), starts, like), _sigmoid4)


def _sigmoid4(x: Tensor) -> Tensor:
    return (4 * x).sigmoid()


def fourier(
    size: tuple[int, int],
    starts: Sequence[int],
    like: Tensor,
    *,
    decay: float = 1.5,
    spread: float = 0.01,
    bands: int = 3,
) -> Canvas:
    """Frequencies of decorrelated colours (Olah et al. 2017, "Feature Visualization").

        picture = sigmoid(M . irfft2(z / max(f, 1/L)^decay) . sqrt(H W) / 4)

    f in cycles per pixel, L the longer side, M the colour matrix of `to_rgb`. Divided by f, a step
    of the same length changes all scales by the same energy, as natural pictures have it; a little
    more than that lets large shapes come first. The numbers z are (B, 3, H, W // 2 + 1, 2), real
    and imaginary.
    """
    h, w = size
    weight = frequencies(size).clamp_min(1 / max(size)).pow(-decay) * ((h * w) ** 0.5 / 4)
    # for both parts: a product with one number for two takes three times as long
    weight = weight.to(like)[..., None].expand(-1, -1, 2).contiguous()

    def paint(z: Tensor) -> Tensor:
        waves = torch.fft.irfft2(torch.view_as_complex(z * weight), s=size)
        return to_rgb(waves).sigmoid()

    def small(z: Tensor, other: Size) -> Tensor:
        # without the frequencies that are too high for it; irfft2 divides by the number of pixels
        waves = torch.view_as_complex(_low(z * weight, other)) * (other[0] * other[1] / (h * w))
        return to_rgb(torch.fft.irfft2(waves, s=other)).sigmoid()

    return Canvas(spread * noise((bands, h, w // 2 + 1, 2), starts, like), paint, small)


def _low(z: Tensor, size: Size) -> Tensor:
    """The lowest frequencies (B, 3, h, w // 2 + 1, 2) of z, as `rfft2` of a smaller size has them.

    Where h or w is even the highest one, which stands for two, is left out.
    """
    rows, columns = (size[0] - 1) // 2, (size[1] - 1) // 2 + 1
    z = z[..., :columns, :]
    gap = z.new_zeros(*z.shape[:2], size[0] - 2 * rows - 1, columns, 2)
    z = torch.cat([z[:, :, : rows + 1], gap, z[:, :, z.shape[2] - rows :]], 2)
    return torch.cat([z, z.new_zeros(*z.shape[:3], size[1] // 2 + 1 - columns, 2)], 3)


def maco(size: tuple[int, int], starts: Sequence[int], like: Tensor, *, bands: int = 3) -> Canvas:
    """Phases alone: the strength of every frequency is that of natural pictures, and stays.

        picture = sigmoid(M . irfft2(r e^(i p)))

    Fel et al. 2023, "Unlocking Feature Visualization for Deeper Networks with MAgnitude
    Constrained Optimization". The paper takes r from ImageNet's mean; here it is the law that the
    mean follows, `spectrum`. The numbers p are phases in radians (B, 3, H, W // 2 + 1).
    """
    magnitude = spectrum(size).to(like)

    def paint(phases: Tensor) -> Tensor:
        waves = torch.polar(magnitude.expand_as(phases), symmetric(phases, size))
        return to_rgb(torch.fft.irfft2(waves, s=size)).sigmoid()

    return Canvas(pi * noise((bands, size[0], size[1] // 2 + 1), starts, like), paint)


def frequencies(size: tuple[int, int]) -> Tensor:
    """Cycles per pixel (H, W // 2 + 1) of each coefficient of `rfft2`, float64."""
    rows = torch.fft.fftfreq(size[0], dtype=torch.double)
    columns = torch.fft.rfftfreq(size[1], dtype=torch.double)
    return (rows[:, None].square() + columns.square()).sqrt()


def spectrum(size: tuple[int, int], contrast: float = CONTRAST) -> Tensor:
    """Magnitudes (H, W // 2 + 1) of `rfft2` of natural pictures: f^-FALL, mean grey.

    Scaled so that a plane has the standard deviation `contrast`; the colour matrix does the rest.
    """
    f = frequencies(size)
    falling = torch.where(f > 0, f.clamp_min(1e-12).pow(-FALL), torch.zeros_like(f))
    twice = torch.full((size[1] // 2 + 1,), 2.0, dtype=torch.double)  # and its mirrored coefficient
    twice[0] = 1
    if size[1] % 2 == 0:
        twice[-1] = 1
    variance = (falling.square() * twice).sum() / (size[0] * size[1]) ** 2  # Parseval
    return falling * contrast / variance.sqrt()


def symmetric(phases: Tensor, size: tuple[int, int]) -> Tensor:
    """Phases (..., H, W // 2 + 1) as a real picture can have them.

    In the first column, and in the last where W is even, coefficient -k mirrors k; otherwise
    `irfft2` would quietly take their mean, and the magnitudes were no longer those asked for.
    """
    even = size[1] % 2 == 0
    first, last = _odd(phases[..., :1]), _odd(phases[..., -1:]) if even else phases[..., -1:]
    return torch.cat([first, phases[..., 1:-1], last], -1) if size[1] > 2 else first


def _odd(column: Tensor) -> Tensor:
    return column - column.flip(-2).roll(1, -2)


def color_matrix(like: Tensor) -> Tensor:
    """(3, 3): colour components -> RGB; columns are AXES of length SPREADS."""
    axes = torch.tensor(AXES, dtype=torch.double)
    columns = (axes / axes.norm(dim=1, keepdim=True)).T * torch.tensor(SPREADS, dtype=torch.double)
    return columns.to(like)


def to_rgb(components: Tensor) -> Tensor:
    """Decorrelated colour components (B, 3, H, W) -> RGB about zero; other bands stay."""
    if components.shape[1] != 3:
        return components
    return torch.matmul(color_matrix(components), components.flatten(2)).view_as(components)
