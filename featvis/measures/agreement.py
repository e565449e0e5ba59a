"""Agreement: how much alike the maps of several networks of one picture are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from featvis.gradients.statistics import rank_correlation

__all__ = ["Agreement", "agreement"]

STRONGEST = 0.2  # share of a map that is held against the strongest of another


@dataclass(frozen=True, eq=False)
class Agreement:
    """Of each pair of N maps, and of every place."""

    correlation: Tensor  # (N, N) Spearman's, of all places
    overlap: Tensor  # (N, N) intersection over union of the strongest fifth of each
    disagreement: Tensor  # (h, w) standard deviation of the ranks in [0, 1], over the maps


def agreement(maps: Sequence[Tensor]) -> Agreement:
    """The agreement of maps (h, w) of the same grid; only their order of places counts.

    Ranks know no scale: a logit and a gradient can be compared. A map without any difference
    agrees with none: its correlation is 0 and so is its overlap.
    """
    flat = torch.stack([found.detach().float().cpu().flatten() for found in maps])
    count, places = flat.shape
    correlation = torch.stack([
        rank_correlation(flat[i].expand(count, -1), flat) for i in range(count)
    ])  # fmt: skip
    top = max(1, round(STRONGEST * places))
    strongest = torch.zeros_like(flat, dtype=torch.bool)
    strongest.scatter_(1, flat.argsort(dim=1, descending=True, stable=True)[:, :top], True)
    strongest &= (flat.amax(1) > flat.amin(1))[:, None]
    both = (strongest[:, None] & strongest[None]).sum(2).float()
    either = (strongest[:, None] | strongest[None]).sum(2).float()
    ranks = flat.argsort(dim=1, stable=True).argsort(dim=1).float() / max(places - 1, 1)
    spread = ranks.std(0, correction=0)
    return Agreement(correlation, both / either.clamp_min(1), spread.unflatten(0, maps[0].shape))
