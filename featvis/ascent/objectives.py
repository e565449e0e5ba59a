"""Objectives: what a picture is to have much of. Higher is better; the ascent knows no other sign.

Functions of the form config -> `Objective`, and an objective is `Seen -> (B,)`: one number for each
picture that the network sees. `seen("layer4")` gives its maps (B, C, h, w) whatever the layout,
`seen.units["layer4"]` the same before an activation that bounds them, `seen.output` the logits.
They add up and scale:

    channel("layer3", 17) + 0.5 * channel("layer3", 40) - 0.1 * total_variation()

All are public: an ascent of your own takes any of them, also `direction`, which no method uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from featvis.model import VisionModel, WrongRequest
from featvis.record import recording

__all__ = [
    "Objective",
    "Seen",
    "caricature",
    "channel",
    "direction",
    "diversity",
    "excitation",
    "inversion",
    "l2",
    "layer",
    "likeness",
    "logit",
    "neuron",
    "total_variation",
    "watch",
]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network saw of pictures: maps by layer, its output, and the pictures themselves."""

    image: Tensor  # (B, 3, H, W) in [0, 1]
    maps: dict[str, Tensor]
    logits: Tensor | None
    units: dict[str, Tensor] = field(default_factory=dict)  # before what bounds them

    def __call__(self, name: str) -> Tensor:
        """Maps (B, C, h, w) of a layer."""
        return self.maps[name]

    @property
    def output(self) -> Tensor:
        """Logits (B, K), or an embedding (B, D)."""
        if self.logits is None:
            raise RuntimeError("this objective did not ask for the network's output")
        return self.logits


@dataclass(frozen=True, eq=False)
class Objective:
    """A number for each picture, with what has to be recorded for it."""

    value: Callable[[Seen], Tensor]  # -> (B,)
    layers: tuple[str, ...] = ()
    output: bool = False  # it needs the network's output too
    units: tuple[str, ...] = ()  # layers of which it needs single units

    def __call__(self, seen: Seen) -> Tensor:
        """The values (B,)."""
        return self.value(seen)

    def __add__(self, other: Objective) -> Objective:
        return Objective(
            lambda seen: self.value(seen) + other.value(seen),
            tuple(dict.fromkeys(self.layers + other.layers)),
            self.output or other.output,
            tuple(dict.fromkeys(self.units + other.units)),
        )

    def __mul__(self, factor: float) -> Objective:
        return replace(self, value=lambda seen: factor * self.value(seen))

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        return -1.0 * self

    def __sub__(self, other: Objective) -> Objective:
        return self + -other


def watch(model: VisionModel, images: Tensor, objective: Objective) -> Seen:
    """What `objective` asks for of images (B, 3, H, W); no more of the network runs than that."""
    output, layers, units = objective.output, objective.layers, objective.units
    if not (output or layers or units):
        return Seen(images, {}, None)
    maps, before, logits = recording(model, images, layers, units, output=output)
    return Seen(images, maps, logits, before)


def channel(layer: str, channels: int | Sequence[int]) -> Objective:
    """The mean of a channel over all positions; one channel, or one for each picture."""
    return Objective(lambda seen: _picked(seen.units[layer], channels).mean((1, 2)), units=(layer,))


def excitation(layer: str, channels: int | Sequence[int]) -> Objective:
    """The mean of a channel's positive part; behind a ReLU the same as `channel`.

    Of a linear filter the plain mean is that of the picture's flat colour: what it answers to an
    edge on one side of it cancels on the other.
    """
    return Objective(
        lambda seen: _picked(seen.units[layer], channels).relu().mean((1, 2)), units=(layer,)
    )


