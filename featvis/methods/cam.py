"""The class activation map: the evidence for a class, position by position."""

from __future__ import annotations

import torch
from torch import Tensor

from featvis.model import Image, VisionModel, values
from featvis.network.find_head import BESIDE
from featvis.network.head import Evidence, read_head
from featvis.spec import method
from featvis.target import Contrast, Target
from featvis.types import Heatmap, precise

__all__ = ["cam", "cam_of"]


@method(
    "CAM",
    family="Class evidence",
    paper="Zhou et al. 2016, arXiv:1512.04150",
    requires=("head",),
    first=True,
)
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
    """The map of a target from a forward pass already made; of one picture several classes too."""
    head = model.head
    assert head is not None
    found = model.output.score(evidence.logits, target)
    picture = torch.arange(len(found.classes), device=found.classes.device)
    if len(evidence.logits) == 1:
        picture = torch.zeros_like(picture)
    gradients, bias = evidence.weights(found.classes, picture)
    if isinstance(target, Contrast):  # the head is affine, so a difference of maps is a map
        other = evidence.weights(torch.full_like(found.classes, target.against), picture)
        gradients, bias = gradients - other[0], bias - other[1]
    products = precise(evidence.maps_of(picture)) * precise(gradients)
    contributions = head.layout.to_maps(products, model.grid(head.size, evidence.seen)).sum(1)
    maps = contributions * contributions[0].numel()  # mean instead of sum: as in the paper
    error = (maps.mean((1, 2)) + bias - found.values).abs()
    residual = error / evidence.logits[picture].abs().amax(1).clamp_min(1e-12)
    plain = head.kind == "exact" and not model.head_reason.endswith(BESIDE)
    notes = () if plain else (f"head: {head.kind}; {model.head_reason}",)
    return Heatmap(
        maps,
        "",
        head.place,
        found.words,
        found.values.detach(),
        found.classes,
        signed=True,
        bias=bias.detach(),
        residual=residual.detach(),
        notes=notes,
    )
