"""Queries: what the tally of a layer says of its channels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from featvis.probe.best import EMPTY, Best
from featvis.probe.exact import BINS, added, edges
from featvis.probe.tally import Tally

__all__ = ["Moments", "alike", "class_means", "moments", "percentile", "quantile", "strongest"]


class Moments(NamedTuple):
    """Of each channel (C,), over all positions of all pictures."""

    mean: Tensor
    std: Tensor
    active: Tensor  # share of pictures with a value above zero
    positive: Tensor  # share of positions above zero, of those drawn
    threshold: Tensor  # exceeded by 0.5 % of the positions drawn, as in Network Dissection


TAIL = 0.005


def moments(tally: Tally, pictures: int) -> Moments:
    """Mean and standard deviation are exact; see `Tally` for what is drawn."""
    count = max(pictures, 1)
    mean, square = added(tally.sums[0]) / count, added(tally.sums[1]) / count
    positive = tally.values[:, BINS // 2 + 1 :].sum(1) / tally.values.sum(1).clamp_min(1)
    active = tally.maxima[:, BINS // 2 + 1 :].sum(1) / count
    std = (square - mean.square()).clamp_min(0).sqrt()
    return Moments(mean, std, active, positive, quantile(tally.values, 1 - TAIL))


def quantile(counts: Tensor, share: float) -> Tensor:
    """The value (C,) below which `share` of what was counted (C, BINS) lies.

    Within a bin the values are taken to be spread evenly; in the bin of zero they are zero.
    """
    reached = counts.double().cumsum(1)
    wanted = share * reached[:, -1:]
    at = torch.searchsorted(reached, wanted).clamp_max(BINS - 1)
    inside = counts.double().gather(1, at).clamp_min(1)
    part = ((wanted - (reached.gather(1, at) - inside)) / inside).clamp(0, 1)
    ends = edges().to(counts.device)
    value = ends[at] + part * (ends[at + 1] - ends[at])
    return torch.where(at == BINS // 2, 0.0, value)[:, 0]


def percentile(counts: Tensor, value: float) -> float:
    """Which percentage of what was counted (BINS,) lies below a value."""
    ends = edges()
    at = int(torch.searchsorted(ends, torch.tensor(value).double(), right=True)) - 1
    total = float(counts.sum())
    if total == 0 or at < 0:
        return 0.0
    if at >= BINS:
        return 100.0
    part = 0.0 if at == BINS // 2 else float((value - ends[at]) / (ends[at + 1] - ends[at]))
    return 100 * (float(counts[:at].sum()) + part * float(counts[at])) / total


def class_means(tally: Tally, per_class: Tensor) -> Tensor:
    """The mean (K, C) of the maxima of each class's pictures; nan for a class without any."""
    means = added(tally.classes) / per_class.to(tally.classes.device)[:, None]
    return torch.where(per_class.to(means.device)[:, None] > 0, means, torch.nan)


def alike(tally: Tally, sampled: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k channels most like each one: numbers (C, k), and correlations (C, k) of their maxima.

    Over the sampled pictures; a channel that never changes correlates 0 with all.
    """
    rows = tally.sample[(sampled != EMPTY).to(tally.sample.device)].double()
    rows = rows.nan_to_num(0.0, 0.0, 0.0)
    rows = rows - rows.mean(0) if len(rows) else rows
    size = rows.norm(dim=0)
    unit = torch.where(size > 1e-12 * size.max().clamp_min(1e-300), rows / size, 0.0)
    correlation = (unit.T @ unit).fill_diagonal_(-2.0)
    k = min(k, len(correlation) - 1)
    order = correlation.argsort(dim=1, descending=True, stable=True)[:, :k]
    return order, correlation.gather(1, order).clamp(-1, 1)


def strongest(best: Best, channel: int) -> list[tuple[int, float, int]]:
    """Picture, value and position of a channel's strongest pictures, the strongest first."""
    rows = zip(
        best.images[channel].tolist(),
        best.values[channel].tolist(),
        best.positions[channel].tolist(),
        strict=True,
    )
    return [row for row in rows if row[0] != EMPTY]
