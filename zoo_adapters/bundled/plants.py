"""Plants and fruit. Each function paints one object of its class."""

from __future__ import annotations

import numpy as np

from zoo_adapters.bundled import geometry as g
from zoo_adapters.bundled.brush import PALE, Brush, Color, hsv, mix, tone
from zoo_adapters.bundled.textures import dots, patches, scales, stripes


def _green(b: Brush) -> Color:
    return hsv(b.between(0.22, 0.38), b.between(0.45, 0.85), b.between(0.4, 0.8))


def _stem(b: Brush, top: float, color: Color) -> None:
    bend = b.between(-0.1, 0.1)
    path = g.smooth((0, top), (bend, (top + 0.95) / 2), (0, 0.95), closed=False)
    for start, end in zip(path[:-1:2], path[2::2], strict=False):
        b.part("stem", g.line(start, end, 0.08), color)
    b.part("stem", g.line(path[-2], (0, 0.95), 0.08), color)


def tree(b: Brush) -> None:
    """A trunk under a crown of leaves."""
    bark: Color = (0.36, 0.25, 0.16)
    trunk = g.smooth(
        (-0.1, -0.2), (-0.1, 0.5), (-0.24, 0.95), (0.24, 0.95), (0.1, 0.5), (0.1, -0.2)
    )
    b.part("trunk", trunk, bark, (stripes(20, 0, wave=0.03), tone(bark, 0.6)), 0.8)
    hue = b.between(0.2, 0.36) if b.chance(0.75) else b.between(0.03, 0.12)
    for i in range(11):
        angle, r = i * 2.4, 0.46 * (i / 10) ** 0.5
        x, y = r * np.cos(angle) * 1.1, r * np.sin(angle) - 0.42
        green = hsv(hue, b.between(0.5, 0.85), b.between(0.42, 0.75))
        leafy = (patches(9, int(b.rng.integers(99)), 0.45), tone(green, 0.6))
        b.part("crown", g.blob(x, y, b.between(0.26, 0.36), b.rng), green, leafy, 0.9)


def fir(b: Brush) -> None:
    """A fir in tiers."""
    b.part("trunk", g.rectangle(-0.1, 0.55, 0.1, 0.95), (0.36, 0.25, 0.16))
    green = hsv(b.between(0.33, 0.48), b.between(0.4, 0.8), b.between(0.3, 0.6))
    count = int(b.rng.integers(3, 6))
    for i in reversed(range(count)):
        top, wide = -0.95 + i * 1.1 / count, 0.3 + 0.4 * i / count
        bottom = top + 1.9 / count
        tier = g.smooth(
            (0, top),
            (wide * 0.4, (top + bottom) / 2),
            (wide, bottom),
            (0, bottom - 0.08),
            (-wide, bottom),
            (-wide * 0.4, (top + bottom) / 2),
        )
        b.part("crown", tier, tone(green, 0.8 + 0.1 * i), (scales(20), tone(green, 0.55)), 0.8)


def sunflower(b: Brush) -> None:
    """A disc of seeds in a ring of petals."""
    green = _green(b)
    _stem(b, 0.1, green)
    b.leaf(0.0, 0.75, 0.5, -0.5, green)
    b.leaf(0.0, 0.85, 0.45, -2.5, tone(green, 0.9))
    gold = hsv(b.between(0.09, 0.16), 0.9, b.between(0.85, 1))
    b.petals(0, -0.25, 0.68, int(b.rng.integers(14, 20)), tone(gold, 0.85), 1.5)
    b.petals(0, -0.25, 0.6, int(b.rng.integers(13, 18)), gold, 1.4)
    brown: Color = (0.36, 0.2, 0.08)
    b.part("disc", g.ellipse(0, -0.25, 0.3), brown, (dots(26, 0.3), (0.75, 0.5, 0.15)), 0.9)


def daisy(b: Brush) -> None:
    """Few broad petals round a small disc."""
    green = _green(b)
    _stem(b, 0.0, green)
    b.leaf(0.0, 0.8, 0.42, -0.6, green)
    color = mix(PALE, b.colors[0], b.between(0.0, 0.9))
    b.petals(0, -0.25, b.between(0.58, 0.68), int(b.rng.integers(6, 10)), color, 1.15)
    b.part("disc", g.ellipse(0, -0.25, 0.19), hsv(0.13, 0.85, 0.95), (dots(30), (0.8, 0.5, 0.1)))


def tulip(b: Brush) -> None:
    """A closed cup of petals."""
    green, color = _green(b), hsv(b.between(-0.1, 0.16), b.between(0.7, 0.95), b.between(0.75, 1))
    _stem(b, 0.0, green)
    b.leaf(0.0, 0.95, 0.85, -1.15, green)
    b.leaf(0.0, 0.95, 0.8, -2.0, tone(green, 0.85))
    flame = (stripes(7, 0, wave=0.1), tone(color, 0.78))
    for x, lean in ((-0.2, -0.22), (0.2, 0.22)):
        b.part(
            "petal", g.petal(x * 0.6, 0.1, 0.92, 0.46, -1.57 + lean), tone(color, 0.8), flame, 0.8
        )
    b.part("petal", g.petal(0, 0.14, 0.85, 0.52, -1.57, 0.8), color, flame, 0.9)


def mushroom(b: Brush) -> None:
    """A cap with spots on a pale stem."""
    pale = mix(PALE, (0.85, 0.75, 0.6), b.between(0, 0.8))
    stem = g.smooth(
        (-0.16, -0.1), (-0.18, 0.5), (-0.28, 0.9), (0.28, 0.9), (0.18, 0.5), (0.16, -0.1)
    )
    b.part("stem", stem, pale, volume=0.9)
    b.part("gills", g.ellipse(0, 0.06, 0.68, 0.16), tone(pale, 0.8), (stripes(34), tone(pale, 0.5)))
    cap = g.smooth((-0.82, 0.08), (-0.6, -0.5), (0, -0.82), (0.6, -0.5), (0.82, 0.08), (0, -0.02))
    color = hsv(b.between(-0.04, 0.1), b.between(0.7, 0.95), b.between(0.6, 0.9))
    b.part("cap", cap, color, volume=1.0)
    for x, y, r in (
        (-0.42, -0.22, 0.12),
        (0.05, -0.5, 0.14),
        (0.42, -0.15, 0.1),
        (-0.02, -0.14, 0.09),
        (-0.3, -0.52, 0.07),
        (0.4, -0.45, 0.07),
    ):
        b.part("spot", g.blob(x, y, r * b.between(0.8, 1.2), b.rng), PALE, volume=0.6)


def strawberry(b: Brush) -> None:
    """A red fruit with seeds and a crown of leaves."""
    red = hsv(b.between(-0.03, 0.02), 0.9, b.between(0.7, 0.95))
    fruit = g.smooth(
        (0, 0.95),
        (-0.42, 0.45),
        (-0.62, -0.15),
        (-0.4, -0.5),
        (0, -0.45),
        (0.4, -0.5),
        (0.62, -0.15),
        (0.42, 0.45),
    )
    b.part("fruit", fruit, red, (dots(b.between(10, 14), 0.16), (0.98, 0.85, 0.4)), 1.1)
    green = _green(b)
    for i in range(7):
        b.leaf(0, -0.5, b.between(0.36, 0.5), 0.15 + i * 0.47, tone(green, b.between(0.8, 1.1)))
    b.part("stem", g.line((0, -0.5), (b.between(-0.15, 0.15), -0.92), 0.08), tone(green, 0.8))
