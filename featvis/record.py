"""Recording: the activations of named layers.

A hook stores the output and gives back a clone of it: a following in-place activation would
otherwise overwrite what was recorded, silently.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from featvis.hooks import first_tensor, hooked
from featvis.model import Image, VisionModel, values

__all__ = ["record", "record_logits", "record_output"]


class _Stop(Exception):
    """All that was asked for is recorded; the rest of the forward pass is not needed."""


def record(model: VisionModel, image: Tensor | Image, *layers: str) -> dict[str, Tensor]:
    """Maps (B, C, h, w) of the layers; the forward pass stops at the last one.

    The graph is kept where gradients are enabled and `image` requires them.
    """
    maps: dict[str, Tensor] = {}

    def seen(name: str, _: nn.Module, out: Any) -> Any:
        if name in maps:  # a shared module: its first call is the layer
            return None
        maps[name] = model.maps(name, first_tensor(out))
        if len(maps) == len(set(layers)):
            raise _Stop
        return _clone(out)

    modules = {name: model.module.get_submodule(model.layer(name).name) for name in layers}
    with hooked(modules, seen):
        try:
            model(image)
        except _Stop:
            return {name: maps[name] for name in layers}
    missing = ", ".join(set(layers) - set(maps))
    raise RuntimeError(f"{model.name}: {missing} did not run in this forward pass")


def record_output(
    model: VisionModel, image: Tensor | Image, *layers: str
) -> tuple[dict[str, Tensor], Tensor]:
    """Maps (B, C, h, w) of the layers, with their graph, and the network's output (B, K)."""
    maps: dict[str, Tensor] = {}

    def seen(name: str, _: nn.Module, out: Any) -> Any:
        if name in maps:
            return None
        maps[name] = model.maps(name, first_tensor(out))
        return _clone(out)

    modules = {name: model.module.get_submodule(model.layer(name).name) for name in layers}
    with hooked(modules, seen):
        output = model(image)
    return maps, output


def record_logits(
    model: VisionModel, image: Tensor | Image, *layers: str
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Raw outputs as leaves to differentiate by, their maps (B, C, h, w), and the logits (B, K).

    The graph begins at the layers: nothing before them is kept for a backward pass.
    """
    raws: dict[str, Tensor] = {}

    def seen(name: str, _: nn.Module, out: Any) -> Any:
        if name in raws:
            return None
        tensor = first_tensor(out)
        raws[name] = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
        return _replace(out, raws[name].clone())

    modules = {name: model.module.get_submodule(model.layer(name).name) for name in layers}
    with torch.enable_grad(), hooked(modules, seen):
        logits = model(values(image).detach())
    return (
        [raws[name] for name in layers],
        [model.maps(name, raws[name]).detach() for name in layers],
        logits,
    )


def _clone(out: Any) -> Any:
    return _replace(out, first_tensor(out).clone())


def _replace(out: Any, tensor: Tensor) -> Any:
    if isinstance(out, Tensor):
        return tensor
    if isinstance(out, tuple) and isinstance(out[0], Tensor):
        return (tensor, *out[1:])
    return out
