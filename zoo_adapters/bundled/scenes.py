"""Scenes: pictures of one object among clutter, drawn by seed, with exact masks.

    scene(seed).image      (size, size, 3) uint8
    scene(seed).object     which pixels show the object's silhouette, occluders taken off
    scene(seed).parts      the same for each of its parts: wheels, windows, eyes, petals ...

The same seed gives the same composition at every size, on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo_adapters.bundled import animals, backgrounds, buildings, plants, vehicles
from zoo_adapters.bundled.brush import Brush, palette
from zoo_adapters.bundled.canvas import Canvas, Light, Pose, Style, blurred

__all__ = ["CLASSES", "PARTS", "SIZE", "Scene", "scene"]

SIZE = 128
DRAW: dict[str, Callable[[Brush], None]] = {
    draw.__name__: draw
    for draw in (
        vehicles.car, vehicles.bus, vehicles.bicycle, vehicles.train, vehicles.sailboat,
        vehicles.balloon, vehicles.rocket, buildings.house, buildings.lighthouse,
        buildings.castle, buildings.clock, buildings.cup, buildings.teapot, buildings.umbrella,
        buildings.guitar, plants.tree, plants.fir, plants.sunflower, plants.daisy, plants.tulip,
        plants.mushroom, plants.strawberry, animals.fish, animals.bird, animals.owl,
        animals.butterfly, animals.ladybird, animals.snail, animals.cat, animals.zebra,
        animals.cow, animals.face,
    )
}  # fmt: skip
CLASSES = tuple(DRAW)
PARTS = (
    "antenna", "basket", "beak", "bell", "body", "bowl", "canopy", "cap", "chimney", "crown",
    "dial", "disc", "door", "ear", "envelope", "eye", "fin", "flag", "flame", "frame", "fruit",
    "gills", "glasses", "hair", "hand", "handle", "head", "hole", "horn", "hull", "lamp", "leaf",
    "leg", "lid", "mane", "mast", "mouth", "muzzle", "neck", "nose", "petal", "rim", "roof",
    "rope", "saddle", "sail", "saucer", "shaft", "shell", "spot", "spout", "stem", "string",
    "tail", "trunk", "udder", "wall", "wheel", "whisker", "window", "wing",
)  # fmt: skip
UPRIGHT = 0.12  # standard deviation of the tilt, radians


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and what is where in it."""

    image: NDArray[np.uint8]  # (size, size, 3)
    label: int  # index into CLASSES
    seed: int
    object: NDArray[np.bool_]  # (size, size)
    parts: dict[str, NDArray[np.bool_]]  # each (size, size), visible pixels

    @property
    def name(self) -> str:
        """The class in words."""
        return CLASSES[self.label]


def scene(seed: int, label: int | None = None, size: int = SIZE) -> Scene:
    """The scene of a seed; `label` (index into CLASSES) overrides the class that it would show."""
    rng = np.random.default_rng([seed, 20260])
    chosen = int(rng.integers(len(CLASSES)))
    label = chosen if label is None else label
    side = size * 2 if size < 256 else size * 3 // 2
    angle = rng.uniform(0, 2 * np.pi)
    light = Light(float(np.cos(angle)) * 0.8, -abs(float(np.sin(angle))), rng.uniform(0.5, 1.0))
    outlined = rng.random() < 0.4
    style = Style(rng.uniform(0.004, 0.012), rng.uniform(0.4, 0.9) if outlined else 0.0)
    canvas = Canvas(backgrounds.background(side, rng), light, style)
    backgrounds.clutter(canvas, rng)
    _object(canvas, label, rng)
    backgrounds.in_front(canvas, rng)
    return _developed(canvas, label, seed, size, rng)


def _object(canvas: Canvas, label: int, rng: np.random.Generator) -> None:
    """Draw the object, and its soft shadow round it."""
    brush = Brush(canvas, _pose(rng), rng, palette(rng))
    DRAW[CLASSES[label]](brush)
    _shadow(canvas)


def _pose(rng: np.random.Generator) -> Pose:
    """Scale, tilt, mirror, stretch and place, so that most of the object is in the picture."""
    scale = rng.uniform(0.27, 0.47)
    angle = rng.normal() * UPRIGHT
    mirror = rng.choice([-1.0, 1.0])
    c, s = np.cos(angle), np.sin(angle)
    stretch = np.diag([mirror * rng.uniform(0.88, 1.12), rng.uniform(0.9, 1.1)])
    slant = np.array([[1, 0], [rng.normal() * 0.08, 1]])
    matrix = scale * stretch @ slant @ np.array([[c, s], [-s, c]])
    room = max(0.5 - scale * 0.95, 0.04)
    return Pose(matrix, 0.5 + rng.uniform(-room, room, 2))


def _shadow(canvas: Canvas) -> None:
    side = canvas.side
    dark = blurred(canvas.outline.astype(np.float32), side * 0.03)
    shift = (round(-canvas.light.y * side * 0.035), round(-canvas.light.x * side * 0.035))
    dark = np.roll(dark, shift, (0, 1))
    dark *= ~canvas.outline  # it falls on the background, not on the object
    canvas.rgb *= 1 - 0.5 * canvas.light.strength * dark[..., None]


def _developed(canvas: Canvas, label: int, seed: int, size: int, rng: np.random.Generator) -> Scene:
    """Exposure, tint, vignette and grain; then reduced to its size."""
    rgb = canvas.rgb * rng.uniform(0.85, 1.15, 3).astype(np.float32) * rng.uniform(0.85, 1.12)
    line = np.linspace(-1, 1, canvas.side, dtype=np.float32)
    radius = line[:, None] ** 2 + line[None] ** 2
    rgb = rgb * (1 - rng.uniform(0, 0.18) * radius[..., None])
    picture = Image.fromarray((np.clip(rgb, 0, 1) * 255).astype(np.uint8))
    small = np.asarray(picture.resize((size, size), Image.Resampling.BOX), np.float32)
    grain = np.random.default_rng([seed, 1]).normal(size=(size, size, 1)) * rng.uniform(0, 4)
    image = np.clip(small + grain, 0, 255).astype(np.uint8)
    centers = ((np.arange(size) + 0.5) * canvas.side / size).astype(int)
    owner = canvas.owner[np.ix_(centers, centers)]
    inside = canvas.outline[np.ix_(centers, centers)] & (owner != 255)
    parts = {name: owner == i + 1 for i, name in enumerate(canvas.parts)}
    return Scene(image, label, seed, inside, {n: m for n, m in parts.items() if m.any()})
