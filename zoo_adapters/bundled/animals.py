"""Animals and a face. Each function paints one object of its class."""

from __future__ import annotations

import numpy as np

from zoo_adapters.bundled import geometry as g
from zoo_adapters.bundled.brush import DARK, PALE, Brush, Color, hsv, mix, tone
from zoo_adapters.bundled.textures import patches, scales, spiral, stripes


def fish(b: Brush) -> None:
    """A fish that swims to the right."""
    color, second = b.colors[0], b.colors[1]
    tail = g.smooth((-0.5, 0), (-0.95, -0.42), (-0.82, 0), (-0.95, 0.42))
    b.part("fin", tail, second, (stripes(16, 1.57), tone(second, 0.7)), 0.5)
    top = g.smooth((-0.3, -0.3), (-0.05, -0.72), (0.35, -0.3))
    b.part("fin", top, second, (stripes(16), tone(second, 0.7)), 0.5)
    body = g.smooth(
        (0.88, 0.02),
        (0.5, -0.34),
        (0, -0.44),
        (-0.4, -0.2),
        (-0.62, 0),
        (-0.4, 0.2),
        (0, 0.42),
        (0.5, 0.32),
    )
    kinds = (scales(b.between(12, 18)), stripes(b.between(4, 8)), stripes(b.between(4, 8), 1.57))
    b.part("body", body, color, (kinds[b.rng.integers(3)], tone(second, 0.85)), 1.1)
    b.part("fin", g.petal(0.05, 0.1, 0.4, 0.26, 2.5), second, volume=0.6)
    b.eye(0.56, -0.08, 0.11)
    b.part("mouth", g.ellipse(0.84, 0.08, 0.07, 0.035), tone(color, 0.5))


def bird(b: Brush) -> None:
    """A songbird on its legs."""
    color, belly = b.colors[0], mix(PALE, b.colors[1], 0.4)
    b.legs((-0.05, 0.14), 0.4, 0.88, 0.06, (0.8, 0.5, 0.15))
    tail = g.polygon((-0.4, 0.1), (-0.98, 0.3), (-0.95, 0.5), (-0.35, 0.35))
    b.part("tail", tail, tone(color, 0.7), (stripes(12, 1.2), tone(color, 0.5)))
    body = g.smooth((0.45, -0.3), (0.5, 0.2), (0.1, 0.55), (-0.4, 0.4), (-0.5, 0.1), (0, -0.25))
    b.part("body", body, color, volume=1.0)
    b.part("body", g.ellipse(0.22, 0.26, 0.26, 0.24), belly, volume=0.4)
    b.part("head", g.ellipse(0.36, -0.42, 0.32), color, volume=0.9)
    b.beak(0.64, -0.4, 0.28)
    b.eye(0.44, -0.48, 0.09)
    wing = g.smooth((0.2, -0.08), (-0.1, -0.14), (-0.75, 0.28), (-0.2, 0.36))
    b.wing(wing, tone(color, 0.75), scales(16))


def owl(b: Brush) -> None:
    """A round owl with large eyes."""
    color = mix(b.colors[0], (0.55, 0.4, 0.25), 0.5)
    for side in (-1, 1):
        ear = g.polygon((side * 0.2, -0.65), (side * 0.55, -0.97), (side * 0.55, -0.4))
        b.part("ear", ear, tone(color, 0.8))
    b.part("body", g.ellipse(0, 0.25, 0.58, 0.68), color, (scales(14), tone(color, 0.6)), 1.0)
    b.part("head", g.ellipse(0, -0.38, 0.58, 0.45), color, volume=0.9)
    belly = mix(PALE, color, 0.35)
    b.part("body", g.ellipse(0, 0.4, 0.36, 0.45), belly, (scales(18), tone(belly, 0.6)), 0.5)
    for side in (-1, 1):
        b.part("head", g.ellipse(side * 0.25, -0.36, 0.28), mix(PALE, color, 0.3), volume=0.2)
        b.eye(side * 0.25, -0.36, 0.2, hsv(b.between(0.08, 0.15), 0.9, 0.95))
        wing = g.petal(side * 0.5, -0.05, 0.85, 0.36, np.pi / 2 + side * 0.12)
        b.wing(wing, tone(color, 0.8), stripes(14, 1.57))
        b.part("leg", g.ellipse(side * 0.2, 0.92, 0.13, 0.07), (0.9, 0.6, 0.15))
    b.beak(0, -0.3, 0.2, 0)


