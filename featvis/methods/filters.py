"""Filters: the weights of a convolution, as applied."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from featvis.model import VisionModel, WrongRequest
from featvis.network.graph import Weights
from featvis.network.neuron import check_channel
from featvis.spec import method
from featvis.types import Filters, precise

__all__ = ["filters"]


@method("Filters", family="Filters", paper="Krizhevsky et al. 2012")
def filters(
    model: VisionModel,
    layer: str | None = None,
    channel: int | None = None,
    *,
    sort: Annotated[Literal["channel", "strength"], "order of the tiles; strength is the norm"] = (
        "channel"
    ),
) -> Filters:
    """The weights of a convolution as pictures; the first layer's are small RGB images.

    A filter answers most to a patch that looks like itself, so the first layer can be read
    directly: edges of many directions, colour contrasts, and in a well trained network no noise.
    The weights are those that are applied (some networks standardize the stored ones), divided by
    the standard deviations of the normalization, so that colours are in pixel space. Grey is zero.

    Filters of deeper layers see channels, not colours: one filter is one small kernel for each
    channel before it, and kernels alone say little. Choose a channel to see its kernels.
    """
    name = layer or first_layer(model)
    conv = _convolution(model, name)
    weight = applied_weight(conv)
    rgb = (
        weight.shape[1] == model.bands == 3 and conv.groups == 1 and model.layer(name).depth <= 0.5
    )
    notes = _notes(model, name, conv, weight, rgb)
    weight = precise(weight)
    if rgb:
        weight = weight / model.std.to(weight)
    elif weight.shape[1] > 1:
        chosen = 0 if channel is None else check_channel(name, channel, len(weight))
        weight = weight[chosen].unsqueeze(1)  # (in, kh, kw) -> (in, 1, kh, kw)
        notes.append(f"channel {chosen}: one kernel for each of its {len(weight)} input channels")
    norms = weight.flatten(1).norm(dim=1)
    order = torch.arange(len(weight))
    if sort == "strength":
        order = norms.argsort(descending=True, stable=True)
    return Filters(weight, name, rgb, norms, order, notes=tuple(notes))


def first_layer(model: VisionModel) -> str:
    """The first convolution over the picture; of several parallel ones, the largest kernel."""
    convolutions = [layer for layer in model.layers.values() if layer.kernel]
    if not convolutions:
        raise WrongRequest(f"{model.name} has no convolution, so it has no filters to show")
    over = [
        layer
        for layer in convolutions
        if _convolution(model, layer.name).in_channels == model.bands
    ]
    early = [layer for layer in over if layer.depth <= 0.5] or convolutions[:1]
    return max(early, key=lambda layer: layer.kernel or (0, 0)).name


def applied_weight(conv: nn.Conv2d) -> Tensor:
    """The weight (C, in, kh, kw) that a convolution applies, caught as it runs on zeros."""
    kernel = [(k - 1) * d + 1 for k, d in zip(conv.kernel_size, conv.dilation, strict=True)]
    zeros = conv.weight.new_zeros(1, conv.in_channels, *kernel)
    with torch.no_grad(), Weights() as seen:
        conv(zeros)
    return seen.applied[0]


def _convolution(model: VisionModel, name: str) -> nn.Conv2d:
    module = model.module.get_submodule(model.layer(name).name)
    if isinstance(module, nn.Conv2d):
        return module
    near = [layer.name for layer in model.layers.values() if layer.name.startswith(f"{name}.")]
    inside = [layer for layer in near if model.layers[layer].kernel][:3]
    raise WrongRequest(
        f"{name} of {model.name} is a {model.layer(name).kind}, not a convolution, and has no "
        f"filters of its own; the convolutions in it are {', '.join(inside) or 'none'}"
    )


def _notes(model: VisionModel, name: str, conv: nn.Conv2d, weight: Tensor, rgb: bool) -> list[str]:
    notes = []
    if name == first_layer(model) and not rgb:
        notes.append(
            f"this network rearranges the picture into {conv.in_channels} channels first: "
            "its filters are not RGB images"
        )
    if weight.shape[2:] == (1, 1):
        notes.append("1x1 filters mix channels and have no shape in space")
    if conv.groups > 1 and weight.shape[1] == 1:
        notes.append("a depthwise convolution: each filter sees one channel only")
    stored = conv.weight.detach()
    if stored.shape == weight.shape and not torch.allclose(stored, weight):
        notes.append("the network standardizes its stored weights: the applied ones are shown")
    return notes
