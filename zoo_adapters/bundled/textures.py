"""Textures: functions of object coordinates (u, v) -> amounts in [0, 1], and natural noise."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Array",
    "Texture",
    "brick",
    "checks",
    "dots",
    "noise",
    "patches",
    "planks",
    "rays",
    "scales",
    "spiral",
    "stripes",
]

Array = NDArray[np.floating[Any]]
Texture = Callable[[Array, Array], Array]
BANK = 256  # side of the noise pictures


def _step(x: Array, soft: float = 0.12) -> Array:
    return np.clip(x / soft + 0.5, 0, 1).astype(np.float32)


def stripes(count: float, angle: float = 0.0, phase: float = 0.0, wave: float = 0.0) -> Texture:
    """`count` stripes over the object, wavy by `wave`."""

    def made(u: Array, v: Array) -> Array:
        along = u * np.cos(angle) + v * np.sin(angle)
        across = v * np.cos(angle) - u * np.sin(angle)
        bent = along + wave * np.sin(5 * across + phase)
        return _step(np.sin(np.pi * count * bent + phase), 0.5)

    return made


def dots(count: float, size: float = 0.3, phase: float = 0.0) -> Texture:
    """Round dots in staggered rows."""

    def made(u: Array, v: Array) -> Array:
        y = v * count / 2 + phase
        row = np.floor(y)
        x = u * count / 2 + 0.5 * (row % 2) + phase
        distance = np.hypot(x - np.floor(x) - 0.5, y - row - 0.5)
        return _step(size - distance, 0.15)

    return made


def checks(count: float) -> Texture:
    """A checker board."""

    def made(u: Array, v: Array) -> Array:
        return _step(np.sin(np.pi * count * u) * np.sin(np.pi * count * v), 0.4)

    return made


def brick(rows: float) -> Texture:
    """Mortar between bricks: 1 on the mortar."""

    def made(u: Array, v: Array) -> Array:
        y = v * rows / 2
        row = np.floor(y)
        x = u * rows / 4.4 + 0.5 * (row % 2)
        edge = np.minimum(np.minimum(y - row, 1 - y + row) * 0.45, _edge(x))
        return _step(0.055 - edge, 0.06)

    return made


def planks(count: float, seed: int = 0) -> Texture:
    """Wooden boards: 1 in the gaps, grain between them."""

    def made(u: Array, v: Array) -> Array:
        y = v * count / 2
        gap = _step(0.04 - _edge(y), 0.05)
        grain = _sampled(u * 0.12 + np.floor(y) * 0.37, v * 1.1, seed)
        return np.clip(gap + 0.45 * grain, 0, 1).astype(np.float32)

    return made


def scales(rows: float) -> Texture:
    """Fish scales or roof tiles: 1 on their lower rims."""

    def made(u: Array, v: Array) -> Array:
        y = v * rows / 2
        row = np.floor(y)
        x = u * rows / 2 + 0.5 * (row % 2)
        distance = np.hypot(x - np.floor(x) - 0.5, (y - row) * 0.9)
        return np.clip(_step(distance - 0.42, 0.2) * 0.8, 0, 1).astype(np.float32)

    return made


def rays(count: int, x: float = 0.0, y: float = 0.0) -> Texture:
    """Sectors round a point."""

    def made(u: Array, v: Array) -> Array:
        return _step(np.sin(count * np.arctan2(v - y, u - x)), 0.5)

    return made


def spiral(turns: float, x: float = 0.0, y: float = 0.0) -> Texture:
    """A spiral round a point."""

    def made(u: Array, v: Array) -> Array:
        radius, angle = np.hypot(u - x, v - y), np.arctan2(v - y, u - x)
        return _step(np.sin(2 * np.pi * turns * radius - angle), 0.6)

    return made


def patches(scale: float, seed: int = 0, share: float = 0.5) -> Texture:
    """Irregular patches as on a cow or a leaf."""

    def made(u: Array, v: Array) -> Array:
        return _step(_sampled(u * scale / 4, v * scale / 4, seed, 2) - 1 + share, 0.08)

    return made


def noise(height: int, width: int, zoom: float, seed: int, slope: int = 1) -> Array:
    """Natural noise (height, width) in [0, 1] whose spectrum falls as 1 / f^slope."""
    x = np.linspace(0, zoom, width, dtype=np.float32)
    y = np.linspace(0, zoom, height, dtype=np.float32)
    return _sampled(*np.meshgrid(x, y), seed, slope)


def _edge(x: Array) -> Array:
    """Distance to the nearest whole number."""
    return np.abs(x - np.round(x)).astype(np.float32)


def _sampled(u: Array, v: Array, seed: int, slope: int = 1) -> Array:
    """The noise picture number `seed` at (u, v), one turn of it per unit, bilinear."""
    bank = _bank(seed % 12, slope)
    shift = (seed // 12 % 16) / 16
    x, y = (u + shift) * BANK, (v + 1.7 * shift) * BANK
    left, top = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    fx, fy = (x - left).astype(np.float32), (y - top).astype(np.float32)
    # BANK is a power of two, and one flat index is read faster than two
    left, right, top, bottom = (i & (BANK - 1) for i in (left, left + 1, top, top + 1))
    flat, top, bottom = bank.ravel(), top * BANK, bottom * BANK
    upper = flat.take(top + left) * (1 - fx) + flat.take(top + right) * fx
    lower = flat.take(bottom + left) * (1 - fx) + flat.take(bottom + right) * fx
    return (upper * (1 - fy) + lower * fy).astype(np.float32)


@lru_cache(maxsize=48)
def _bank(seed: int, slope: int) -> Array:
    """A periodic noise picture (BANK, BANK) in [0, 1], ranks evened out."""
    rng = np.random.default_rng([seed, slope, 77])
    f = np.fft.fftfreq(BANK)
    radius = np.hypot(f[:, None], np.fft.rfftfreq(BANK)[None])
    radius[0, 0] = 1.0
    amplitude = radius ** -float(slope) * (radius > 0.5 / BANK)
    amplitude[0, 0] = 0
    wave = rng.normal(size=amplitude.shape) + 1j * rng.normal(size=amplitude.shape)
    field = np.fft.irfft2(amplitude * wave, (BANK, BANK))
    field = (field - field.mean()) / field.std()
    return np.clip(0.5 + field / 4.5, 0, 1).astype(np.float32)