def butterfly(b: Brush) -> None:
    """Four patterned wings."""
    color, spot = b.colors[0], b.colors[1]
    high, low = b.between(0.75, 0.95), b.between(0.5, 0.7)
    for side in (-1, 1):
        lower = g.smooth(
            (0, 0.05),
            (side * 0.55, 0.1),
            (side * low, 0.55),
            (side * 0.35, 0.8),
            (side * 0.08, 0.4),
        )
        upper = g.smooth(
            (0, 0.05),
            (side * 0.25, -0.55),
            (side * high, -0.75),
            (side * 0.9, -0.2),
            (side * 0.4, 0.12),
        )
        for shape in (lower, upper):
            b.part("wing", shape, tone(color, 0.35), volume=0.4)
            middle = shape.mean(0)
            b.part("wing", (shape - middle) * 0.86 + middle, color, volume=0.4)
            for r, c in ((0.16, spot), (0.1, DARK), (0.04, PALE)):
                b.part("spot", g.ellipse(middle[0] * 1.12, middle[1] * 1.12, r), c, volume=0)
        curl = g.smooth((0, -0.35), (side * 0.12, -0.65), (side * 0.3, -0.88), closed=False)
        for start, end in zip(curl[:-4:4], curl[4::4], strict=False):
            b.part("antenna", g.line(start, end, 0.035), DARK, volume=0)
        b.part("antenna", g.ellipse(side * 0.27, -0.85, 0.05), DARK)
    b.part("body", g.ellipse(0, 0.12, 0.09, 0.5), tone(spot, 0.4), (stripes(16, 1.57), DARK), 0.9)


def ladybird(b: Brush) -> None:
    """A shell with dots, from above."""
    for side in (-1, 1):
        for y, reach in ((-0.2, 0.78), (0.15, 0.85), (0.5, 0.75)):
            b.part("leg", g.line((side * 0.4, y), (side * reach, y + 0.16), 0.07), DARK)
        b.part("antenna", g.line((side * 0.1, -0.75), (side * 0.3, -0.97), 0.04), DARK)
    b.part("head", g.ellipse(0, -0.6, 0.32, 0.25), DARK, volume=0.9)
    for side in (-1, 1):
        b.eye(side * 0.17, -0.7, 0.08)
    red = hsv(b.between(-0.02, 0.08), 0.9, b.between(0.75, 0.95))
    b.part("shell", g.ellipse(0, 0.15, 0.64, 0.7), red, volume=1.2)
    b.part("shell", g.line((0, -0.52), (0, 0.84), 0.04), DARK, volume=0)
    for x, y in ((0.26, -0.2), (0.4, 0.2), (0.2, 0.5), (0.14, 0.1)):
        for side in (-1, 1):
            b.part("spot", g.ellipse(side * x, y, b.between(0.08, 0.12)), DARK, volume=0.3)


def snail(b: Brush) -> None:
    """A spiral shell on a soft foot."""
    skin, shell = hsv(b.between(0.05, 0.15), 0.4, b.between(0.6, 0.85)), b.colors[0]
    foot = g.smooth(
        (-0.95, 0.62),
        (-0.4, 0.45),
        (0.45, 0.4),
        (0.6, -0.1),
        (0.82, -0.15),
        (0.9, 0.3),
        (0.7, 0.62),
    )
    b.part("body", foot, skin, volume=0.9)
    for x in (0.62, 0.86):
        b.part("antenna", g.line((x - 0.05, -0.1), (x + 0.03, -0.5), 0.06), skin)
        b.eye(x + 0.03, -0.54, 0.08)
    b.part("mouth", g.ring(0.8, 0.08, 0.08, 0.05, 0.3, 2.6), tone(skin, 0.5), volume=0)
    coil = (spiral(b.between(2.6, 3.6), -0.12, -0.02), tone(shell, 0.45))
    b.part("shell", g.ellipse(-0.12, -0.02, 0.58), shell, coil, 1.2)


