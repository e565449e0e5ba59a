"""Neurons: one channel of a layer at a position, checked; its score."""

from __future__ import annotations

import torch
from torch import Tensor

from featvis.model import VisionModel
from featvis.target import Score
from featvis.types import WrongRequest

__all__ = ["Position", "check_channel", "check_position", "neuron"]

Position = tuple[int, int] | None  # row and column; None: where it is most active


def check_channel(layer: str, channel: int, count: int) -> int:
    """The channel, if the layer has it among its `count` channels."""
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
    plane = maps[:, check_channel(layer, channel, maps.shape[1])]
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
