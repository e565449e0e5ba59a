"""Geometry: outlines as arrays of points (N, 2), x to the right and y down, objects in [-1, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Points",
    "arch",
    "blob",
    "ellipse",
    "line",
    "petal",
    "polygon",
    "rectangle",
    "ring",
    "smooth",
    "turn",
]

Points = NDArray[np.float64]


def polygon(*points: Sequence[float]) -> Points:
    """The outline through the points."""
    return np.asarray(points, float)


def ellipse(x: float, y: float, rx: float, ry: float | None = None, angle: float = 0.0) -> Points:
    """An ellipse round (x, y), turned by `angle` radians."""
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    points = np.stack([rx * np.cos(t), (rx if ry is None else ry) * np.sin(t)], 1)
    return np.add(turn(points, angle), (x, y))


def ring(
    x: float, y: float, outer: float, inner: float, start: float = 0.0, end: float = 2 * np.pi
) -> Points:
    """The band between two radii from angle `start` to `end`."""
    t = np.linspace(start, end, 40)[:, None]
    circle = np.concatenate([np.cos(t), np.sin(t)], 1)
    return np.add(np.concatenate([outer * circle, inner * circle[::-1]]), (x, y))


def rectangle(left: float, top: float, right: float, bottom: float, radius: float = 0) -> Points:
    """A rectangle, with round corners where `radius` is not 0."""
    if radius <= 0:
        return polygon((left, top), (right, top), (right, bottom), (left, bottom))
    radius = min(radius, (right - left) / 2, (bottom - top) / 2)
    corners = (
        (right - radius, top + radius, -np.pi / 2),
        (right - radius, bottom - radius, 0.0),
        (left + radius, bottom - radius, np.pi / 2),
        (left + radius, top + radius, np.pi),
    )
    t = np.linspace(0, np.pi / 2, 7)
    arcs = [
        np.stack([x + radius * np.cos(a + t), y + radius * np.sin(a + t)], 1) for x, y, a in corners
    ]
    return np.concatenate(arcs)


def arch(left: float, top: float, right: float, bottom: float) -> Points:
    """A rectangle with half a circle on top, as doors and church windows have it."""
    radius = (right - left) / 2
    t = np.linspace(np.pi, 2 * np.pi, 16)
    middle = (left + right) / 2
    round_ = np.stack([middle + radius * np.cos(t), top + radius + radius * np.sin(t)], 1)
    return np.concatenate([round_, [(right, bottom), (left, bottom)]])


def line(start: Sequence[float], end: Sequence[float], width: float) -> Points:
    """A straight bar."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    along = b - a
    across = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9) * width / 2
    return np.stack([a + across, b + across, b - across, a - across])


def petal(
    x: float, y: float, length: float, width: float, angle: float, tip: float = 1.0
) -> Points:
    """A petal or leaf from (x, y) in direction `angle`; a larger `tip` is more pointed."""
    t = np.linspace(0, np.pi, 16)
    half = np.stack([length * (1 - np.cos(t)) / 2, width / 2 * np.sin(t) ** tip], 1)
    points = np.concatenate([half, half[::-1] * (1, -1)])
    return np.add(turn(points, angle), (x, y))


def blob(
    x: float, y: float, radius: float, rng: np.random.Generator, rough: float = 0.15
) -> Points:
    """A round thing with a wavy outline."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    waves = range(2, 8)
    r = 1 + sum(rough / k * rng.normal() * np.cos(k * t + rng.uniform(0, 2 * np.pi)) for k in waves)
    return radius * np.stack([r * np.cos(t), r * np.sin(t)], 1) + (x, y)


def smooth(*points: Sequence[float], closed: bool = True, steps: int = 8) -> Points:
    """A smooth curve through the points (Catmull-Rom)."""
    p = np.asarray(points, float)
    if closed:
        before, after, further = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    else:
        padded = np.concatenate([p[:1], p, p[-1:]])
        before, after, further = padded[:-3], padded[2:-1], padded[3:]
        p = padded[1:-2]
    t = (np.arange(steps) / steps)[None, :, None]
    p, before, after, further = (q[:, None] for q in (p, before, after, further))
    made = 0.5 * (
        2 * p
        + (after - before) * t
        + (2 * before - 5 * p + 4 * after - further) * t**2
        + (3 * p - before - 3 * after + further) * t**3
    )
    return made.reshape(-1, 2)


def turn(points: Points, angle: float) -> Points:
    """Points turned round the origin by `angle` radians, clockwise as y points down."""
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s], [-s, c]])
