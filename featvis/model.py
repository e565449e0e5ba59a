"""The model record: what a method may know of a network.

Everything outside the network is RGB in [0, 1], (B, 3, H, W); normalization happens here alone.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from featvis.bounds import Bound
from featvis.classes import Classes
from featvis.output import Output
from featvis.types import (
    ATTENTION,
    Image,
    Layout,
    Place,
    Preprocessing,
    WrongRequest,
    brief,
    precise,
)

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


def _nothing() -> None:
    """Give nothing back: the module is nobody's own."""


@dataclass(frozen=True, eq=False)
class VisionModel:
    """A frozen network, its named layers, and the facts needed to explain it."""

    name: str  # "timm:resnet18.a1_in1k"
    module: nn.Module  # eval(), requires_grad False
    mean: Tensor  # (C, 1, 1), of RGB or of other bands
    std: Tensor  # (C, 1, 1)
    size: tuple[int, int]  # input height and width
    layers: Mapping[str, Layer]
    output: Output  # what comes out, and what may be asked of it
    head: Head | None
    head_reason: str  # why head is None, or what kind of head it is, in one sentence
    input: Preprocessing = field(default_factory=Preprocessing)
    rgb: tuple[int, int, int] = (0, 1, 2)  # the bands that are shown as red, green and blue
    info: Mapping[str, str | int | float] = field(default_factory=lambda: MappingProxyType({}))
    # a picture as people have them, a path or a PIL picture, -> as the network takes it
    reader: Callable[[Any, VisionModel], Image] | None = field(default=None, repr=False)
    # gives the module back in the modes in which it was taken
    give_back: Callable[[], None] = field(default=_nothing, repr=False)

    def __call__(self, image: Tensor | Image) -> Tensor:
        """Logits (B, K), or an embedding (B, D), of images (B, 3, H, W), RGB in [0, 1].

        Of a network that ends in a sigmoid, a softmax or the like, the values before that; of one
        with a single logit its negative and itself, the two sides (B, 2).
        """
        if getattr(self.module, "training", False):  # a frozen script has no modes
            raise WrongRequest(
                f"{self.name} is in train mode again; wrap it once more, or put it in eval mode: "
                "model.module.eval()"
            )
        pixels = values(image)
        scores = self.output.of(self.module, self.normalize(pixels))
        return scores.to(torch.promote_types(pixels.dtype, torch.float32))

    def read(self, picture: Any) -> Image:
        """A path, a PIL picture or an array as the network takes it: resized and cropped."""
        if self.reader is None:
            raise WrongRequest(
                f"a picture for {self.name} is a tensor (B, 3, H, W) in [0, 1], not "
                f"{type(picture).__name__}"
            )
        return self.reader(picture, self)

    def release(self) -> None:
        """Give the module back as it was before it was wrapped: in train mode, not frozen.

        `with zoo_adapters.wrap(module, ...) as model:` does so at the end. The model should not be
        used afterwards.
        """
        self.give_back()

    def __enter__(self) -> VisionModel:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def probabilities(self, image: Tensor | Image) -> Tensor:
        """The network's own probabilities (B, K) of its classes for images (B, 3, H, W)."""
        scores = self(image)
        self.output.check_rows(scores)
        shares = self.output.probabilities(scores) if isinstance(self.output, Classes) else None
        if shares is None:
            raise WrongRequest(f"{self.name} gives no probabilities; model(image) gives its output")
        return shares

    @property
    def bands(self) -> int:
        """The number of bands of a picture: 3 of RGB, 1 of gray."""
        return len(self.mean)

    @property
    def labels(self) -> tuple[str, ...]:
        """One per logit; () where the logits have none, or there are no classes."""
        return self.output.labels if isinstance(self.output, Classes) else ()

    def normalize(self, image: Tensor) -> Tensor:
        """Pixels in [0, 1] -> what the module takes, in its dtype and on its device."""
        if image.shape[-3] != self.bands:
            raise WrongRequest(
                f"{self.name} takes pictures of {self.bands} bands, not of {image.shape[-3]}; give "
                f"them as a tensor (B, {self.bands}, H, W)"
            )
        normalized = (image - self.mean.to(image)) / self.std.to(image)
        return normalized.to(normalized if self._weights is None else self._weights)

    def layer(self, name: str) -> Layer:
        """The layer of that name; an unknown name is refused with the nearest ones."""
        if name in self.layers:
            return self.layers[name]
        if not self.layers:
            raise self._no_layers()
        near = difflib.get_close_matches(name, self.layers, n=3, cutoff=0.3)
        raise WrongRequest(
            f"{self.name} has no layer {name!r}; the nearest are {', '.join(near or self.layers)}. "
            f"See all {len(self.layers)} with: featvis show {self.name}"
        )

    def maps(self, name: str, raw: Tensor, seen: tuple[int, ...] | None = None) -> Tensor:
        """Raw output of layer `name` -> (B, C, h, w), float32 at least.

        `seen`: the shape of the pictures, where they may be of another size than its own.
        """
        layer = self.layer(name)
        return precise(layer.layout.to_maps(raw, self.grid(layer.size, seen)))

    def grid(self, own: tuple[int, int], seen: tuple[int, ...] | None) -> tuple[int, int]:
        """The size (h, w) of a map that is `own` at the network's size, for other pictures."""
        if seen is None:
            return own
        h, w = (round(n * s / size) for n, s, size in zip(own, seen[-2:], self.size, strict=True))
        return h, w

    @property
    def tokens(self) -> Layer | None:
        """The last layer whose positions are tokens that all see one another, if there is one."""
        found = [
            x
            for x in self.layers.values()
            if x.layout.kind in ("NLC", "LNC") and x.mixed == ATTENTION
        ]
        return found[-1] if found else None

    @property
    def tokens_reason(self) -> str:
        """Why `tokens` is None, in words."""
        return "it has no attention over all positions"

    @property
    def layer_list(self) -> list[Layer]:
        """The layers in execution order; a network without any is refused."""
        if not self.layers:
            raise self._no_layers()
        return list(self.layers.values())

    def _no_layers(self) -> WrongRequest:
        return WrongRequest(
            f"{self.name} has no layer whose output is a map of the picture; methods that need "
            "none work, such as saliency and occlusion"
        )

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
        """A tensor with the device of the weights and their dtype, or float32 if that is lower.

        Images that are made here are like it.
        """
        weights = self._weights
        if weights is None:
            return self.mean
        return weights if precise(weights) is weights else weights.new_empty(0, dtype=torch.float32)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights, in which the network computes; without any that of its mean."""
        return self.mean.dtype if self._weights is None else self._weights.dtype

    @property
    def _weights(self) -> Tensor | None:
        return next((p for p in self.module.parameters() if p.is_floating_point()), None)

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
    if tensor.ndim != 4:
        raise WrongRequest(
            f"an image has the shape (B, 3, H, W), not {tuple(tensor.shape)}; "
            "zoo_adapters.read_image(picture, model) makes one"
        )
    if not torch.is_floating_point(tensor):
        raise WrongRequest(f"an image is in [0, 1], not {tensor.dtype}; divide it by 255")
    return tensor
