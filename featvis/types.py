"""Results: frozen records, each with `.values` and what else its method proves.

Letters: B pictures, C channels, K classes, H x W the network's input in pixels, h x w a map.
A result says nothing about colour: `featvis.render` alone turns it into a picture.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "ATTENTION",
    "WEIGHTS",
    "Attribution",
    "FeatureMaps",
    "Filters",
    "Heatmap",
    "Image",
    "Layout",
    "Place",
    "Preprocessing",
    "ReceptiveField",
    "Rectangle",
    "Result",
    "Synthesis",
    "WrongRequest",
    "brief",
    "precise",
]


ATTENTION = "attention"  # positions are added up with weights made of themselves ...
WEIGHTS = "weights"  # ... or with learned ones: token mixing, recurrence


class WrongRequest(ValueError):
    """A request that cannot be met: what was asked, what is possible, what to do."""


class _Brief(reprlib.Repr):
    """Values of any type in a few words; that of a long whole number would raise."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring, self.maxother, self.maxlevel = 80, 80, 2

    def repr_str(self, x: str, level: int) -> str:
        return repr(x if len(x) <= self.maxstring else f"{x[: self.maxstring - 3]}...")

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() < 128 else "a number of very many digits"


def brief(value: object) -> str:
    """A wrong value as a sentence quotes it: one short line, whatever it is."""
    return _BRIEF.repr(value)


_BRIEF = _Brief()


def precise(tensor: Tensor) -> Tensor:
    """The tensor, in float32 if it is in float16 or bfloat16."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


class Rectangle(NamedTuple):
    """Part of a picture in pixels: rows top to bottom, columns left to right, ends excluded."""

    top: float
    left: float
    bottom: float
    right: float

    @property
    def height(self) -> float:
        """Rows covered."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """Columns covered."""
        return self.right - self.left


class Place(NamedTuple):
    """Where the positions of a map lie on the input: centre of (r, c) = start + (r, c) * step.

    Pixel (0, 0) has its centre at (0.5, 0.5): the left edge of the picture is 0, the right one W.
    """

    start: tuple[float, float]
    step: tuple[float, float]

    def center(self, position: tuple[int, int]) -> tuple[float, float]:
        """Row and column on the input of the centre of `position`."""
        return (
            self.start[0] + position[0] * self.step[0],
            self.start[1] + position[1] * self.step[1],
        )


class Layout(NamedTuple):
    """How the raw output of a layer becomes (B, C, h, w)."""

    kind: str  # axes: "NCHW", "NHWC", of tokens "NLC", "NCL" or "LNC"
    prefix: int = 0  # tokens before the grid: class token, registers
    suffix: int = 0  # tokens behind it

    @property
    def batch(self) -> int:
        """The axis of the pictures."""
        return self.kind.index("N")

    @property
    def channels(self) -> int:
        """The axis of the channels."""
        return self.kind.index("C")

    def to_maps(self, raw: Tensor, size: tuple[int, int]) -> Tensor:
        """Raw output -> (B, C, h, w); `size` is (h, w), needed for tokens only."""
        if self.kind == "NCHW":
            return raw
        if self.kind == "NHWC":
            return raw.permute(0, 3, 1, 2)
        if self.kind == "LNC":
            raw = raw.permute(1, 2, 0)
        if self.kind == "NLC":
            raw = raw.transpose(1, 2)
        if raw.ndim == 4:  # (B, C, 1, L), on its way through a pool of two axes
            raw = raw.flatten(2)
        return raw[:, :, self.prefix : raw.shape[2] - self.suffix].unflatten(2, size)


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the input: resize so that crop/size = crop_pct, then crop."""

    crop_pct: float = 1.0
    crop_mode: str = "center"  # "center", "squash" (no crop, aspect lost) or "border" (padded)
    interpolation: str = "bicubic"
    resize: int | None = None  # torchvision: the shorter side before the crop, instead of crop_pct
    fixed_size: bool = False  # the network takes no other input size


@dataclass(frozen=True, eq=False)
class Image:
    """Pictures as the network takes them, with the place of the crop on the original."""

    values: Tensor  # (B, 3, H, W), RGB in [0, 1]
    box: tuple[float, float, float, float]  # top, left, bottom, right on the original
    original: tuple[int, int]  # height, width of the original picture


@dataclass(frozen=True, eq=False)
class Result:
    """What a method gives back; `notes` are sentences a reader must know to read it right."""

    values: Tensor
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    unit: str = field(default="", kw_only=True)  # "": of no other method's values
    # of a picture with more bands than three: those shown as red, green and blue
    bands: tuple[int, int, int] = field(default=(0, 1, 2), kw_only=True)


@dataclass(frozen=True, eq=False)
class Filters(Result):
    """Weights (C, in, kh, kw) of a convolution as applied; RGB pixel space where `rgb`."""

    layer: str
    rgb: bool
    norms: Tensor  # (C,) Euclidean norm of each filter
    order: Tensor  # (C,) channel numbers, in the order to show them


@dataclass(frozen=True, eq=False)
class FeatureMaps(Result):
    """Activations (B, C, h, w) of a layer, raw."""

    layer: str
    place: Place
    order: Tensor  # (B, C) channel numbers, in the order to show them
    components: Tensor | None = None  # (B, 3, h, w) principal components of the channels, or None
    before: Tensor | None = None  # (B, C, h, w) before the activation that bounds them, if any

    @property
    def units(self) -> Tensor:
        """Units (B, C, h, w): by these channels are ranked."""
        return self.values if self.before is None else self.before


@dataclass(frozen=True, eq=False)
class Heatmap(Result):
    """Evidence (B, h, w) per position, signed where the method is signed."""

    layer: str
    place: Place
    target: str  # what is explained, in words: "zebra", "zebra rather than cow"
    score: Tensor  # (B,) its value: the logit, the cosine, the activation
    classes: Tensor  # (B,) the classes explained, -1 where it is no class
    signed: bool = False
    bias: Tensor | None = None  # (B,) cam only: the part of the logit that has no place
    residual: Tensor | None = None  # (B,) cam only: |mean + bias - logit| / max |logit|


@dataclass(frozen=True, eq=False)
class Attribution(Result):
    """Signed attribution (B, 3, H, W) at the input; `map` is what is usually shown of it."""

    target: str  # what is explained, in words
    score: Tensor  # (B,) its value
    map: Tensor  # (B, H, W): what is usually shown of `values`
    signed: bool = False  # is the map signed?
    colors: bool = False  # its values are a picture themselves: colours about grey
    gap: Tensor | None = None  # (B,) integrated gradients only: see there


@dataclass(frozen=True, eq=False)
class Synthesis(Result):
    """Pictures (B, 3, H, W) in [0, 1] made by ascent, as they are after `step` steps."""

    activation: Tensor  # (B,) of the objective: of the last view, of the picture itself at the end
    step: int
    subjects: tuple[str, ...] = ()  # of each picture, in words: "zebra", "layer3, channel 17"
    curve: Tensor | None = None  # (B, step) the objective of every step's view


@dataclass(frozen=True, eq=False)
class ReceptiveField(Result):
    """What one position of a layer sees: `.values` (H, W), the share of each pixel's influence."""

    layer: str
    position: tuple[int, int]
    box: Rectangle  # every pixel that can matter, within the picture (global averages left out)
    center: tuple[float, float]  # measured, in pixels of the input
    effective: Rectangle  # holds 95 % of the influence
    globally: bool  # a gate or attention lets every pixel matter; the box leaves that out
