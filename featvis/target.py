"""Targets: what is explained, a class, a contrast of two, a likeness or a neuron; chosen, checked.

A target becomes a `Score`: one number per picture, to be differentiated or taken apart, in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from featvis.model import VisionModel, WrongRequest

__all__ = [
    "Contrast",
    "Likeness",
    "Position",
    "Score",
    "Target",
    "check_channel",
    "check_position",
    "neuron",
    "score",
]


@dataclass(frozen=True)
class Contrast:
    """Logit of one class minus that of another: why this and not that?"""

    of: int
    against: int


@dataclass(frozen=True, eq=False)
class Likeness:
    """Cosine of the network's output to an embedding (D,), for networks without classes."""

    embedding: Tensor
    name: str = "another picture"


class Score(NamedTuple):
    """What is explained: numbers (B,) with their graph, and in words."""

    values: Tensor
    words: str
    classes: Tensor  # (B,) class numbers; -1 where it is no class
    position: Tensor | None = None  # (B, 2) row and column of a neuron


Target = int | Sequence[int] | Tensor | Contrast | Likeness | None
Position = tuple[int, int] | None


def score(model: VisionModel, output: Tensor, target: Target) -> Score:
    """The score of a target from the network's output (B, K).

    One picture may be asked for several classes; else there is one class, or one per picture. None
    is each picture's predicted class or, for a network without classes, the embedding's norm.
    """
    if output.ndim != 2:
        raise WrongRequest(f"{model.name} gives no class scores; choose a neuron instead")
    nothing = torch.full((len(output),), -1, dtype=torch.long, device=output.device)
    if isinstance(target, Likeness):
        return Score(_cosine(model, output, target), f"likeness to {target.name}", nothing)
    if model.embeds:
        if target is not None:
            raise WrongRequest(
                f"{model.name} has no classes; explain the norm of its embedding, its likeness to "
                "another picture, or a neuron"
            )
        return Score(output.norm(dim=1), "norm of the embedding", nothing)
    if isinstance(target, Contrast):
        of, against = (_classes(model, output, n) for n in (target.of, target.against))
        if target.of == target.against:
            raise WrongRequest("a contrast needs two different classes")
        words = f"{_label(model, target.of)} rather than {_label(model, target.against)}"
        return Score(_picked(output, of) - _picked(output, against), words, of)
    classes = _classes(model, output, target)
    words = ", ".join(dict.fromkeys(_label(model, int(c)) for c in classes.tolist()))
    return Score(_picked(output, classes), words, classes)


def _classes(
    model: VisionModel, logits: Tensor, target: int | Sequence[int] | Tensor | None
) -> Tensor:
    """Class numbers (N,), checked."""
    pictures, count = logits.shape
    if target is None:
        return logits.detach().argmax(1)
    outside = WrongRequest(f"class {target} of {model.name}: classes go from 0 to {count - 1}")
    try:
        chosen = torch.as_tensor(target, dtype=torch.long, device=logits.device).reshape(-1)
    except (ValueError, RuntimeError) as error:  # numbers of a tensor end at 64 bits
        raise outside from error
    if len(chosen) == 1:
        chosen = chosen.expand(pictures)
    if pictures != 1 and len(chosen) != pictures:
        raise WrongRequest(
            f"{len(chosen)} classes for {pictures} pictures; give one class, or one per picture"
        )
    if chosen.numel() == 0 or int(chosen.min()) < 0 or int(chosen.max()) >= count:
        raise outside
    return chosen


def _picked(logits: Tensor, classes: Tensor) -> Tensor:
    """The logit of classes[n] for each picture, or for the only one."""
    return logits.expand(len(classes), -1).gather(1, classes[:, None])[:, 0]


def _label(model: VisionModel, number: int) -> str:
    return model.labels[number] if number < len(model.labels) else f"class {number}"


def _cosine(model: VisionModel, output: Tensor, target: Likeness) -> Tensor:
    wanted = target.embedding.detach().to(output).reshape(-1)
    if len(wanted) != output.shape[1]:
        raise WrongRequest(
            f"an embedding of {model.name} has {output.shape[1]} numbers, not {len(wanted)}"
        )
    return F.cosine_similarity(output, wanted[None], dim=1)


def check_channel(model: VisionModel, layer: str, channel: int) -> int:
    """The channel, if the layer has it."""
    count = model.layer(layer).channels
    if not 0 <= channel < count:
        raise WrongRequest(f"channel {channel} of {layer}: its channels go from 0 to {count - 1}")
    return channel


def check_position(layer: str, position: tuple[int, int], size: tuple[int, int]) -> None:
    """Refuse a position outside the map."""
    h, w = size
    if not (0 <= position[0] < h and 0 <= position[1] < w):
        raise WrongRequest(
            f"position {position[0]},{position[1]} of {layer}: "
            f"rows go from 0 to {h - 1} and columns from 0 to {w - 1}"
        )


def neuron(
    model: VisionModel, layer: str, channel: int | None, position: Position | Tensor, maps: Tensor
) -> Score:
    """One channel of units (B, C, h, w) at a position, or where each picture excites it most."""
    if channel is None:
        last = model.layer(layer).channels - 1
        raise WrongRequest(f"which neuron of {layer}? give a channel too, 0 to {last}")
    plane = maps[:, check_channel(model, layer, channel)]
    nothing = torch.full((len(maps),), -1, dtype=torch.long, device=maps.device)
    h, w = plane.shape[1:]
    words = f"{model.layer(layer).units}, channel {channel}"
    if isinstance(position, tuple):
        check_position(layer, position, (h, w))
        words += f", position {position[0]},{position[1]}"
        at = torch.tensor([position], device=maps.device).expand(len(maps), 2)
    elif position is None:
        words += ", where it is most active"
        peak = plane.detach().flatten(1).argmax(1)
        at = torch.stack([peak // w, peak % w], 1)
    else:
        at = position
    picked = plane[torch.arange(len(plane), device=maps.device), at[:, 0], at[:, 1]]
    return Score(picked, words, nothing, at)
