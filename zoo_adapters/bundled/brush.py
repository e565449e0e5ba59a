"""The brush: paints one object's parts, and the parts that many objects share."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo_adapters.bundled import geometry as g
from zoo_adapters.bundled.canvas import Canvas, Pose
from zoo_adapters.bundled.textures import Texture, brick, rays, scales

__all__ = ["Brush", "Color", "hsv", "mix", "palette", "tone"]

Color = tuple[float, float, float]
DARK: Color = (0.10, 0.09, 0.11)
PALE: Color = (0.95, 0.94, 0.90)


def hsv(hue: float, saturation: float, value: float) -> Color:
    """A colour by hue (0..1, any turn), saturation and value."""
    return colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))


def tone(color: Color, factor: float) -> Color:
    """The colour darker (factor < 1) or lighter (> 1)."""
    r, g_, b = (min(max(c * factor, 0.0), 1.0) for c in color)
    return (r, g_, b)


def mix(a: Color, b: Color, share: float) -> Color:
    """Between two colours."""
    r, g_, s = (p * (1 - share) + q * share for p, q in zip(a, b, strict=True))
    return (r, g_, s)


def palette(rng: np.random.Generator) -> tuple[Color, ...]:
    """Four colours that go together: neighbours, opposites or a triad round one hue."""
    base = rng.uniform()
    steps = [(0, 0.06, -0.07, 0.5), (0, 0.5, 0.04, 0.45), (0, 0.33, 0.66, 0.1)][rng.integers(3)]
    saturation, value = rng.uniform(0.4, 0.9), rng.uniform(0.6, 0.95)
    return tuple(
        hsv(base + step, saturation * rng.uniform(0.7, 1.1), value * rng.uniform(0.75, 1.1))
        for step in steps
    )


@dataclass
class Brush:
    """Paints on a canvas, in the coordinates of one object."""

    canvas: Canvas
    pose: Pose
    rng: np.random.Generator
    colors: tuple[Color, ...]

    def chance(self, share: float) -> bool:
        """True in `share` of the cases."""
        return bool(self.rng.random() < share)

    def between(self, low: float, high: float) -> float:
        """A random number."""
        return float(self.rng.uniform(low, high))

    def part(
        self,
        name: str,
        shape: g.Points | Sequence[g.Points],
        color: Color,
        texture: tuple[Texture, Color] | None = None,
        volume: float = 0.5,
    ) -> None:
        """Paint one part."""
        self.canvas.paint(self.pose, shape, color, part=name, texture=texture, volume=volume)

    def wheel(self, x: float, y: float, r: float, color: Color = (0.75, 0.75, 0.78)) -> None:
        """A tyre, a rim with spokes, a hub."""
        self.part("wheel", g.ellipse(x, y, r), DARK, volume=0.4)
        spokes = (rays(int(self.rng.integers(4, 8)), x, y), tone(color, 0.45))
        self.part("wheel", g.ellipse(x, y, r * 0.66), color, spokes, volume=0.3)
        self.part("wheel", g.ellipse(x, y, r * 0.2), tone(color, 0.8))

    def eye(self, x: float, y: float, r: float, iris: Color | None = None) -> None:
        """White, iris, pupil and a glint."""
        look = self.between(-0.2, 0.2) * r
        self.part("eye", g.ellipse(x, y, r), PALE, volume=0.25)
        color = iris or hsv(self.between(0, 1), 0.6, 0.6)
        self.part("eye", g.ellipse(x + look, y, r * 0.66), color, volume=0.1)
        self.part("eye", g.ellipse(x + look, y, r * 0.38), (0.03, 0.03, 0.04), volume=0)
        self.part("eye", g.ellipse(x + look - r * 0.2, y - r * 0.24, r * 0.16), PALE, volume=0)

    def window(self, left: float, top: float, right: float, bottom: float, panes: int = 2) -> None:
        """A frame round panes of glass that reflect the sky."""
        frame = mix(PALE, self.colors[1], 0.15)
        wide = min(right - left, bottom - top) * 0.12
        self.part("window", g.rectangle(left, top, right, bottom, wide), frame, volume=0.3)
        glass = hsv(0.56, self.between(0.2, 0.5), self.between(0.45, 0.85))
        step = (right - left - wide) / panes
        for i in range(panes):
            x = left + wide + i * step
            pane = g.rectangle(x, top + wide, x + step - wide, bottom - wide)
            self.part("window", pane, glass, volume=0)
            edge = x + (step - wide) * 0.55
            shine = g.polygon((x, top + wide), (edge, top + wide), (x, top + (bottom - top) * 0.7))
            self.part("window", shine, mix(glass, PALE, 0.45), volume=0)

    def door(self, left: float, top: float, right: float, bottom: float) -> None:
        """A door with a frame and a knob."""
        color = tone(self.colors[2], 0.8)
        shape = g.arch if self.chance(0.5) else g.rectangle
        self.part("door", shape(left, top, right, bottom), PALE, volume=0.2)
        rim = (right - left) * 0.12
        self.part("door", shape(left + rim, top + rim, right - rim, bottom), color, volume=0.4)
        knob = g.ellipse(right - 2.6 * rim, (top + bottom) / 2 + rim, rim * 0.6)
        self.part("door", knob, (0.9, 0.75, 0.3))

    def roof(self, outline: g.Points, color: Color) -> None:
        """Tiles."""
        self.part("roof", outline, color, (scales(self.between(14, 22)), tone(color, 0.5)), 0.3)

    def wall(self, outline: g.Points, color: Color) -> None:
        """Bricks, or plaster."""
        if self.chance(0.6):
            mortar = mix(color, PALE, 0.55)
            self.part("wall", outline, color, (brick(self.between(16, 24)), mortar), 0.25)
        else:
            self.part("wall", outline, mix(color, PALE, 0.55), volume=0.3)

    def chimney(self, x: float, top: float, bottom: float, width: float, color: Color) -> None:
        """A shaft with a wider top."""
        shaft = g.rectangle(x - width / 2, top, x + width / 2, bottom)
        self.part("chimney", shaft, color, (brick(22), tone(color, 1.4)), 0.4)
        top_ = g.rectangle(
            x - width * 0.65, top - width * 0.1, x + width * 0.65, top + width * 0.25
        )
        self.part("chimney", top_, tone(color, 0.7))

    def flag(self, x: float, y: float, size: float) -> None:
        """A pole and cloth in the wind."""
        self.part("flag", g.line((x, y), (x, y - 1.6 * size), size * 0.09), DARK)
        wave = self.between(-0.15, 0.25) * size
        cloth = g.smooth(
            (x, y - 1.55 * size),
            (x + 0.5 * size, y - 1.5 * size + wave),
            (x + 1.1 * size, y - 1.35 * size - wave),
            (x + 0.5 * size, y - 0.95 * size + wave),
            (x, y - 0.9 * size),
        )
        self.part("flag", cloth, self.colors[3], volume=0.6)

    def leaf(self, x: float, y: float, length: float, angle: float, color: Color) -> None:
        """A leaf with its middle vein."""
        self.part("leaf", g.petal(x, y, length, length * 0.45, angle, 1.3), color, volume=0.5)
        tip = (x + 0.9 * length * np.cos(angle), y + 0.9 * length * np.sin(angle))
        self.part("leaf", g.line((x, y), tip, length * 0.035), tone(color, 0.65), volume=0)

    def petals(
        self, x: float, y: float, length: float, count: int, color: Color, width: float = 1.0
    ) -> None:
        """A ring of petals round (x, y)."""
        start = self.between(0, 2 * np.pi)
        for i in range(count):
            angle = start + 2 * np.pi * i / count
            shade = tone(color, self.between(0.82, 1.08))
            size = width * 2 * np.pi * length / count * 0.62
            self.part("petal", g.petal(x, y, length, size, angle), shade, volume=0.55)

    def handle(
        self, x: float, y: float, outer: float, inner: float, start: float, end: float, color: Color
    ) -> None:
        """A bent bar, as on cups and bags."""
        self.part("handle", g.ring(x, y, outer, inner, start, end), color, volume=0.6)

    def legs(self, xs: Sequence[float], top: float, bottom: float, width: float, c: Color) -> None:
        """Straight legs with feet."""
        for x in xs:
            self.part("leg", g.line((x, top), (x + self.between(-0.03, 0.03), bottom), width), c)
            foot = g.ellipse(x + width * 0.2, bottom, width * 0.75, width * 0.4)
            self.part("leg", foot, tone(c, 0.7))

    def wing(self, shape: g.Points, color: Color, texture: Texture) -> None:
        """A wing with its pattern."""
        self.part("wing", shape, color, (texture, tone(color, 0.45)), 0.5)

    def beak(self, x: float, y: float, size: float, side: float = 1.0) -> None:
        """A beak that points to the right (side 1), the left (-1) or down (0)."""
        orange: Color = (0.95, self.between(0.5, 0.75), 0.1)
        if side:
            shape = g.polygon((x, y - size * 0.4), (x + side * size, y), (x, y + size * 0.4))
        else:
            shape = g.polygon((x - size * 0.35, y), (x + size * 0.35, y), (x, y + size))
        self.part("beak", shape, orange)
