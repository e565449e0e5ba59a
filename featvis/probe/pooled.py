"""Pooled activations: what the layers make of a whole picture, two numbers for each channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from featvis.hooks import first_tensor, hooked
from featvis.model import Image, VisionModel

__all__ = ["Pooled", "pooled"]


class Pooled(NamedTuple):
    """Of a layer: each channel over all positions of its map, float32."""

    mean: Tensor  # (B, C)
    high: Tensor  # (B, C) the maximum


def pooled(model: VisionModel, image: Tensor | Image, layers: Sequence[str]) -> dict[str, Pooled]:
    """The pooled activations of the layers, from one pass over images (B, 3, H, W) in [0, 1]."""
    made: dict[str, Pooled] = {}

    def seen(name: str, _: nn.Module, out: Any) -> None:
        if name not in made:  # a shared module: its first call is the layer
            flat = model.maps(name, first_tensor(out)).flatten(2).float()
            made[name] = Pooled(flat.mean(2), flat.amax(2))

    modules = {name: model.module.get_submodule(model.layer(name).name) for name in layers}
    with torch.no_grad(), hooked(modules, seen):
        model(image)
    return made
