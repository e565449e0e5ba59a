"""Statistics of maps."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["rank_correlation"]


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's (B,) of maps (B, ...): ties have their mean rank, a flat map correlates 0."""
    pairs = zip(a.flatten(1), b.flatten(1), strict=True)
    return torch.stack([_correlation(_ranks(x), _ranks(y)) for x, y in pairs])


def _ranks(values: Tensor) -> Tensor:
    _, place, counts = values.detach().nan_to_num().unique(return_inverse=True, return_counts=True)
    ends = counts.cumsum(0).double()
    return (ends - (counts.double() - 1) / 2)[place]


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    x, y = x - x.mean(), y - y.mean()
    size = x.norm() * y.norm()
    return (x @ y) / size if size > 0 else x.new_zeros(())
