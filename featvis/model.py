"""The model record: what a method may know of a network.

Everything outside the network is RGB in [0, 1], (B, 3, H, W); normalization happens here alone.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from featvis.bounds import Bound
from featvis.classes import Classes
from featvis.output import Output
from featvis.types import ATTENTION, Layout, Place, WrongRequest, brief

__all__ = [
    "Head",
    "Image",
    "Layer",
    "Layout",
    "Preprocessing",
    "Source",
    "VisionModel",
    "WrongRequest",
    "brief",
]


@dataclass(frozen=True)
class Layer:
    """A stage of the network whose output is a map, as measured in one forward pass."""

    name: str  # exactly as in named_modules()
    channels: int
    size: tuple[int, int]  # (h, w) at the model's own input size
    stride: tuple[float, float]  # input pixels per position: input size / map size
    kind: str  # class name of the module: "Conv2d", "Bottleneck", "Block"
    kernel: tuple[int, int] | None  # of a convolution, else None
    depth: float  # 0..1, relative, in execution order
    layout: Layout
    place: Place  # centres of its positions, followed through the operations that ran
    field: tuple[float, float]  # receptive field in pixels; inf where all positions are mixed
    gated: bool  # a global average (squeeze-excite) also lets every pixel matter
    mixed: str = ""  # by what: "attention", or "weights" (token mixing, recurrence)
    bound: Bound | None = None  # the activation that its output comes out of, if that saturates

    @property
    def units(self) -> str:
        """Its name where single units are meant: their values are those before a bound."""
        return f"{self.name} before {self.bound}" if self.bound else self.name

    def __str__(self) -> str:
        h, w = self.size
        return f"{self.name} · {self.channels} ch · {h}x{w} · stride {self.stride[0]:g}"


class Source(NamedTuple):
    """Where in a forward pass the pooling operation runs."""

    operation: str  # "aten.mean.dim.default"
    ordinal: int  # which call of it pools, counted from 0 ...
    after: str | None  # ... from the end of this submodule on; None: from the beginning


@dataclass(frozen=True)
class Head:
    """Where the last map is pooled, found and proved by numbers when the model is loaded."""

    kind: str  # "exact", "frozen norm" or "frozen gates"
    source: Source
    channels: int
    size: tuple[int, int]  # (h, w) of F at the model's own input size
    layout: Layout
    place: Place  # centres of F's positions on the input
    residual: float  # max |<G, F> + b - logit| / max |logit| as proved


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
class VisionModel:
    """A frozen network, its named layers, and the facts needed to explain it."""

    name: str  # "timm:resnet18.a1_in1k"
    module: nn.Module  # eval(), requires_grad False
    mean: Tensor  # (3, 1, 1)
    std: Tensor  # (3, 1, 1)
    size: tuple[int, int]  # input height and width
    layers: Mapping[str, Layer]
    output: Output  # what comes out, and what may be asked of it
    head: Head | None
    head_reason: str  # why head is None, or what kind of head it is, in one sentence
    input: Preprocessing = Preprocessing()
    info: Mapping[str, str | int | float] = field(default_factory=lambda: MappingProxyType({}))

    def __call__(self, image: Tensor | Image) -> Tensor:
        """Logits (B, K), or an embedding (B, D), of images (B, 3, H, W), RGB in [0, 1].

        Of a network that ends in a sigmoid, a softmax or the like, the values before that; of one
        with a single logit its negative and itself, the two sides (B, 2).
        """
        return self.output.of(self.module, self.normalize(values(image)))

    def probabilities(self, image: Tensor | Image) -> Tensor:
        """The network's own probabilities (B, K) of its classes for images (B, 3, H, W)."""
        scores = self(image)
        self.output.check_rows(scores)
        shares = self.output.probabilities(scores) if isinstance(self.output, Classes) else None
        if shares is None:
            raise WrongRequest(f"{self.name} gives no probabilities; model(image) gives its output")
        return shares

    @property
    def labels(self) -> tuple[str, ...]:
        """One per logit; () where the logits have none, or there are no classes."""
        return self.output.labels if isinstance(self.output, Classes) else ()

    def normalize(self, image: Tensor) -> Tensor:
        """Pixels in [0, 1] -> what the module takes."""
        return (image - self.mean.to(image)) / self.std.to(image)

    def layer(self, name: str) -> Layer:
        """The layer of that name; an unknown name is refused with the nearest ones."""
        if name in self.layers:
            return self.layers[name]
        near = difflib.get_close_matches(name, self.layers, n=3, cutoff=0.3)
        raise WrongRequest(
            f"{self.name} has no layer {name!r}; the nearest are {', '.join(near or self.layers)}. "
            f"See all {len(self.layers)} with: featvis show {self.name}"
        )

    def maps(self, name: str, raw: Tensor) -> Tensor:
        """Raw output of layer `name` -> (B, C, h, w), also at other input sizes."""
        layer = self.layer(name)
        return layer.layout.to_maps(raw, layer.size)

    @property
    def tokens(self) -> Layer | None:
        """The last layer whose positions are tokens that all see one another, if there is one."""
        found = [x for x in self.layers.values() if x.layout.kind == "NLC" and x.mixed == ATTENTION]
        return found[-1] if found else None

    @property
    def tokens_reason(self) -> str:
        """Why `tokens` is None, in words."""
        return "it has no attention over all positions"

    @property
    def layer_list(self) -> list[Layer]:
        """The layers in execution order; a network without any is refused."""
        if not self.layers:
            raise WrongRequest(f"{self.name} has no layer whose output is a map of the picture")
        return list(self.layers.values())

    @property
    def last_layer(self) -> str:
        """The last layer whose map is still a map: the default of class evidence."""
        return self.layer_list[-1].name

    @property
    def middle_layer(self) -> str:
        """A layer of parts of things: two thirds up, and still a map."""
        large = [layer for layer in self.layer_list if min(layer.size) >= 4]
        return min(large or self.layer_list, key=lambda layer: abs(layer.depth - 0.67)).name

    @property
    def like(self) -> Tensor:
        """A tensor with the dtype and the device of the weights, for images made here."""
        return next((p for p in self.module.parameters() if p.is_floating_point()), self.mean)

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of all weights and buffers: two models with the same one are the same."""
        found = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            data = tensor.detach().cpu().contiguous()
            found.update(f"{name} {data.dtype} {tuple(data.shape)}".encode())
            found.update(memoryview(data.reshape(-1).view(torch.uint8).numpy()))
        return found.hexdigest()[:16]

    @cached_property
    def parameters(self) -> int:
        """Number of weights; counted once, as a store weighs its networks again and again."""
        return sum(p.numel() for p in self.module.parameters())


def values(image: Tensor | Image) -> Tensor:
    """The tensor (B, 3, H, W) of an image, checked."""
    tensor = image.values if isinstance(image, Image) else image
    if tensor.ndim != 4 or tensor.shape[1] != 3:
        raise WrongRequest(
            f"an image has the shape (B, 3, H, W), not {tuple(tensor.shape)}; "
            "zoo_adapters.read_image(picture, model) makes one"
        )
    if not torch.is_floating_point(tensor):
        raise WrongRequest(f"an image is in [0, 1], not {tensor.dtype}; divide it by 255")
    return tensor
