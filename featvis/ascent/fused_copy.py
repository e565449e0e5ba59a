"""Fused copy: a network copied for many passes that are all alike.

A batch norm that only rescales what a convolution gives is folded into its weights, and the weights
lie in memory as the convolutions read them (`featvis.ascent.packed_conv`,
`featvis.ascent.fast_stem`). A forward and backward pass takes 0.7 to 0.9 of the time then, where
weights outweigh maps less. The copy is compared with the network and dropped if it differs.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from featvis.ascent.fast_stem import Stem, is_stem
from featvis.ascent.packed_conv import Packed, can_be_packed
from featvis.hooks import hooked
from featvis.model import VisionModel

__all__ = ["folded"]

SAME = 1e-3  # of the largest value: what rounding may change
MOST = 300_000_000  # weights: the copy takes up to three times the memory that the network takes


def folded(model: VisionModel, images: Tensor, layers: Sequence[str]) -> VisionModel:
    """`model` with another module of the same output and the same maps of `layers` on `images`.

    The layers themselves are not folded. What has no convolution, is too large, or cannot be
    copied, stays as it is.
    """
    convolves = any(isinstance(child, nn.Conv2d) for child in model.module.modules())
    if not convolves or model.parameters > MOST:
        return model
    with torch.no_grad():
        order, expected = _watched(model, images, layers)
        try:
            # numbers that stay as they are need no copy
            kept = chain(model.module.parameters(), model.module.buffers())
            shared = {id(tensor): tensor for tensor in kept}
            module = copy.deepcopy(model.module, shared)
        except (RuntimeError, TypeError, NotImplementedError):
            return model
        for before, after in pairwise(order):
            if order.count(before) == order.count(after) == 1 and before not in layers:
                _fold(module, before, after)
        for name, child in [*module.named_modules()]:
            if name and isinstance(child, nn.Conv2d) and is_stem(child):
                module.set_submodule(name, Stem(child))
            elif isinstance(child, nn.Conv2d) and order.count(name) == 1 and can_be_packed(child):
                module.set_submodule(name, Packed(child))
        for child in module.modules():
            if not isinstance(child, Packed):  # which orders them itself
                _order(child)
        made = replace(model, module=module)
        _, found = _watched(made, images, layers)
    return made if _alike(found, expected) else model


def _order(module: nn.Module) -> None:
    """Weights of its own in the order in which convolutions read them; others have no such order.

    They are new, as the network's own are shared with the copy.
    """
    for name, weight in module._parameters.items():
        if weight is not None and weight.ndim == 4:
            ordered = weight.detach().contiguous(memory_format=torch.channels_last)
            module._parameters[name] = nn.Parameter(ordered, requires_grad=False)


def _watched(
    model: VisionModel, images: Tensor, layers: Sequence[str]
) -> tuple[list[str], list[Tensor]]:
    """What ran one after the other, norms in one piece; the output and those of the layers."""
    order: list[str] = []
    outputs: dict[str, Tensor] = {}

    def seen(name: str, child: nn.Module, out: Any) -> None:
        if name in parts:
            order.append(name)
        if name in layers and name not in outputs:
            outputs[name] = (out if isinstance(out, Tensor) else out[0]).clone()

    modules = {name: child for name, child in model.module.named_modules() if name}
    norms = tuple(f"{n}." for n, child in modules.items() if isinstance(child, nn.BatchNorm2d))
    parts = {
        name
        for name, child in modules.items()
        if not name.startswith(norms) and (f"{name}." in norms or not [*child.children()])
    }
    with hooked(modules, seen):
        output = model(images)
    return order, [output, *outputs.values()]


def _fold(module: nn.Module, before: str, after: str) -> None:
    """The norm `after` into the convolution `before`, if that is what they are."""
    conv, norm = module.get_submodule(before), module.get_submodule(after)
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        return
    if norm.running_mean is None or norm.running_var is None:
        return
    if norm.training or norm.num_features != conv.out_channels:
        return
    # timm's norms carry what follows them
    rest = [child for name in ("drop", "act") if (child := getattr(norm, name, None)) is not None]
    if type(norm) is not nn.BatchNorm2d and not rest:
        return
    weight, bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight,
        norm.bias,
    )  # fmt: skip
    conv.weight, conv.bias = (nn.Parameter(t.detach(), requires_grad=False) for t in (weight, bias))
    parent, _, name = after.rpartition(".")
    setattr(module.get_submodule(parent), name, nn.Sequential(*rest) if rest else nn.Identity())


def _alike(found: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    return len(found) == len(expected) and all(
        a.shape == b.shape and bool((a - b).abs().max() <= SAME * b.abs().max())
        for a, b in zip(found, expected, strict=True)
    )
