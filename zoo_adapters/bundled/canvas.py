"""The canvas: parts painted one over the other, shaded, with a record of whose pixel is whose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from zoo_adapters.bundled.geometry import Points
from zoo_adapters.bundled.textures import Array, Texture

__all__ = ["Canvas", "Light", "Pose", "Style", "blurred", "outline_mask"]

Color = Sequence[float]


@dataclass(frozen=True)
class Pose:
    """Object coordinates -> picture coordinates in [0, 1]: point @ matrix + shift."""

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]

    def forward(self, points: Points) -> Points:
        """Picture coordinates of object points."""
        return points @ self.matrix + self.shift

    def backward(self, points: Points) -> Points:
        """Object coordinates of picture points."""
        return (points - self.shift) @ np.linalg.inv(self.matrix)


@dataclass(frozen=True)
class Light:
    """Where the light comes from, on the picture, and how strong shading is."""

    x: float
    y: float
    strength: float


@dataclass(frozen=True)
class Style:
    """Outlines: how wide, in picture widths, and how dark (0 = none)."""

    width: float
    dark: float


@dataclass
class Canvas:
    """A picture in the making, `side` pixels square."""

    rgb: Array  # (side, side, 3) in [0, 1]
    light: Light
    style: Style
    parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.side = len(self.rgb)
        self.owner = np.zeros((self.side, self.side), np.uint8)  # 0: background, 255: in front
        self.outline = np.zeros((self.side, self.side), bool)  # filled silhouette

    def paint(
        self,
        pose: Pose,
        shape: Points | Sequence[Points],
        color: Color,
        *,
        part: str | None,
        texture: tuple[Texture, Color] | None = None,
        volume: float = 0.5,
        grain: Array | None = None,
    ) -> None:
        """Fill an outline (several: at once) with a colour, a texture over it, and light.

        `part` names what it belongs to; None: an occluder in front, "": background clutter.
        `volume`: how round it looks, 0 = flat.
        """
        shapes = [shape] if isinstance(shape, np.ndarray) else list(shape)
        drawn = [pose.forward(s) * self.side for s in shapes]
        box = self._box(drawn)
        if box is None:
            return
        left, top, right, bottom = box
        mask = outline_mask(drawn, box)
        fill: Array = np.broadcast_to(np.asarray(color, np.float32), (*mask.shape, 3))
        if texture is not None:
            u, v = self._coordinates(pose, box)
            amount = texture[0](u, v)[..., None]
            fill = fill * (1 - amount) + np.asarray(texture[1], np.float32) * amount
        if volume:
            fill = fill * self._shading(mask, volume)[..., None]
        if grain is not None:
            fill = fill * (0.85 + 0.3 * grain[top:bottom, left:right, None])
        here = self.rgb[top:bottom, left:right]
        here += (np.clip(fill, 0, 1) - here) * mask[..., None]
        if self.style.dark and part is not None:
            self._line(drawn, box, fill)
        self._own(part, mask > 0.5, box)

    def _box(self, drawn: Sequence[Points]) -> tuple[int, int, int, int] | None:
        points = np.concatenate(drawn)
        low, high = np.floor(points.min(0)).astype(int) - 3, np.ceil(points.max(0)).astype(int) + 3
        left, top = np.clip(low, 0, self.side)
        right, bottom = np.clip(high, 0, self.side)
        return None if right - left < 2 or bottom - top < 2 else (left, top, right, bottom)

    def _coordinates(self, pose: Pose, box: tuple[int, int, int, int]) -> tuple[Array, Array]:
        left, top, right, bottom = box
        x, y = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
        points = pose.backward(np.stack([x, y], -1).reshape(-1, 2) / self.side)
        uv = points.reshape(*x.shape, 2).astype(np.float32)
        return uv[..., 0], uv[..., 1]

    def _shading(self, mask: Array, volume: float) -> Array:
        """Lambert's law on a cushion: the slope of the blurred mask against the light."""
        reach = min(mask.shape) * 0.16
        height = blurred(mask, reach)
        dy, dx = np.gradient(height)
        slope = (dx * self.light.x + dy * self.light.y) * reach * 2.2
        shade = 1 + volume * self.light.strength * np.clip(-slope, -1, 1)
        return np.clip(shade, 0.4, 1.5).astype(np.float32)

    def _line(self, drawn: Sequence[Points], box: tuple[int, int, int, int], fill: Array) -> None:
        left, top, right, bottom = box
        picture = Image.new("L", (right - left, bottom - top))
        pen = ImageDraw.Draw(picture)
        width = max(1, round(self.style.width * self.side))
        for points in drawn:
            closed = [tuple(p) for p in np.concatenate([points, points[:1]]) - (left, top)]
            pen.line(closed, fill=255, width=width, joint="curve")
        alpha = np.asarray(picture, np.float32)[..., None] / 255 * self.style.dark
        here = self.rgb[top:bottom, left:right]
        here += (fill * 0.25 - here) * alpha

    def _own(self, part: str | None, inside: NDArray[np.bool_], box: Sequence[int]) -> None:
        left, top, right, bottom = box
        owner = self.owner[top:bottom, left:right]
        if part is None:
            owner[inside] = 255
        elif part:
            if part not in self.parts:
                self.parts.append(part)
            owner[inside] = self.parts.index(part) + 1
            self.outline[top:bottom, left:right] |= inside


def outline_mask(drawn: Sequence[Points], box: tuple[int, int, int, int]) -> Array:
    """Which pixels of a box (left, top, right, bottom) lie in any of the outlines, 0 or 1."""
    left, top, right, bottom = box
    picture = Image.new("L", (right - left, bottom - top))
    pen = ImageDraw.Draw(picture)
    for points in drawn:
        pen.polygon([tuple(p) for p in points - (left, top)], fill=255)
    return np.asarray(picture, np.float32) / 255


def blurred(mask: Array, radius: float) -> Array:
    """A mask in [0, 1], blurred over `radius` pixels."""
    picture = Image.fromarray((mask * 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.BoxBlur(radius)), np.float32) / 255
