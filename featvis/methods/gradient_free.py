"""Class maps without gradients: by masking the picture, and by the maps' first component."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from featvis.gradients.aim import Aim
from featvis.gradients.precision import ENOUGH, Precision, possible, reduced, said
from featvis.gradients.samples import batches
from featvis.gradients.statistics import rank_correlation
from featvis.methods.grad_cams import chosen_layers, default_layers
from featvis.model import Image, VisionModel, WrongRequest, values
from featvis.record import record
from featvis.render import sample
from featvis.spec import Range, Tuning, method
from featvis.target import Target
from featvis.types import Heatmap

__all__ = ["eigen_cam", "score_cam"]


def _layer(model: VisionModel, layer: str | None) -> str:
    return (chosen_layers(model, layer) or default_layers(model))[-1]


@method("Eigen-CAM", family="Class evidence", paper="Muhammad and Yeasin 2020, arXiv:2008.00299")
def eigen_cam(model: VisionModel, image: Tensor | Image, layer: str | None = None) -> Heatmap:
    """What most positions have in common: the maps' projection on their first singular vector.

        A = U S V^T with positions as rows and channels as columns,    map = A v_1

    It asks for no class and takes no gradient: it shows what the layer answers to most strongly,
    often the largest object, whatever it is. The sign is chosen so that the map is positive where
    the layer is most active.
    """
    name = _layer(model, layer)
    with torch.no_grad():
        maps = record(model, values(image), name)[name]
        if not maps.isfinite().all():
            raise WrongRequest(
                f"the values of {name} are not finite for this picture: they have no component"
            )
        rows = maps.flatten(2).transpose(1, 2)  # (B, positions, channels)
        first = torch.linalg.svd(rows, full_matrices=False).Vh[:, :1]
        made = (rows * first).sum(2)
        strongest = rows.square().sum(2).argmax(1, keepdim=True)
        made = made * made.gather(1, strongest).sign()
    nothing = torch.full((len(maps),), -1, dtype=torch.long, device=maps.device)
    shape = maps.shape[2:]
    return Heatmap(
        made.unflatten(1, shape),
        name,
        model.layer(name).place,
        "the layer's first component",
        made.amax(1),
        nothing,
        signed=bool((maps < 0).any()),
    )


@method(
    "Score-CAM",
    family="Class evidence",
    paper="Wang et al. 2020, arXiv:1910.01279",
    cost=lambda model, given: model.layer(_layer(model, given.get("layer"))).channels + 2,
)
def score_cam(
    model: VisionModel,
    image: Tensor | Image,
    target: Target = None,
    layer: str | None = None,
    *,
    batch: Annotated[int, Range(1, 1024), Tuning("Masks at once: bounds the memory only")] = 16,
    precision: Precision = "auto",
) -> Heatmap:
    """Channels weighted by what the class's score becomes where only they let the picture through.

        a = softmax over k of logit_c(I . M_k),   map = max(0, sum_k a_k A_k)

    M_k is the channel's map, enlarged to the picture and stretched to [0, 1]. One forward pass for
    each channel that is not flat, so it takes its time; no gradient, so no saturation. The masks
    blacken what they hide, which the network has hardly seen in training.
    """
    images, name = values(image).detach(), _layer(model, layer)
    aim, found = Aim(model, target).settled(images)
    if len(found.values) != len(images):
        raise WrongRequest("Score-CAM takes one class per picture; repeat the picture for more")
    with torch.no_grad():
        maps = record(model, images, name)[name]
        made = [
            _masked(aim.of(torch.tensor([i])), images[i], maps[i], model, name, batch, precision)
            for i in range(len(images))
        ]
    heat = torch.stack([one for one, _ in made])
    notes = said([agreed for _, agreed in made])
    place = model.layer(name).place
    return Heatmap(heat, name, place, found.words, found.values, found.classes, notes=notes)


def _masked(
    aim: Aim,
    picture: Tensor,
    maps: Tensor,
    model: VisionModel,
    name: str,
    batch: int,
    precision: str,
) -> tuple[Tensor, float]:
    """The map (h, w) of one picture (3, H, W) from its maps (C, h, w), and how bfloat16 agreed."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    alive = ((high - low)[:, 0, 0] > 0).nonzero()[:, 0]
    if not len(alive):
        return torch.zeros_like(maps[0]), 0.0
    unit = ((maps - low) / (high - low).clamp_min(1e-12))[alive]
    place, half, agreed = model.layer(name).place, False, 0.0
    axes = [torch.arange(length) + 0.5 for length in picture.shape[1:]]
    at = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    scores: list[Tensor] = []

    def answers(part: Tensor, *, half: bool) -> Tensor:
        hidden = picture * sample(unit[part], place, at).to(picture)[:, None]
        with reduced(picture.device.type, on=half):
            return aim(hidden.contiguous(memory_format=torch.channels_last)).values.to(picture)

    def combined(found: Tensor) -> Tensor:
        weights = found.softmax(0)
        return torch.einsum("k,khw->hw", weights.to(maps), maps[alive[: len(found)]]).relu()

    for _, part in batches(1, len(alive), batch):
        scores.append(answers(part, half=half))
        if len(scores) == 1 and len(alive) > 2 * batch and possible(precision, aim.model):
            trial = combined(answers(part, half=True))
            agreed = float(rank_correlation(trial[None], combined(scores[0])[None]))
            half = agreed >= ENOUGH
    return combined(torch.cat(scores)), agreed
