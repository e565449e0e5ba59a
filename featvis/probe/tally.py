"""A tally: what is kept of one layer while pictures pass. It does not grow with their number.

Tallies are merged in any order and grouping with the same result, bit for bit. In a tally C is the
number of channels, K the number of classes of the data, S the number of sampled pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from featvis.probe.best import EMPTY, Best, enter, strongest_of, tensors
from featvis.probe.exact import BINS, bins, hashed, limbs
from featvis.probe.reduction import NONE, Reduced

__all__ = ["POSITIONS", "Tally", "drawn", "empty", "fold", "joined", "merged"]

POSITIONS = 16  # of each map whose values are counted, drawn by the number of the picture
AXES = {"sums": 2, "maxima": 0, "values": 0, "classes": 2, "sample": 1}  # of the channels


@dataclass(frozen=True, eq=False)
class Tally:
    """One layer, or several. Its tensors are updated in place."""

    ends: Best  # (2, C, k) of the maximum of each map, and of minus its minimum
    sums: Tensor  # (2, 3, C) limbs: of each map's mean, and of its mean square
    maxima: Tensor  # (C, BINS) how many maps have their maximum in a bin
    values: Tensor  # (C, BINS) how many of POSITIONS values of each map are in a bin
    classes: Tensor  # (3, K, C) limbs of the maxima, added up per class
    sample: Tensor  # (S, C) maxima of the sampled pictures

    @property
    def top(self) -> Best:
        """The pictures with the largest maxima."""
        return Best(*(part[0] for part in tensors(self.ends)))

    @property
    def bottom(self) -> Best:
        """Those with the smallest minima; the values are minus these."""
        return Best(*(part[1] for part in tensors(self.ends)))


def empty(channels: int, *, k: int, classes: int, sample: int, like: Tensor) -> Tally:
    """A tally of no picture, on the device of `like`."""
    device = like.device
    kind = torch.double if like.dtype == torch.double else torch.float

    def zeros(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
        return torch.zeros(*shape, dtype=dtype, device=device)

    none = torch.full((2, channels, k), NONE, dtype=kind, device=device)
    return Tally(
        ends=Best(
            values=none,
            images=zeros(2, channels, k) + EMPTY,
            positions=zeros(2, channels, k),
            ties=zeros(2, channels),
        ),
        sums=zeros(2, 3, channels),
        maxima=zeros(channels, BINS, dtype=torch.int32),
        values=zeros(channels, BINS, dtype=torch.int32),
        classes=zeros(3, classes, channels),
        sample=zeros(sample, channels, dtype=kind),
    )


def joined(tallies: Sequence[Tally]) -> tuple[Tally, list[Tally]]:
    """All channels in one tally, so that they are counted together, and each one's part of it."""
    counts = [len(tally.maxima) for tally in tallies]
    ends = zip(*(tensors(tally.ends) for tally in tallies), strict=True)
    best = Best(*(torch.cat(parts, 1) for parts in ends))
    whole = Tally(best, **{
        name: torch.cat([getattr(tally, name) for tally in tallies], axis)
        for name, axis in AXES.items()
    })  # fmt: skip
    bests = zip(*(part.split(counts, 1) for part in tensors(best)), strict=True)
    rest = (getattr(whole, name).split(counts, axis) for name, axis in AXES.items())
    parts = zip(bests, *rest, strict=True)
    return whole, [Tally(Best(*one), *others) for one, *others in parts]


def fold(
    tally: Tally,
    found: Sequence[Reduced],
    images: Tensor,
    labels: Tensor,
    chosen: Tensor | None,
) -> None:
    """Add what was found in the maps of pictures, layer by layer as they are joined in the tally.

    Of the pictures there are the numbers and the classes (B,), -1 for no class. `chosen` (S,):
    which rows of the sample followed by the batch are the sample from now on.
    """
    ends = torch.cat([one.ends for one in found], 2)
    first = torch.cat([one.first for one in found], 2)
    sums = torch.cat([one.sums for one in found], 2)
    high = ends[:, 0]
    flat = Best(*(part.view(-1, *part.shape[2:]) for part in tensors(tally.ends)))
    enter(flat, ends.flatten(1), first.flatten(1), images)
    tally.sums.add_(limbs(sums).sum(2).transpose(0, 1))
    _count(tally.maxima, high.unsqueeze(2))
    counts = tally.values.split([one.values.shape[1] for one in found])
    for part, one in zip(counts, found, strict=True):
        _count(part, one.values)
    known = labels >= 0
    if tally.classes.shape[1] and known.any():
        tally.classes.index_add_(1, labels[known], limbs(high[known]))
    if chosen is not None:
        tally.sample.copy_(torch.cat([tally.sample, high.to(tally.sample)])[chosen])


def drawn(images: Tensor, size: int) -> Tensor:
    """Positions (B, POSITIONS or size) of maps of `size` positions, one in each equal part."""
    if size <= POSITIONS:
        return torch.arange(size, device=images.device).expand(len(images), size)
    part = torch.arange(POSITIONS, device=images.device)
    begin, end = part * size // POSITIONS, (part + 1) * size // POSITIONS
    return begin + hashed(images[:, None] * POSITIONS + part) % (end - begin)


def _count(counts: Tensor, values: Tensor) -> None:
    """Add values (B, C, n) to the bins of their channels (C, BINS)."""
    begins = BINS * torch.arange(len(counts), device=values.device)[:, None]
    if not values.is_contiguous():  # they are read as they lie
        values, begins = values.transpose(1, 2), begins.T
    at = bins(values).add_(begins)
    ones = torch.ones(at.numel(), dtype=counts.dtype, device=counts.device)
    counts.view(-1).scatter_add_(0, at.view(-1), ones)


def merged(a: Tally, b: Tally, chosen: Tensor) -> Tally:
    """Both tallies in one; `chosen` (S,) of the two samples, a's before b's, is the sample."""
    added = {name: getattr(a, name) + getattr(b, name) for name in AXES if name != "sample"}
    return Tally(
        ends=strongest_of(a.ends, b.ends),
        sample=torch.cat([a.sample, b.sample])[chosen],
        **added,
    )
