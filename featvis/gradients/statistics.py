"""Statistics of maps."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Interval", "mean_interval", "rank_correlation"]

NORMAL = 1.959964  # 97.5 % quantile of the normal distribution


class Interval(NamedTuple):
    """A mean, and the half width of its 95 % confidence interval."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.half:.2f}"


def mean_interval(values: Tensor) -> Interval:
    """The 95 % interval, by Student's t, of the mean of at least four values (N,)."""
    freedom = len(values) - 1
    if freedom < 3:
        raise ValueError(f"an interval needs four values or more, not {len(values)}")
    # Cornish and Fisher's expansion of the quantile: within 1 % from three degrees of freedom on
    z = NORMAL
    quantile = (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
    values = values.double()
    return Interval(float(values.mean()), float(quantile * values.std() / len(values) ** 0.5))


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
