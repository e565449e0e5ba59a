"""Buildings and household things. Each function paints one object of its class."""

from __future__ import annotations

import numpy as np

from zoo_adapters.bundled import geometry as g
from zoo_adapters.bundled.brush import DARK, PALE, Brush, mix, tone
from zoo_adapters.bundled.textures import checks, dots, planks, rays, stripes


def house(b: Brush) -> None:
    """A house with a tiled roof."""
    b.chimney(b.between(0.25, 0.45), -0.85, -0.3, 0.18, tone(b.colors[1], 0.7))
    b.wall(g.rectangle(-0.7, -0.15, 0.7, 0.8), b.colors[0])
    high = b.between(-0.95, -0.75)
    b.roof(g.polygon((-0.9, -0.1), (-0.25, high), (0.25, high), (0.9, -0.1)), b.colors[1])
    b.window(-0.55, 0.05, -0.15, 0.4)
    b.window(0.2, 0.05, 0.56, 0.4)
    b.door(b.between(-0.2, 0.0), 0.3, 0.22, 0.8)


def lighthouse(b: Brush) -> None:
    """A striped tower with a lamp."""
    paint = (stripes(b.between(4, 6), 1.57), b.colors[0])
    tower = g.polygon((-0.22, -0.5), (0.22, -0.5), (0.38, 0.9), (-0.38, 0.9))
    b.part("wall", tower, PALE, paint, 1.0)
    b.part("lamp", g.rectangle(-0.16, -0.74, 0.16, -0.5), (1.0, 0.9, 0.5), (stripes(12), DARK), 0.2)
    b.part("wall", g.rectangle(-0.32, -0.54, 0.32, -0.46), DARK)
    b.roof(g.polygon((-0.22, -0.72), (0, -0.97), (0.22, -0.72)), b.colors[1])
    b.window(-0.08, -0.25, 0.08, -0.05, 1)
    b.door(-0.13, 0.55, 0.13, 0.9)


def castle(b: Brush) -> None:
    """Towers with battlements and flags."""
    stone = mix(b.colors[0], (0.6, 0.58, 0.55), 0.7)
    b.wall(g.rectangle(-0.6, 0.0, 0.6, 0.85), stone)
    for i in range(5):
        x = -0.56 + i * 0.25
        b.part("wall", g.rectangle(x, -0.12, x + 0.13, 0.02), tone(stone, 0.95))
    for x, top in ((-0.68, -0.35), (0.68, -0.35), (0.0, -0.5)):
        b.flag(x, top - 0.32, 0.16)
        b.wall(g.rectangle(x - 0.2, top, x + 0.2, 0.85 if x else 0.3), tone(stone, 1.08))
        b.roof(g.polygon((x - 0.26, top), (x, top - 0.4), (x + 0.26, top)), b.colors[1])
        b.window(x - 0.07, top + 0.15, x + 0.07, top + 0.38, 1)
    b.door(-0.18, 0.36, 0.18, 0.85)


def clock(b: Brush) -> None:
    """A dial with hands."""
    rim = b.colors[0]
    if b.chance(0.5):
        for x in (-0.5, 0.5):
            b.part("bell", g.ellipse(x, -0.72, 0.26, 0.2, x), tone(rim, 1.1), volume=0.9)
    b.part("rim", g.ellipse(0, 0, 0.86), rim, volume=1.0)
    b.part("dial", g.ellipse(0, 0, 0.7), mix(PALE, b.colors[1], 0.12), volume=0.15)
    for i in range(12):
        tick = g.rectangle(-0.03, -0.66, 0.03, -0.52 if i % 3 else -0.44)
        b.part("dial", g.turn(tick, i * np.pi / 6), DARK, volume=0)
    hour = b.between(0, 2 * np.pi)
    for length, width, angle in ((0.36, 0.1, hour), (0.56, 0.07, hour * 12)):
        b.part("hand", g.turn(g.petal(-0.08, 0, length, width, 0), angle), DARK, volume=0.2)
    b.part("hand", g.ellipse(0, 0, 0.07), b.colors[2])


