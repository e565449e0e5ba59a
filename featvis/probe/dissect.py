"""Dissection: which part of objects a channel detects (Network Dissection, Bau et al. 2017).

A channel's detector is what exceeds the value that only 0.5 % of all positions exceed. It is laid
over the picture by the measured centres of its positions and compared with exact masks:

    IoU(channel, part) = sum |detected and part| / sum |detected or part|, over all pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from featvis.autograd import in_own_mode
from featvis.model import Layer, VisionModel
from featvis.record import record_units

__all__ = ["GRID", "Masked", "dissect"]

GRID = 32  # cells per side on which detectors are compared with masks


@dataclass(frozen=True, eq=False)
class Masked:
    """Pictures with exact masks of their parts."""

    pixels: Tensor  # (B, 3, H, W), RGB in [0, 1]
    shares: Tensor  # (B, P, GRID, GRID) share of each cell that each part covers


@in_own_mode
def dissect(
    model: VisionModel, batches: Iterable[Masked], thresholds: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """IoU (C, P) of the channels of each layer with each part; `thresholds` (C,) per layer."""
    both: dict[str, Tensor] = {}
    areas: dict[str, Tensor] = {}
    parts: Tensor | float = 0.0
    with torch.no_grad():
        for batch in batches:
            maps = record_units(model, batch.pixels.to(model.like), *thresholds)
            shares = batch.shares.to(model.like).flatten(2)  # (B, P, cells)
            parts = parts + shares.sum((0, 2), dtype=torch.double)
            shown = [m.nonzero()[:, 0] for m in shares.sum(2) > 0]  # few parts are in a picture
            for name, limits in thresholds.items():
                inside, area = _overlap(maps[name], limits, model.layer(name), shares, shown, model)
                both[name] = both.get(name, 0.0) + inside
                areas[name] = areas.get(name, 0.0) + area
    return {
        name: both[name] / (areas[name][:, None] + parts - both[name]).clamp_min(1e-9)
        for name in thresholds
    }


def _overlap(
    maps: Tensor,
    limits: Tensor,
    layer: Layer,
    shares: Tensor,
    shown: list[Tensor],
    model: VisionModel,
) -> tuple[Tensor, Tensor]:
    """Cells (C, P) that are detected and in a part, and cells (C,) that are detected."""
    down, across = (
        _between(layer.place.start[i], layer.place.step[i], maps.shape[2 + i], model.size[i])
        for i in (0, 1)
    )
    inside = torch.zeros(maps.shape[1], shares.shape[1], dtype=torch.double, device=maps.device)
    area = torch.zeros(maps.shape[1], dtype=torch.double, device=maps.device)
    down, across, limits = down.to(maps), across.to(maps).T, limits.to(maps)[:, None, None]
    whole = shares.new_ones(1, shares.shape[2])
    for one, share, parts in zip(maps.contiguous(), shares, shown, strict=True):
        wide = down @ one @ across  # (C, h, w) -> (C, GRID, GRID)
        found = wide.gt_(limits).flatten(1)
        counts = (found @ torch.cat([whole, share[parts]]).T).double()  # exact: shares are 16ths
        area += counts[:, 0]
        inside[:, parts] += counts[:, 1:]
    return inside, area


def _between(start: float, step: float, count: int, length: int) -> Tensor:
    """Weights (GRID, count) of the positions along one axis at the centres of the cells: linear."""
    centers = (torch.arange(GRID).double() + 0.5) * length / GRID
    at = ((centers - start) / step).clamp(0, count - 1)
    low = at.floor().long().clamp_max(max(count - 2, 0))
    weights = torch.zeros(GRID, count, dtype=torch.double)
    weights.scatter_(1, low[:, None], (1 - (at - low))[:, None])
    if count > 1:
        weights.scatter_(1, low[:, None] + 1, (at - low)[:, None])
    return weights
