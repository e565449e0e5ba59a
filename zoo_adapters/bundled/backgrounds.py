"""Backgrounds: places and patterns (side, side, 3), and the clutter that stands about in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zoo_adapters.bundled import geometry as g
from zoo_adapters.bundled.brush import Color, hsv, mix, palette, tone
from zoo_adapters.bundled.canvas import Canvas, Pose
from zoo_adapters.bundled.textures import (
    Array,
    Texture,
    brick,
    checks,
    dots,
    noise,
    planks,
    stripes,
)

__all__ = ["background", "clutter", "in_front"]

Rng = np.random.Generator


def background(side: int, rng: Rng) -> Array:
    """A background drawn by chance."""
    kinds = (_outdoors, _outdoors, _outdoors, _wall, _wall, _room, _lights, _clouds, _water)
    made = kinds[rng.integers(len(kinds))](side, rng)
    fine = noise(side, side, rng.uniform(1, 3), int(rng.integers(999)))
    return np.clip(made * (0.85 + 0.3 * fine[..., None]), 0, 1).astype(np.float32)


def _grid(side: int) -> tuple[Array, Array]:
    line = ((np.arange(side) + 0.5) / side).astype(np.float32)
    x, y = np.meshgrid(line, line)
    return x, y


def _blend(low: Color, high: Color, amount: Array) -> Array:
    rest, made = 1 - amount, np.empty((*amount.shape, 3), np.float32)
    ends = np.array([low, high], np.float32)
    for plane in range(3):  # one by one: an axis of 3 is slow
        made[..., plane] = ends[0, plane] * rest + ends[1, plane] * amount
    return made


def _sky(side: int, rng: Rng) -> Array:
    _, y = _grid(side)
    hue = rng.choice([0.56, 0.58, 0.6, 0.05, 0.75])
    top, low = hsv(hue, rng.uniform(0.3, 0.7), rng.uniform(0.6, 0.95)), hsv(hue, 0.12, 0.98)
    sky = _blend(top, low, y)
    cloud = noise(side, side, rng.uniform(0.3, 0.8), int(rng.integers(999)), 2)
    return _over(sky, (0.98, 0.97, 0.96), np.clip((cloud - 0.55) * 4, 0, 0.9))


def _over(below: Array, color: Color, amount: Array) -> Array:
    return below + (np.asarray(color, np.float32) - below) * amount[..., None]


def _outdoors(side: int, rng: Rng) -> Array:
    """Sky, hills, and a meadow, sand, snow or a road."""
    x, y = _grid(side)
    made = _sky(side, rng)
    ground = hsv(
        rng.choice([0.28, 0.33, 0.12, 0.1, 0.6]), rng.uniform(0.15, 0.6), rng.uniform(0.45, 0.85)
    )
    horizon = rng.uniform(0.35, 0.7)
    for i in range(3):
        wave = sum(
            rng.normal() / k * np.sin(2 * np.pi * k * x + rng.uniform(0, 6)) for k in (1, 2, 3, 5)
        )
        edge = horizon + 0.1 * i + 0.04 * wave * (1 - 0.25 * i)
        color = mix(ground, (0.75, 0.82, 0.9), 0.5 - 0.25 * i)
        rough = noise(side, side, rng.uniform(1.5, 4), int(rng.integers(999)))
        soil = _blend(tone(color, 0.75), tone(color, 1.2), rough)
        inside = np.clip((y - edge) * side / 2, 0, 1)[..., None]
        made = made * (1 - inside) + soil * inside
    return made.astype(np.float32)


def _pattern(rng: Rng) -> Texture:
    kinds: tuple[Callable[[], Texture], ...] = (
        lambda: stripes(rng.uniform(5, 16), rng.uniform(0, np.pi)),
        lambda: checks(rng.uniform(3, 7)),
        lambda: dots(rng.uniform(6, 16), rng.uniform(0.15, 0.35)),
        lambda: brick(rng.uniform(10, 18)),
        lambda: planks(rng.uniform(5, 10), int(rng.integers(99))),
    )
    return kinds[rng.integers(len(kinds))]()


def _muted(rng: Rng) -> tuple[Color, Color]:
    first = hsv(rng.uniform(), rng.uniform(0.1, 0.5), rng.uniform(0.4, 0.9))
    other = hsv(rng.uniform(), rng.uniform(0.1, 0.5), rng.uniform(0.4, 0.9))
    return first, mix(first, other, rng.uniform(0.25, 0.8))


def _wall(side: int, rng: Rng) -> Array:
    """A patterned wall: paper, tiles, bricks or boards."""
    x, y = _grid(side)
    angle = rng.normal() * 0.06
    u, v = (x * 2 - 1) * np.cos(angle) + y * angle, (y * 2 - 1) - x * angle
    made = _blend(*_muted(rng), _pattern(rng)(u, v))
    glow = np.hypot(x - rng.uniform(0, 1), y - rng.uniform(-0.2, 0.6))
    return made * (1.12 - 0.45 * glow[..., None])


def _room(side: int, rng: Rng) -> Array:
    """A wall above a floor or a table."""
    x, y = _grid(side)
    made, floor = _wall(side, rng), rng.uniform(0.55, 0.78)
    depth = np.clip((y - floor) / (1.05 - floor), 0, 1) + 0.12
    texture = checks(3) if rng.random() < 0.4 else planks(7, int(rng.integers(99)))
    light, dark = _muted(rng)
    plane = _blend(light, tone(dark, 0.7), texture((x - 0.5) / depth, -1.5 / depth))
    below = np.clip((y - floor) * side / 2, 0, 1)[..., None]
    return made * (1 - below) + plane * below


def _lights(side: int, rng: Rng) -> Array:
    """Discs of light out of focus."""
    x, y = _grid(side)
    first, second = _muted(rng)
    glow = noise(side, side, 0.4, int(rng.integers(999)), 2)
    made = _blend(tone(first, 0.5), tone(second, 0.8), glow)
    for _ in range(int(rng.integers(8, 18))):
        distance = np.hypot(x - rng.uniform(), y - rng.uniform())
        r = rng.uniform(0.04, 0.14)
        disc = np.clip((r - distance) / 0.012, 0, 1) * rng.uniform(0.15, 0.6)
        made = _over(made, hsv(rng.uniform(), rng.uniform(0.2, 0.6), 1.0), disc)
    return made


def _clouds(side: int, rng: Rng) -> Array:
    """Two colours that flow into one another."""
    return _blend(*_muted(rng), noise(side, side, rng.uniform(0.3, 1.2), int(rng.integers(999)), 2))


def _water(side: int, rng: Rng) -> Array:
    """Ripples under a sky."""
    x, y = _grid(side)
    made, horizon = _sky(side, rng), rng.uniform(0.3, 0.6)
    depth = np.clip(y - horizon, 0, 1) + 0.05
    wave = noise(side, side, 1.0, int(rng.integers(999)))
    ripple = np.sin(9 / depth + 14 * wave + 2 * x)
    hue = rng.uniform(0.48, 0.62)
    sea = _blend(hsv(hue, 0.7, 0.45), hsv(hue, 0.4, 0.85), 0.5 + 0.5 * ripple * np.sqrt(depth))
    below = np.clip((y - horizon) * side / 2, 0, 1)[..., None]
    return made * (1 - below) + sea * below


def clutter(canvas: Canvas, rng: Rng) -> None:
    """Stones, boxes, sticks, discs and leaves that belong to no class."""
    for _ in range(int(rng.integers(1, 6))):
        colors = palette(rng)
        _thing(canvas, rng, mix(colors[0], (0.5, 0.5, 0.5), 0.35), "", rng.uniform(0.05, 0.14))


def in_front(canvas: Canvas, rng: Rng) -> None:
    """Now and then grass, a leaf or a box in front, at the border of the picture."""
    kind = rng.random()
    if kind < 0.25:
        green = hsv(rng.uniform(0.2, 0.4), rng.uniform(0.4, 0.8), rng.uniform(0.25, 0.6))
        pose = Pose(np.eye(2), np.array([0.0, 0.0]))
        for _ in range(int(rng.integers(10, 30))):
            blade = g.petal(
                rng.uniform(0, 1),
                1.02,
                rng.uniform(0.08, 0.26),
                0.02,
                -np.pi / 2 + rng.normal() * 0.3,
            )
            canvas.paint(pose, blade, tone(green, rng.uniform(0.6, 1.2)), part=None, volume=0)
    elif kind < 0.4:
        _thing(canvas, rng, palette(rng)[0], None, rng.uniform(0.06, 0.12))


def _thing(canvas: Canvas, rng: Rng, color: Color, part: str | None, size: float) -> None:
    angle = rng.uniform(0, 2 * np.pi)
    edge = rng.uniform(0, 1, 2)
    if part is None:  # in front: at a border
        edge[rng.integers(2)] = rng.choice([0.02, 0.98])
    c, s = size * np.cos(angle), size * np.sin(angle)
    pose = Pose(np.array([[c, s], [-s, c]]), edge)
    shapes: tuple[Callable[[], g.Points], ...] = (
        lambda: g.blob(0, 0, 1, rng, 0.3),
        lambda: g.rectangle(-1, -0.7, 1, 0.7, 0.1),
        lambda: g.line((-1.6, 0), (1.6, 0), 0.25),
        lambda: g.polygon((0, -1), (0.9, 0.7), (-0.9, 0.7)),
        lambda: g.petal(-1, 0, 2, 0.9, 0),
        lambda: g.ellipse(0, 0, 0.8),
    )
    texture = (_pattern(rng), tone(color, 0.6)) if rng.random() < 0.4 else None
    canvas.paint(
        pose, shapes[rng.integers(len(shapes))](), color, part=part, texture=texture, volume=0.7
    )