def neuron(
    layer: str,
    channels: int | Sequence[int],
    position: tuple[int, int] | None = None,
    size: tuple[int, int] | None = None,
) -> Objective:
    """A channel at one position (row, column); without one in the middle, at (h // 2, w // 2).

    The position is one on a map of `size`; on one of another size it is the same place.
    """

    def value(seen: Seen) -> Tensor:
        plane = _picked(seen.units[layer], channels)
        h, w = plane.shape[1:]
        row, column = position or (h // 2, w // 2)
        if position and size:
            row, column = row * h // size[0], column * w // size[1]
        return plane[:, row, column]

    return Objective(value, units=(layer,))


def logit(classes: int | Sequence[int]) -> Objective:
    """The score of a class before the softmax; a probability could rise by others' falling."""
    return Objective(lambda seen: _picked(seen.output, classes), output=True)


def direction(layer: str, vector: Tensor, *, power: float = 0) -> Objective:
    """The mean over positions of <a, v> cos(a, v)^power, a the activations, v (C,) or (B, C).

    `power` above 0 keeps other directions out of the picture (Carter et al. 2019).
    """

    def value(seen: Seen) -> Tensor:
        maps = seen(layer)
        wanted = _repeated(torch.atleast_2d(vector).to(maps), len(maps))
        dot = torch.einsum("bchw,bc->bhw", maps, wanted)
        if power:
            cosine = F.cosine_similarity(maps, wanted[:, :, None, None], dim=1)
            dot = dot * cosine.clamp_min(0.1) ** power
        return dot.mean((1, 2))

    return Objective(value, (layer,))


def layer(name: str) -> Objective:
    """The mean square of all activations: whatever is there, more of it (DeepDream)."""
    return Objective(lambda seen: seen(name).square().mean((1, 2, 3)), (name,))


def inversion(layer: str, maps: Tensor) -> Objective:
    """How near the activations are to `maps` (B, C, h, w) of pictures: 0 is the same.

    - |a - maps|^2 / |maps|^2        (Mahendran and Vedaldi 2015)
    """

    def value(seen: Seen) -> Tensor:
        found = seen(layer)
        wanted = _repeated(maps.to(found), len(found))
        size = wanted.square().sum((1, 2, 3)).clamp_min(1e-12)
        return -(found - wanted).square().sum((1, 2, 3)) / size

    return Objective(value, (layer,))


def caricature(layer: str, maps: Tensor, *, power: float = 1) -> Objective:
    """What the layer noticed in pictures with these `maps` (B, C, h, w), exaggerated.

    mean over positions of <a, maps> cos(a, maps)^power
    """

    def value(seen: Seen) -> Tensor:
        found = seen(layer)
        wanted = _repeated(maps.to(found), len(found))
        dot = (found * wanted).mean((1, 2, 3))
        cosine = F.cosine_similarity(found.flatten(1), wanted.flatten(1), dim=1)
        return dot * cosine.clamp_min(0.1) ** power

    return Objective(value, (layer,))


def likeness(embedding: Tensor) -> Objective:
    """The cosine of the network's output to an embedding (D,) or (B, D)."""

    def value(seen: Seen) -> Tensor:
        wanted = _repeated(torch.atleast_2d(embedding).to(seen.output), len(seen.output))
        return F.cosine_similarity(seen.output, wanted, dim=1)

    return Objective(value, output=True)


def diversity(layer: str, copies: int) -> Objective:
    """How unlike the `copies` pictures of each subject are: minus the mean cosine of their styles.

    A style is the matrix of products of channels, averaged over positions (Gatys et al. 2015).
    """

    def value(seen: Seen) -> Tensor:
        flat = seen(layer).flatten(2)
        styles = F.normalize(torch.einsum("bcn,bdn->bcd", flat, flat).flatten(1), dim=1)
        groups = styles.unflatten(0, (-1, copies))
        alike = torch.einsum("gif,gjf->gij", groups, groups)
        others = (alike.sum(2) - alike.diagonal(dim1=1, dim2=2)) / max(1, copies - 1)
        return -others.flatten()

    return Objective(value, (layer,))


def total_variation() -> Objective:
    """The mean absolute difference of neighbouring pixels; to be subtracted."""

    def value(seen: Seen) -> Tensor:
        x = seen.image
        return x.diff(dim=2).abs().mean((1, 2, 3)) + x.diff(dim=3).abs().mean((1, 2, 3))

    return Objective(value)


def l2() -> Objective:
    """The mean square of the distance from grey; to be subtracted."""
    return Objective(lambda seen: (seen.image - 0.5).square().mean((1, 2, 3)))


def _picked(found: Tensor, numbers: int | Sequence[int]) -> Tensor:
    """found[b, numbers[b]]: one number for all rows, or one for each, again for each view."""
    if isinstance(numbers, int):
        return found[:, numbers]
    index = _repeated(torch.tensor(numbers, device=found.device), len(found))
    return found[torch.arange(len(found), device=found.device), index]


def _repeated(rows: Tensor, count: int) -> Tensor:
    """Rows (B, ...) once for each view, (count, ...); one row serves all."""
    if count % len(rows):
        raise WrongRequest(f"{len(rows)} subjects for {count} pictures; give one, or one for each")
    return rows.repeat(count // len(rows), *[1] * (rows.ndim - 1))
