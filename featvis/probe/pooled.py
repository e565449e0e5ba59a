"""Pooled activations: what the layers make of a whole picture, two numbers for each channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from featvis.hooks import first_tensor, hooked
from featvis.model import Image, VisionModel
from featvis.record import unbound, unit_maps

__all__ = ["Pooled", "pooled"]


class Pooled(NamedTuple):
    """Of a layer: each channel over all positions of its map, float32."""

    mean: Tensor  # (B, C) of what the layer passes on
    high: Tensor  # (B, C) the maximum of its units, before what bounds them


def pooled(model: VisionModel, image: Tensor | Image, layers: Sequence[str]) -> dict[str, Pooled]:
    """The pooled activations of the layers, from one pass over images (B, 3, H, W) in [0, 1]."""
    made: dict[str, Pooled] = {}

    def seen(name: str, _: nn.Module, out: Any) -> None:
        if name not in made:  # a shared module: its first call is the layer
            raw = first_tensor(out)
            maps, units = model.maps(name, raw).flatten(2), unit_maps(model, name, raw).flatten(2)
            made[name] = Pooled(maps.float().mean(2), units.float().amax(2))

    modules = {name: model.module.get_submodule(model.layer(name).name) for name in layers}
    with torch.no_grad(), unbound(model, layers), hooked(modules, seen):
        model(image)
    return made