def cup(b: Brush) -> None:
    """A cup with a handle on a saucer."""
    color, second = b.colors[0], b.colors[1]
    b.part("saucer", g.ellipse(0, 0.68, 0.85, 0.17), tone(color, 0.9), volume=0.8)
    b.part("saucer", g.ellipse(0, 0.64, 0.5, 0.08), tone(color, 0.65), volume=0.2)
    b.handle(0.55, 0.0, 0.36, 0.2, -1.7, 1.9, tone(color, 0.95))
    wide = b.between(0.42, 0.5)
    side = g.smooth(
        (-0.62, -0.5),
        (-0.6, 0.1),
        (-wide, 0.6),
        (0, 0.68),
        (wide, 0.6),
        (0.6, 0.1),
        (0.62, -0.5),
        (0, -0.46),
    )
    kinds = (
        stripes(b.between(3, 6), 1.57),
        dots(b.between(8, 12)),
        stripes(b.between(6, 10)),
        checks(b.between(3, 5)),
    )
    b.part("bowl", side, color, (kinds[b.rng.integers(4)], second), 1.0)
    b.part("bowl", g.ellipse(0, -0.5, 0.62, 0.15), tone(color, 1.15), volume=0.2)
    b.part("bowl", g.ellipse(0, -0.48, 0.54, 0.11), (0.3, 0.17, 0.08), volume=0.2)


def teapot(b: Brush) -> None:
    """A round pot with spout, lid and handle."""
    color, second = b.colors[0], b.colors[1]
    b.handle(-0.55, 0.05, 0.38, 0.24, 1.6, 4.9, tone(color, 0.8))
    spout = g.smooth(
        (0.45, 0.3), (0.75, -0.05), (0.95, -0.38), (0.82, -0.42), (0.55, -0.15), (0.4, 0.0)
    )
    b.part("spout", spout, tone(color, 0.92), volume=0.8)
    kinds = (dots(b.between(7, 10)), stripes(b.between(4, 7), 1.57), stripes(b.between(5, 8), 0.7))
    pot = g.ellipse(0, 0.15, 0.64, 0.55)
    b.part("bowl", pot, color, (kinds[b.rng.integers(3)], second), 1.1)
    b.part("lid", g.ellipse(0, -0.34, 0.34, 0.13), tone(second, 0.9), volume=0.8)
    b.part("lid", g.ellipse(0, -0.52, 0.1), tone(second, 0.75), volume=0.9)
    b.part("bowl", g.rectangle(-0.35, 0.65, 0.35, 0.74, 0.04), tone(color, 0.6))


def umbrella(b: Brush) -> None:
    """An open umbrella."""
    b.part("shaft", g.line((0, -0.75), (0, 0.75), 0.06), (0.4, 0.28, 0.18))
    b.handle(0.13, 0.75, 0.17, 0.1, 0.0, 3.14, (0.4, 0.28, 0.18))
    t = np.linspace(np.pi, 2 * np.pi, 30)
    dome = np.stack([0.92 * np.cos(t), 0.85 * np.sin(t) + 0.05], 1)
    ribs = int(b.rng.integers(4, 7))
    x = np.linspace(0.92, -0.92, ribs * 8 + 1)
    scallop = np.stack([x, 0.05 - 0.12 * np.abs(np.sin(np.pi * ribs * (x + 0.92) / 1.84))], 1)
    shape = np.concatenate([dome, scallop])
    kinds = (rays(ribs * 2, 0, 1.2), stripes(b.between(3, 6), 1.57), dots(b.between(8, 12)))
    b.part("canopy", shape, b.colors[0], (kinds[b.rng.integers(3)], b.colors[1]), 1.0)
    b.part("shaft", g.line((0, -0.98), (0, -0.78), 0.05), DARK)


def guitar(b: Brush) -> None:
    """A guitar, upright."""
    wood = mix(b.colors[0], (0.75, 0.45, 0.2), 0.6)
    b.part(
        "neck",
        g.rectangle(-0.08, -0.78, 0.08, 0.1),
        (0.3, 0.18, 0.1),
        (stripes(14, 1.57), (0.7, 0.65, 0.5)),
        0.4,
    )
    b.part("head", g.smooth((-0.1, -0.74), (-0.16, -0.98), (0.16, -0.98), (0.1, -0.74)), DARK)
    body = g.smooth(
        (0, -0.14),
        (0.34, -0.08),
        (0.3, 0.22),
        (0.5, 0.58),
        (0.3, 0.93),
        (0, 0.98),
        (-0.3, 0.93),
        (-0.5, 0.58),
        (-0.3, 0.22),
        (-0.34, -0.08),
    )
    b.part("body", body, wood, (planks(7, int(b.rng.integers(99))), tone(wood, 0.75)), 0.9)
    b.part("hole", g.ellipse(0, 0.34, 0.17), b.colors[1], volume=0.2)
    b.part("hole", g.ellipse(0, 0.34, 0.13), (0.06, 0.04, 0.03), volume=0)
    b.part("body", g.rectangle(-0.2, 0.68, 0.2, 0.76, 0.03), DARK)
    for i in range(4):
        x = -0.05 + 0.033 * i
        b.part("string", g.line((x, -0.78), (x, 0.7), 0.012), PALE, volume=0)
