"""Targets: what a gradient is taken of, a class or a neuron, chosen and checked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from featvis.model import VisionModel, WrongRequest

__all__ = ["check_channel", "check_position", "classes", "neuron"]

Target = int | Sequence[int] | Tensor | None
Position = tuple[int, int] | None


def classes(model: VisionModel, logits: Tensor, target: Target) -> Tensor:
    """Class numbers (N,): the given one for each picture, or each picture's predicted one.

    One picture may be asked for several classes; else there is one class or one per picture.
    """
    if logits.ndim != 2:
        raise WrongRequest(f"{model.name} gives no class scores; choose a neuron instead")
    pictures, count = logits.shape
    if target is None:
        return logits.argmax(1)
    chosen = torch.as_tensor(target, dtype=torch.long, device=logits.device).reshape(-1)
    if len(chosen) == 1:
        chosen = chosen.expand(pictures)
    if pictures != 1 and len(chosen) != pictures:
        raise WrongRequest(
            f"{len(chosen)} classes for {pictures} pictures; give one class, or one per picture"
        )
    if chosen.numel() == 0 or int(chosen.min()) < 0 or int(chosen.max()) >= count:
        raise WrongRequest(f"class {target} of {model.name}: classes go from 0 to {count - 1}")
    return chosen


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
    model: VisionModel, layer: str, channel: int, position: Position, maps: Tensor
) -> tuple[Tensor, str]:
    """Values (B,) of one channel at a position, or where each picture excites it most; in words."""
    plane = maps[:, check_channel(model, layer, channel)]
    if position is not None:
        check_position(layer, position, (plane.shape[1], plane.shape[2]))
        where = f"position {position[0]},{position[1]}"
        return plane[:, position[0], position[1]], f"{layer}, channel {channel}, {where}"
    return plane.flatten(1).amax(1), f"{layer}, channel {channel}, where it is most active"
