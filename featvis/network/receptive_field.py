"""Receptive fields: what a position of a layer can see, and what it does see."""

from __future__ import annotations

import torch
from torch import Tensor

from featvis.autograd import gradient_at, in_own_mode
from featvis.model import VisionModel
from featvis.network.neuron import check_position
from featvis.record import record_units
from featvis.types import ATTENTION, ReceptiveField, Rectangle

__all__ = ["field_box", "receptive_field"]

PICTURES = 4  # of noise, over which the influence is averaged


@in_own_mode
def receptive_field(
    model: VisionModel, layer: str, position: tuple[int, int], *, seed: int = 0
) -> ReceptiveField:
    """The pixels that one position of a layer depends on.

    `.box` holds every pixel that can matter, followed through the operations that ran; it leaves
    out global averages (squeeze-excite gates). `.center` is where the position lies. `.effective`
    holds 95 % of the influence (mean |gradient| over noise pictures): what is seen in practice is
    much smaller than what could be (Luo et al. 2016).
    """
    facts = model.layer(layer)
    check_position(layer, position, facts.size)
    center = facts.place.center(position)
    influence = _influence(model, layer, position, seed)
    notes = []
    if facts.gated:
        notes.append("a global average gates this layer: every pixel matters a little")
    if facts.mixed:
        by = "attention" if facts.mixed == ATTENTION else "a mixing of positions"
        notes.append(f"{by} lets every position see all others: read the effective box")
    return ReceptiveField(
        influence,
        layer,
        position,
        box=field_box(center, facts.field, model.size),
        center=center,
        effective=_effective(influence),
        globally=facts.gated or bool(facts.mixed),
        notes=tuple(notes),
    )


def field_box(
    center: tuple[float, float], field: tuple[float, float], size: tuple[int, int]
) -> Rectangle:
    """The receptive field round a centre, within a picture of `size`."""
    top, left = (max(center[i] - field[i] / 2, 0.0) for i in (0, 1))
    bottom, right = (min(center[i] + field[i] / 2, float(size[i])) for i in (0, 1))
    return Rectangle(top, left, bottom, right)


def _influence(model: VisionModel, layer: str, position: tuple[int, int], seed: int) -> Tensor:
    """Share (H, W) of each pixel in the mean |gradient| of the position's channels."""
    make = torch.Generator().manual_seed(seed)
    noise = torch.rand(PICTURES, model.bands, *model.size, generator=make).to(model.like)
    leaf = noise.requires_grad_()
    with torch.enable_grad():
        maps = record_units(model, leaf, layer)[layer]
        signs = torch.randn(maps.shape[1], generator=make).to(maps)  # channels must not cancel
        score = torch.einsum("bc,c->", maps[:, :, position[0], position[1]], signs)
        gradient = gradient_at(score, leaf)
    influence = gradient.abs().sum((0, 1))
    total = influence.sum()
    return influence / total if total > 0 else influence


def _effective(influence: Tensor, share: float = 0.95) -> Rectangle:
    """The rows and the columns between which `share` of the influence lies."""
    rest = (1 - share) / 2

    def bounds(profile: Tensor) -> tuple[float, float]:
        reached = profile.cumsum(0)
        first = int((reached <= rest * reached[-1]).sum())
        last = int((reached < (1 - rest) * reached[-1]).sum())
        return float(first), float(min(last + 1, len(profile)))

    (top, bottom), (left, right) = bounds(influence.sum(1)), bounds(influence.sum(0))
    return Rectangle(top, left, bottom, right)
