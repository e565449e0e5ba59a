"""Vehicles: what rolls, sails and flies. Each function paints one object of its class."""

from __future__ import annotations

import numpy as np

from zoo_adapters.bundled import geometry as g
from zoo_adapters.bundled.brush import DARK, PALE, Brush, hsv, mix, tone
from zoo_adapters.bundled.textures import planks, rays, stripes


def car(b: Brush) -> None:
    """A car from the side."""
    body, long = b.colors[0], b.between(0.28, 0.42)
    cabin = g.smooth((-0.55, -0.02), (-0.4, -long), (0.25, -long), (0.55, -0.02), steps=6)
    b.part("body", cabin, tone(body, 0.9))
    b.window(-0.4, -long + 0.06, -0.05, -0.04, 1)
    b.window(0.0, -long + 0.06, 0.34, -0.04, 1)
    hull = g.smooth(
        (-0.95, 0.1),
        (-0.7, -0.06),
        (0.0, -0.08),
        (0.72, -0.05),
        (0.98, 0.12),
        (0.93, 0.32),
        (0.0, 0.34),
        (-0.93, 0.32),
    )
    b.part("body", hull, body, volume=0.8)
    if b.chance(0.4):
        b.part("body", g.rectangle(-0.85, 0.1, 0.88, 0.17), b.colors[1], volume=0.2)
    b.part("lamp", g.ellipse(0.88, 0.1, 0.08, 0.06), (1.0, 0.93, 0.6))
    b.part("lamp", g.ellipse(-0.9, 0.12, 0.05, 0.06), (0.85, 0.15, 0.12))
    for x in (-0.55, 0.55):
        b.wheel(x, 0.34, b.between(0.2, 0.25))


def bus(b: Brush) -> None:
    """A bus from the side."""
    body = b.colors[0]
    b.part("body", g.rectangle(-0.95, -0.5, 0.95, 0.4, 0.12), body, volume=0.7)
    b.part("body", g.rectangle(-0.94, 0.08, 0.94, 0.2), b.colors[1], volume=0.2)
    count = int(b.rng.integers(3, 5))
    step = 1.3 / count
    for i in range(count):
        left = -0.86 + i * step
        b.window(left, -0.38, left + step * 0.86, 0.02, 1)
    b.door(0.52, -0.36, 0.8, 0.36)
    b.part("lamp", g.ellipse(0.92, 0.26, 0.05, 0.07), (1.0, 0.93, 0.6))
    for x in (-0.55, 0.3):
        b.wheel(x, 0.42, 0.2)


def bicycle(b: Brush) -> None:
    """A bicycle from the side; its wheels are rings with thin spokes."""
    color, r = b.colors[0], b.between(0.4, 0.46)
    for x in (-0.55, 0.55):
        b.part("wheel", g.ring(x, 0.3, r, r * 0.84), DARK)
        for i in range(5):
            spoke = g.line((-r * 0.86, 0), (r * 0.86, 0), 0.025)
            ray = np.add(g.turn(spoke, i * 0.628), (x, 0.3))
            b.part("wheel", ray, (0.6, 0.6, 0.64), volume=0)
        b.part("wheel", g.ellipse(x, 0.3, 0.07), (0.7, 0.7, 0.74))
    joints = {"back": (-0.55, 0.3), "front": (0.55, 0.3), "pedal": (-0.05, 0.32)}
    seat, fork = (-0.22, -0.3), (0.38, -0.3)
    bars = (
        (joints["back"], joints["pedal"]),
        (joints["pedal"], seat),
        (joints["back"], seat),
        (seat, fork),
        (joints["pedal"], fork),
        (fork, joints["front"]),
    )
    for start, end in bars:
        b.part("frame", g.line(start, end, 0.09), color, volume=0.7)
    b.part("saddle", g.smooth((-0.42, -0.4), (-0.2, -0.45), (-0.02, -0.38), (-0.2, -0.32)), DARK)
    b.part("handle", g.line(fork, (0.34, -0.5), 0.07), color)
    b.handle(0.44, -0.46, 0.16, 0.09, 2.4, 6.2, DARK)
    b.part("frame", g.ring(*joints["pedal"], 0.13, 0.07), tone(color, 0.6))


