"""Class activation maps: the evidence for a class, position by position."""

from __future__ import annotations

import torch
from torch import Tensor

from featvis.head import Evidence, read_head
from featvis.model import Image, VisionModel, WrongRequest, values
from featvis.record import record_logits
from featvis.spec import method
from featvis.target import Target, classes
from featvis.types import Heatmap

__all__ = ["cam", "cam_of", "grad_cam"]


@method("CAM", family="Class evidence", paper="Zhou et al. 2016", requires=("head",))
def cam(model: VisionModel, image: Tensor | Image, target: Target = None) -> Heatmap:
    """The class activation map: the logit of a class, taken apart by position.

        CAM_c(x, y) = sum_k W_ck F_k(x, y),    logit_c = mean over (x, y) of CAM_c + b_c

    F is the last map, W_c the class's weights behind the pooling. It costs one forward pass, the
    one that makes the prediction. Warm colours are evidence for the class, cold ones against it;
    nothing is cut off. The residual says how exactly the map's mean and b_c give back the logit:
    at the rounding of the computer's numbers, the map *is* the prediction. Where a normalization
    or a layer follows the pooling, its statistics and gates are held at this picture's values.

    A position of the map sees more of the picture than its own square.
    """
    return cam_of(model, read_head(model, values(image)), target)


def cam_of(model: VisionModel, evidence: Evidence, target: Target = None) -> Heatmap:
    """The map of any class from a forward pass already made; several classes of one picture too."""
    head = model.head
    assert head is not None
    target = classes(model, evidence.logits, target)
    picture = torch.arange(len(target), device=target.device)
    if len(evidence.logits) == 1:
        picture = torch.zeros_like(target)
    gradients, bias = evidence.weights(target, picture)
    contributions = head.layout.to_maps(evidence.raw[picture] * gradients, head.size).sum(1)
    maps = contributions * contributions[0].numel()  # mean instead of sum: as in the paper
    logits = evidence.logits[picture]
    made = maps.mean((1, 2)) + bias
    error = (made - logits.gather(1, target[:, None])[:, 0]).abs()
    residual = error / logits.abs().amax(1).clamp_min(1e-12)
    notes = () if head.kind == "exact" else (f"head: {head.kind}; {model.head_reason}",)
    return Heatmap(
        maps, "", head.place, target, logits, True, bias.detach(), residual.detach(), notes=notes
    )


@method("Grad-CAM", family="Class evidence", paper="Selvaraju et al. 2017")
def grad_cam(
    model: VisionModel, image: Tensor | Image, target: Target = None, layer: str | None = None
) -> Heatmap:
    """Channels weighted by the average gradient of the class, added up, and cut off below zero.

        a_k = mean over (x, y) of d logit_c / d A_k(x, y),    map = max(0, sum_k a_k A_k)

    It works for any layer of any network. At the last map of a network with average pooling it is
    the positive part of CAM up to a factor; earlier, the average gradient is a coarse summary and
    the map is no exact account of the logit.
    """
    images = values(image)
    names = [layer] if layer else _default_layers(model)
    raws, maps, logits = record_logits(model, images, *names)
    target = classes(model, logits, target)
    if len(target) != len(images):
        raise WrongRequest("Grad-CAM takes one class per picture; repeat the picture for more")
    score = logits.gather(1, target[:, None]).sum()
    gradients = torch.autograd.grad(score, raws, allow_unused=True)
    for name, found, gradient in reversed(list(zip(names, maps, gradients, strict=True))):
        if gradient is not None and (slope := model.maps(name, gradient)).any():
            weights = slope.mean((2, 3))
            return _heat(model, name, torch.einsum("bk,bkhw->bhw", weights, found), target, logits)
    notes = ("the class does not depend on this layer here: its gradient is zero everywhere",)
    return _heat(model, names[-1], maps[-1].sum(1) * 0, target, logits, notes)


def _default_layers(model: VisionModel) -> list[str]:
    """The last layer; behind a class token the last ones, as the very last may have no gradient."""
    names = list(model.layers)
    tokens = model.layers[names[-1]].layout.kind == "NLC" and model.head is None
    return names[-8:] if tokens else names[-1:]


def _heat(
    model: VisionModel,
    name: str,
    evidence: Tensor,
    target: Tensor,
    logits: Tensor,
    notes: tuple[str, ...] = (),
) -> Heatmap:
    place = model.layer(name).place
    return Heatmap(evidence.relu(), name, place, target, logits.detach(), notes=notes)
