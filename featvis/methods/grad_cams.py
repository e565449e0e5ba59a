"""Grad-CAM and its kin: the maps of a layer, weighted by the gradient of a score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from torch import Tensor

from featvis.autograd import gradient_at
from featvis.model import Image, VisionModel, WrongRequest, values
from featvis.record import record_logits
from featvis.render import sample
from featvis.spec import Range, method
from featvis.target import Score, Target
from featvis.types import Heatmap, Place

__all__ = ["default_layers", "fused", "grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam"]

Layers = str | Sequence[str] | None
Stages = Annotated[int, Range(1, 5), "Stages fused, from the last one up, if no layer is chosen"]
Weigh = Callable[[Tensor, Tensor], Tensor]  # maps and gradients (B, C, h, w) -> (B, h, w)
PER_POSITION = "score per position of {layer}"  # activation times gradient, as they are
UNSEEN = "the class does not depend on this layer here: its gradient is zero everywhere"


@method(
    "Grad-CAM",
    family="Class evidence",
    paper="Selvaraju et al. 2017, arXiv:1610.02391",
    cost=2,
    first=True,
)
def grad_cam(
    model: VisionModel,
    image: Tensor | Image,
    target: Target = None,
    layer: Layers = None,
    *,
    stages: Stages = 1,
) -> Heatmap:
    """Channels weighted by the average gradient of the class, added up, and cut off below zero.

        a_k = mean over (x, y) of d logit_c / d A_k(x, y),    map = max(0, sum_k a_k A_k)

    It works for any layer of any network. At the last map of a network with average pooling it is
    the positive part of CAM up to a factor; earlier, the average gradient is a coarse summary and
    the map is no exact account of the logit. Several layers or stages are fused: each map over its
    maximum, then their mean.
    """
    return _weighted(model, image, target, layer, stages, _grad_cam)


def _grad_cam(maps: Tensor, gradients: Tensor) -> Tensor:
    return torch.einsum("bk,bkhw->bhw", gradients.mean((2, 3)), maps).relu()


@method(
    "Grad-CAM++",
    family="Class evidence",
    paper="Chattopadhay et al. 2018, arXiv:1710.11063",
    cost=2,
)
def grad_cam_plus_plus(
    model: VisionModel,
    image: Tensor | Image,
    target: Target = None,
    layer: Layers = None,
    *,
    stages: Stages = 1,
) -> Heatmap:
    """Grad-CAM with the positive gradients only, weighted so that every object counts alike.

        a_k = sum over (x, y) of g^2 / (2 g^2 + g^3 sum A_k) . max(0, g),    g = d logit_c / d A_k

    Of several objects of a class the smaller ones are not drowned by the largest. The weights
    follow from an exponential of the logit and are a heuristic: the map adds up to nothing.
    """
    return _weighted(model, image, target, layer, stages, _plus_plus, unit="")


def _plus_plus(maps: Tensor, g: Tensor) -> Tensor:
    below = 2 * g.square() + g.pow(3) * maps.sum((2, 3), keepdim=True)
    share = torch.where(
        below == 0, torch.zeros_like(g), g.square() / torch.where(below == 0, 1, below)
    )
    weights = (share * g.relu()).sum((2, 3))
    return torch.einsum("bk,bkhw->bhw", weights, maps).relu()


@method(
    "HiResCAM", family="Class evidence", paper="Draelos and Carin 2020, arXiv:2011.08891", cost=2
)
def hires_cam(
    model: VisionModel,
    image: Tensor | Image,
    target: Target = None,
    layer: Layers = None,
    *,
    stages: Stages = 1,
) -> Heatmap:
    """Each position's activations times each position's own gradient, added up over the channels.

        map(x, y) = sum_k A_k(x, y) . d logit_c / d A_k(x, y)

    Without Grad-CAM's averaging, what a position does to the score stays at that position. Where
    the network is linear behind the layer, the map adds up to the logit but for a constant.
    Warm colours raise the logit, cold ones lower it.
    """
    return _weighted(model, image, target, layer, stages, lambda a, g: (a * g).sum(1), signed=True)


@method("LayerCAM", family="Class evidence", paper="Jiang et al. 2021, IEEE TIP", cost=2)
def layer_cam(
    model: VisionModel,
    image: Tensor | Image,
    target: Target = None,
    layer: Layers = None,
    *,
    stages: Stages = 1,
) -> Heatmap:
    """Each position weighted by its own positive gradient: usable at early layers too.

        map(x, y) = max(0, sum_k A_k(x, y) . max(0, d logit_c / d A_k(x, y)))

    Early layers give fine maps, which show strokes more than objects; several layers or stages are
    fused: each map over its maximum, then their mean.
    """
    return _weighted(model, image, target, layer, stages, lambda a, g: (a * g.relu()).sum(1).relu())


def _weighted(
    model: VisionModel,
    image: Tensor | Image,
    target: Target,
    layer: Layers,
    stages: int,
    weigh: Weigh,
    *,
    signed: bool = False,
    unit: str = PER_POSITION,
) -> Heatmap:
    """One forward pass, one backward pass from the score to the layers, and what `weigh` makes."""
    images = values(image)
    names = chosen_layers(model, layer) or stage_ends(model, stages)
    raws, maps, output = record_logits(model, images, *(names or default_layers(model)))
    found = model.output.score(output, target)
    if len(found.values) != len(images):
        raise WrongRequest("these maps take one class per picture; repeat the picture for more")
    gradients: tuple[Tensor | None, ...] = (None,) * len(raws)
    if found.values.requires_grad:  # otherwise none of the layers leads to the class
        gradients = torch.autograd.grad(found.values.sum(), raws, allow_unused=True)
    if all(gradient is None for gradient in gradients):
        _check_gradient(model, images[:1])
    slopes = {
        name: (a, model.maps(name, g, tuple(images.shape)))
        for name, a, g in zip(names or default_layers(model), maps, gradients, strict=True)
        if g is not None
    }
    seen = {name: pair for name, pair in slopes.items() if pair[1].any()}
    if not names:  # the last of the default layers that the score depends on
        seen = dict(list(seen.items())[-1:])
    if not seen:
        last = (names or default_layers(model))[-1]
        empty = {last: maps[-1].sum(1) * 0}
        return _heat(model, empty, found, signed, unit, (UNSEEN,))
    weighed = {n: weigh(*pair) for n, pair in seen.items()}
    return _heat(model, weighed, found, signed, unit, ())


def _check_gradient(model: VisionModel, images: Tensor) -> None:
    """Refuse a network of which no gradient can be taken at all."""
    leaf = images.detach().requires_grad_()
    gradient_at(model(leaf), leaf)


def chosen_layers(model: VisionModel, layer: Layers) -> list[str]:
    """The names given, also as one text with commas, each checked; none: []."""
    given = layer.split(",") if isinstance(layer, str) else list(layer or ())
    return [model.layer(name).name for name in dict.fromkeys(given)]


def stage_ends(model: VisionModel, stages: int) -> list[str]:
    """The last layers of the last stages, a stage being what has one map size; one stage: []."""
    last: dict[tuple[int, int], str] = {}
    for name, layer in model.layers.items():
        last.pop(layer.size, None)
        last[layer.size] = name
    return list(last.values())[-stages:] if stages > 1 else []


def default_layers(model: VisionModel) -> list[str]:
    """The last layer; behind a class token the last ones, as the very last may have no gradient."""
    names = [layer.name for layer in model.layer_list]
    tokens = model.layers[names[-1]].layout.kind in ("NLC", "LNC") and model.head is None
    return names[-8:] if tokens else names[-1:]


def _heat(
    model: VisionModel,
    maps: dict[str, Tensor],
    found: Score,
    signed: bool,
    unit: str,
    notes: tuple[str, ...],
) -> Heatmap:
    made, place = fused(model, maps)
    name = " + ".join(maps)
    if len(maps) > 1:
        notes += ("several layers: each map over its own maximum, then their mean",)
    return Heatmap(
        made.detach(),
        name,
        place,
        found.words,
        found.values.detach(),
        found.classes,
        signed,
        notes=notes,
        unit=unit.format(layer=name) if len(maps) == 1 else "",
    )


def fused(model: VisionModel, maps: dict[str, Tensor]) -> tuple[Tensor, Place]:
    """One map (B, h, w) as it is; several over their maxima, on the finest one's grid, averaged."""
    finest = max(maps, key=lambda name: maps[name][0].numel())
    place = model.layer(finest).place
    if len(maps) == 1:
        return maps[finest], place
    h, w = maps[finest].shape[1:]
    rows = place.start[0] + torch.arange(h) * place.step[0]
    columns = place.start[1] + torch.arange(w) * place.step[1]
    at = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)
    total = torch.zeros_like(maps[finest])
    for name, one in maps.items():
        top = one.abs().amax((1, 2), keepdim=True).clamp_min(1e-12)
        unit = one / top
        total += unit if name == finest else sample(unit, model.layer(name).place, at).to(total)
    return total / len(maps), place