def cat(b: Brush) -> None:
    """A cat's head."""
    fur = mix(b.colors[0], (0.7, 0.5, 0.3), 0.5)
    for side in (-1, 1):
        ear = g.polygon((side * 0.15, -0.5), (side * 0.68, -0.97), (side * 0.72, -0.2))
        b.part("ear", ear, fur, volume=0.6)
        b.part("ear", (ear - ear.mean(0)) * 0.55 + ear.mean(0), (0.9, 0.6, 0.6), volume=0.3)
    tabby = (stripes(b.between(6, 9), 0, wave=0.06), tone(fur, 0.6))
    head = g.smooth(
        (0, -0.58),
        (0.55, -0.45),
        (0.82, 0.1),
        (0.5, 0.6),
        (0, 0.78),
        (-0.5, 0.6),
        (-0.82, 0.1),
        (-0.55, -0.45),
    )
    b.part("head", head, fur, tabby if b.chance(0.7) else None, 1.0)
    for side in (-1, 1):
        b.eye(side * 0.34, -0.05, 0.19, hsv(b.between(0.15, 0.5), 0.7, 0.85))
        b.part("muzzle", g.ellipse(side * 0.15, 0.36, 0.2, 0.16), mix(PALE, fur, 0.3), volume=0.7)
        for i in (-1, 0, 1):
            whisker = g.line((side * 0.25, 0.35 + 0.05 * i), (side * 0.92, 0.32 + 0.14 * i), 0.018)
            b.part("whisker", whisker, PALE, volume=0)
    b.part("nose", g.polygon((-0.1, 0.2), (0.1, 0.2), (0, 0.32)), (0.9, 0.45, 0.5))


def zebra(b: Brush) -> None:
    """A striped horse from the side."""
    coat = (stripes(b.between(11, 15), 0.1, wave=0.04), DARK)
    white: Color = mix(PALE, b.colors[0], 0.08)
    tail = g.smooth((-0.62, -0.15), (-0.85, 0.1), (-0.8, 0.45), (-0.72, 0.1))
    b.part("tail", tail, white, coat)
    for x in (-0.52, -0.34, 0.14, 0.3):
        b.part(
            "leg",
            g.line((x, 0.15), (x + b.between(-0.05, 0.05), 0.88), 0.15),
            white,
            (stripes(12, 1.57), DARK),
            0.8,
        )
        b.part("leg", g.rectangle(x - 0.08, 0.84, x + 0.08, 0.94), DARK)
    neck = g.smooth((0.15, -0.2), (0.45, -0.8), (0.7, -0.82), (0.6, -0.4), (0.42, 0.1))
    b.part(
        "mane",
        g.smooth((0.1, -0.22), (0.4, -0.95), (0.6, -0.92), (0.35, -0.2)),
        DARK,
        (stripes(20, 1.2), PALE),
        0.3,
    )
    b.part(
        "body",
        g.smooth((-0.66, -0.2), (0.1, -0.26), (0.48, -0.1), (0.4, 0.3), (-0.1, 0.34), (-0.6, 0.28)),
        white,
        coat,
        1.0,
    )
    b.part("body", neck, white, (stripes(12, 1.1), DARK), 0.8)
    head = g.smooth((0.5, -0.88), (0.7, -0.8), (0.97, -0.48), (0.88, -0.34), (0.58, -0.55))
    b.part("head", head, white, (stripes(14, 0.6), DARK), 0.8)
    b.part("ear", g.petal(0.52, -0.8, 0.2, 0.11, -1.7), white)
    b.part("nose", g.ellipse(0.91, -0.42, 0.09), DARK)
    b.eye(0.68, -0.68, 0.07)