def train(b: Brush) -> None:
    """A steam engine."""
    body, second = b.colors[0], b.colors[1]
    b.part(
        "body", g.rectangle(-0.35, -0.22, 0.82, 0.25, 0.1), body, (stripes(5), tone(body, 0.7)), 0.9
    )
    b.part("body", g.rectangle(-0.9, -0.55, -0.3, 0.25), second)
    b.window(-0.78, -0.45, -0.42, -0.1, 1)
    b.part("roof", g.rectangle(-0.98, -0.66, -0.22, -0.54, 0.05), tone(second, 0.6))
    b.chimney(0.55, -0.62, -0.2, 0.2, tone(body, 0.6))
    b.part("body", g.ellipse(0.15, -0.24, 0.14, 0.12), (0.85, 0.7, 0.25))
    b.part("lamp", g.ellipse(0.86, -0.1, 0.09), (1.0, 0.93, 0.6))
    b.part("body", g.rectangle(-0.92, 0.22, 0.9, 0.32), DARK)
    for x in (-0.65, -0.1, 0.4):
        b.wheel(x, 0.4, b.between(0.2, 0.24), hsv(0.0, 0.7, 0.75))
    b.part("body", g.polygon((0.8, 0.22), (1.0, 0.55), (0.62, 0.55)), tone(second, 0.8))


def sailboat(b: Brush) -> None:
    """A boat under sail."""
    top = b.between(0.85, 0.95)
    b.part("mast", g.line((0, 0.4), (0, -top), 0.05), (0.45, 0.3, 0.18))
    cloth = mix(PALE, b.colors[0], b.between(0.0, 0.8))
    pattern = (stripes(b.between(4, 9), 1.57 * b.rng.integers(2)), b.colors[1])
    main = g.smooth((0.05, 0.28), (0.06, -0.3), (0.07, -top + 0.04), (0.5, -0.25), (0.7, 0.25))
    b.part("sail", main, cloth, pattern if b.chance(0.6) else None, 0.7)
    jib = g.smooth((-0.05, 0.28), (-0.06, -0.25), (-0.06, -0.7), (-0.4, -0.15), (-0.6, 0.25))
    b.part("sail", jib, tone(cloth, 0.92), volume=0.7)
    wood = b.colors[2]
    hull = g.smooth((-0.85, 0.36), (0.0, 0.4), (0.9, 0.32), (0.6, 0.72), (0.0, 0.78), (-0.55, 0.7))
    b.part("hull", hull, wood, (planks(9), tone(wood, 0.6)), 0.7)
    b.flag(0, -top + 0.05, 0.12)


def balloon(b: Brush) -> None:
    """A hot-air balloon."""
    first, second = b.colors[0], b.colors[1]
    for x in (-0.14, 0.14):
        b.part("rope", g.line((x * 1.6, 0.4), (x, 0.72), 0.02), DARK, volume=0)
    basket = g.rectangle(-0.18, 0.68, 0.18, 0.95, 0.04)
    b.part("basket", basket, (0.6, 0.42, 0.24), (planks(26), (0.35, 0.22, 0.1)))
    skin = g.smooth(
        (0, -0.95),
        (0.5, -0.82),
        (0.72, -0.4),
        (0.6, 0.0),
        (0.22, 0.42),
        (-0.22, 0.42),
        (-0.6, 0.0),
        (-0.72, -0.4),
        (-0.5, -0.82),
    )
    kinds = (
        stripes(b.between(5, 8)),
        rays(int(b.rng.integers(4, 7)), 0, -0.95),
        stripes(b.between(3, 6), 1.57, wave=0.05),
    )
    b.part("envelope", skin, first, (kinds[b.rng.integers(3)], second), 1.0)
    b.part("envelope", g.rectangle(-0.22, 0.36, 0.22, 0.44, 0.03), tone(second, 0.7))


def rocket(b: Brush) -> None:
    """A rocket on its flame."""
    body = mix(PALE, b.colors[0], 0.25)
    for i, hue in enumerate((0.03, 0.09, 0.15)):
        r = 0.2 - 0.06 * i
        flame = g.smooth((-r, 0.52), (0, 0.48), (r, 0.52), (0, 1.0 - 0.14 * i))
        b.part("flame", flame, hsv(hue, 0.9, 1.0), volume=0)
    for side in (-1, 1):
        fin = g.smooth(
            (side * 0.2, 0.1), (side * 0.55, 0.45), (side * 0.5, 0.68), (side * 0.2, 0.5)
        )
        b.part("fin", fin, b.colors[1], volume=0.6)
    hull = g.smooth(
        (0, -0.95),
        (0.24, -0.55),
        (0.3, 0.0),
        (0.22, 0.55),
        (-0.22, 0.55),
        (-0.3, 0.0),
        (-0.24, -0.55),
    )
    b.part("body", hull, body, volume=1.0)
    nose = g.smooth(
        (0, -0.95), (0.15, -0.75), (0.22, -0.52), (0, -0.48), (-0.22, -0.52), (-0.15, -0.75)
    )
    b.part("body", nose, b.colors[1], volume=0.9)
    for y in (-0.25, 0.12):
        b.part("window", g.ellipse(0, y, 0.14), (0.75, 0.75, 0.8))
        b.part("window", g.ellipse(0, y, 0.1), hsv(0.56, 0.5, 0.8), volume=0.2)
        b.part("window", g.ellipse(-0.03, y - 0.03, 0.04), PALE, volume=0)
