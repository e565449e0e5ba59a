"""Recording: the activations of named layers.

A hook stores the output and gives back a clone of it: a following in-place activation would
otherwise overwrite what was recorded, silently.

There are two values of a layer. What it passes on is what the network works with: feature maps,
class evidence and proofs are made of it. Its units are the same values before the activation that
bounds them, where one does (`featvis.bounds`): whoever ranks, excites or explains single units
takes these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from featvis.autograd import in_own_mode
from featvis.bounds import Unbound, bound_of, value_before
from featvis.hooks import first_tensor, hooked
from featvis.model import Image, VisionModel, values

__all__ = [
    "Recording",
    "record",
    "record_logits",
    "record_units",
    "recording",
    "unbound",
    "unit_maps",
]


class _Stop(Exception):
    """All that was asked for is recorded; the rest of the forward pass is not needed."""


class Recording(NamedTuple):
    """One forward pass: maps (B, C, h, w) by layer, with their graph."""

    maps: dict[str, Tensor]  # as passed on
    units: dict[str, Tensor]  # before what bounds them
    output: Tensor | None  # of the network, (B, K)


@in_own_mode
def record(model: VisionModel, image: Tensor | Image, *layers: str) -> dict[str, Tensor]:
    """Maps (B, C, h, w) of the layers as passed on; the forward pass stops at the last one.

    The graph is kept where gradients are enabled and `image` requires them.
    """
    return recording(model, image, layers).maps


@in_own_mode
def record_units(model: VisionModel, image: Tensor | Image, *layers: str) -> dict[str, Tensor]:
    """Maps (B, C, h, w) of the layers' units; the same as `record` where nothing bounds them."""
    return recording(model, image, units=layers).units


def recording(
    model: VisionModel,
    image: Tensor | Image,
    layers: Collection[str] = (),
    units: Collection[str] = (),
    *,
    output: bool = False,
) -> Recording:
    """The maps of `layers`, and of the `units` of others or the same ones, from one pass.

    With `output` the pass goes on to its end.
    """
    modules = {
        name: model.module.get_submodule(model.layer(name).name) for name in (*layers, *units)
    }
    maps: dict[str, Tensor] = {}
    before: dict[str, Tensor] = {}
    missing, shape = set(modules), tuple(values(image).shape)

    def seen(name: str, _: nn.Module, out: Any) -> Any:
        if name not in missing:  # a shared module: its first call is the layer
            return None
        missing.remove(name)
        raw = first_tensor(out)
        if name in layers:
            maps[name] = model.maps(name, raw, shape)
        if name in units:
            before[name] = unit_maps(model, name, raw, shape)
        if not missing and not output:
            raise _Stop
        return _replace(out, raw.clone())

    result: Tensor | None = None
    with suppress(_Stop), unbound(model, units), hooked(modules, seen):
        result = model(image)
    if missing:
        names = ", ".join(sorted(missing))
        raise RuntimeError(f"{model.name}: {names} did not run in this forward pass")
    return Recording({n: maps[n] for n in layers}, {n: before[n] for n in units}, result)


def unbound(model: VisionModel, layers: Iterable[str]) -> AbstractContextManager[object]:
    """Within: the outputs of these layers carry their units, for `unit_maps`."""
    bounds = [bound for name in layers if (bound := model.layer(name).bound)]
    calls = {call for bound in bounds for call in bound.calls}
    return Unbound(calls) if calls else nullcontext()


def unit_maps(
    model: VisionModel, layer: str, raw: Tensor, shape: tuple[int, ...] | None = None
) -> Tensor:
    """Units (B, C, h, w) of the raw output of a layer, recorded within `unbound`."""
    if model.layer(layer).bound and not bound_of(raw):
        raise RuntimeError(
            f"{model.name}: {layer} did not come out of {model.layer(layer).bound} in this pass"
        )
    return model.maps(layer, value_before(raw), shape)


def record_logits(
    model: VisionModel, image: Tensor | Image, *layers: str
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Raw outputs as leaves to differentiate by, their maps (B, C, h, w), and the logits (B, K).

    The graph begins at the layers: nothing before them is kept for a backward pass.
    """
    raws: dict[str, Tensor] = {}
    pictures = values(image).detach()

    def seen(name: str, _: nn.Module, out: Any) -> Any:
        if name in raws:
            return None
        tensor = first_tensor(out)
        raws[name] = tensor if tensor.requires_grad else tensor.detach().requires_grad_()
        return _replace(out, raws[name].clone())

    modules = {name: model.module.get_submodule(model.layer(name).name) for name in layers}
    with torch.enable_grad(), hooked(modules, seen):
        logits = model(pictures)
    return (
        [raws[name] for name in layers],
        [model.maps(name, raws[name], tuple(pictures.shape)).detach() for name in layers],
        logits,
    )


def _replace(out: Any, tensor: Tensor) -> Any:
    if isinstance(out, Tensor):
        return tensor
    if isinstance(out, tuple) and isinstance(out[0], Tensor):
        return (tensor, *out[1:])
    return out