def cow(b: Brush) -> None:
    """A patched cow from the side."""
    white = mix(PALE, b.colors[0], 0.06)
    spots = (
        patches(1.1, int(b.rng.integers(99)), 0.5),
        ((0.15, 0.12, 0.12) if b.chance(0.6) else (0.5, 0.28, 0.14)),
    )
    b.legs((-0.55, -0.35, 0.2, 0.4), 0.15, 0.85, 0.14, white)
    b.part("tail", g.line((-0.7, -0.2), (-0.85, 0.4), 0.05), white)
    b.part("udder", g.ellipse(-0.25, 0.32, 0.16, 0.12), (0.95, 0.7, 0.7))
    b.part("body", g.rectangle(-0.76, -0.38, 0.56, 0.32, 0.22), white, spots, 1.0)
    for side in (-1, 1):
        horn = g.smooth(
            (0.66 + side * 0.12, -0.5),
            (0.66 + side * 0.3, -0.66),
            (0.66 + side * 0.24, -0.85),
            (0.66 + side * 0.2, -0.62),
        )
        b.part("horn", horn, (0.85, 0.8, 0.65))
        b.part(
            "ear", g.petal(0.66 + side * 0.16, -0.42, 0.26, 0.14, 0.2 if side > 0 else 2.9), white
        )
    b.part(
        "head",
        g.smooth((0.66, -0.6), (0.88, -0.45), (0.84, 0.0), (0.66, 0.1), (0.48, 0.0), (0.44, -0.45)),
        white,
        spots,
        0.9,
    )
    b.part("nose", g.ellipse(0.66, 0.02, 0.2, 0.13), (0.95, 0.7, 0.68))
    for x in (0.56, 0.78):
        b.eye(x, -0.32, 0.07)


def face(b: Brush) -> None:
    """A person's face."""
    skin = hsv(b.between(0.04, 0.09), b.between(0.25, 0.6), b.between(0.45, 0.98))
    hair = (DARK, (0.35, 0.2, 0.1), (0.85, 0.65, 0.3), (0.6, 0.25, 0.1), (0.6, 0.6, 0.62))[
        b.rng.integers(5)
    ]
    strands = (stripes(30, 0.2, wave=0.05), tone(hair, 0.7))
    if b.chance(0.5):
        b.part(
            "hair",
            g.smooth((0, -0.95), (0.75, -0.6), (0.8, 0.6), (0, 0.3), (-0.8, 0.6), (-0.75, -0.6)),
            hair,
            strands,
            0.6,
        )
    for side in (-1, 1):
        b.part("ear", g.ellipse(side * 0.58, 0.02, 0.11, 0.17), tone(skin, 0.92))
    b.part(
        "head",
        g.smooth(
            (0, -0.75),
            (0.52, -0.45),
            (0.55, 0.2),
            (0.28, 0.72),
            (0, 0.85),
            (-0.28, 0.72),
            (-0.55, 0.2),
            (-0.52, -0.45),
        ),
        skin,
        volume=0.8,
    )
    fringe = g.smooth(
        (0, -0.92),
        (0.6, -0.65),
        (0.6, -0.25),
        (0.25, -0.5),
        (-0.3, -0.42),
        (-0.6, -0.2),
        (-0.6, -0.65),
    )
    b.part("hair", fringe, hair, strands, 0.7)
    for side in (-1, 1):
        b.eye(side * 0.24, -0.06, 0.12)
        brow = g.line((side * 0.12, -0.25), (side * 0.38, -0.24 + b.between(-0.06, 0.06)), 0.05)
        b.part("hair", brow, tone(hair, 0.8), volume=0)
    b.part("nose", g.smooth((-0.02, 0.02), (0.1, 0.26), (0, 0.32), (-0.1, 0.26)), tone(skin, 0.88))
    smile = b.between(0.4, 1.3)
    b.part(
        "mouth",
        g.ring(0, 0.52 - 0.14 * smile, 0.24, 0.15, 1.57 - smile, 1.57 + smile),
        (0.75, 0.25, 0.28),
        volume=0.3,
    )
    if b.chance(0.3):
        for side in (-1, 1):
            b.part("glasses", g.ring(side * 0.25, -0.05, 0.2, 0.165), DARK, volume=0)
        b.part("glasses", g.line((-0.07, -0.06), (0.07, -0.06), 0.04), DARK, volume=0)
