"""A tally: what is kept of one layer while pictures pass. It does not grow with their number.

Tallies are merged in any order and grouping with the same result, bit for bit. In a tally C is the
number of channels, K the number of classes of the data, S the number of sampled pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from featvis.probe.exact import BINS, bins, hashed, limbs
from featvis.probe.reduction import NONE, reduced

__all__ = ["EMPTY", "POSITIONS", "Best", "Tally", "empty", "fold", "merged"]

EMPTY = 2**62  # the image of a place that is not taken
POSITIONS = 16  # of each map whose values are counted, drawn by the number of the picture


@dataclass(frozen=True, eq=False)
class Best:
    """The k strongest pictures of each channel, one place each, the strongest first.

    Of equal values the picture with the smaller number is the stronger.
    """

    values: Tensor  # (C, k)
    images: Tensor  # (C, k) numbers of pictures, EMPTY where there are fewer than k
    positions: Tensor  # (C, k) row * w + column of the first position with that value


@dataclass(frozen=True, eq=False)
class Tally:
    """One layer. Its tensors are updated in place."""

    ends: Best  # (2C, k) of the maximum of each map, then of minus its minimum
    sums: Tensor  # (2, 3, C) limbs: of each map's mean, and of its mean square
    maxima: Tensor  # (C, BINS) how many maps have their maximum in a bin
    values: Tensor  # (C, BINS) how many of POSITIONS values of each map are in a bin
    classes: Tensor  # (3, K, C) limbs of the maxima, added up per class
    sample: Tensor  # (S, C) maxima of the sampled pictures

    @property
    def top(self) -> Best:
        """The pictures with the largest maxima."""
        return Best(*(part[: len(self.maxima)] for part in _tensors(self.ends)))

    @property
    def bottom(self) -> Best:
        """Those with the smallest minima; the values are minus these."""
        return Best(*(part[len(self.maxima) :] for part in _tensors(self.ends)))


def empty(channels: int, *, k: int, classes: int, sample: int, like: Tensor) -> Tally:
    """A tally of no picture, on the device of `like`."""
    device = like.device
    kind = torch.double if like.dtype == torch.double else torch.float

    def zeros(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
        return torch.zeros(*shape, dtype=dtype, device=device)

    none = torch.full((2 * channels, k), NONE, dtype=kind, device=device)
    return Tally(
        ends=Best(none, zeros(2 * channels, k) + EMPTY, zeros(2 * channels, k)),
        sums=zeros(2, 3, channels),
        maxima=zeros(channels, BINS, dtype=torch.int32),
        values=zeros(channels, BINS, dtype=torch.int32),
        classes=zeros(3, classes, channels),
        sample=zeros(sample, channels, dtype=kind),
    )


def fold(
    tally: Tally,
    maps: Tensor,
    images: Tensor,
    labels: Tensor,
    chosen: Tensor | None,
    places: dict[int, Tensor],
    later: bool = False,
) -> None:
    """Add the maps (B, C, h, w) of pictures: their numbers and classes (B,), -1 for no class.

    `chosen` (S,): which rows of the sample followed by the batch are the sample from now on.
    `places`: what `drawn` gave for these pictures, by the size of the map; it is added to.
    `later`: their numbers rise, and are larger than all before: of equal values the old one stays.
    """
    maps = maps.detach()
    size = maps.shape[2] * maps.shape[3]
    if size not in places:
        places[size] = drawn(images, size)
    high, low, sums, values, find = reduced(maps, places[size], tally.ends.values.dtype)
    _raise(tally.ends, torch.cat([high, -low], 1), images, find, later)
    tally.sums.add_(limbs(sums).sum(2).transpose(0, 1))
    _count(tally.maxima, high.unsqueeze(2))
    _count(tally.values, values)
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


def _raise(
    best: Best, found: Tensor, images: Tensor, find: Callable[..., Tensor], later: bool
) -> None:
    """Let the values found (B, C) take their places; `find` gives positions of those that do."""
    last, owner = best.values[:, -1], best.images[:, -1]
    peak = found.amax(0)
    may = peak > last  # few channels have one that may enter
    if not later:
        may |= (peak == last) & (images.amin() < owner) & (peak > NONE)
    channels = may.nonzero()[:, 0]
    if not len(channels):
        return
    some = found.index_select(1, channels).T  # (n, B)
    marks = -1 - torch.arange(len(images), device=images.device)  # their position is not known yet
    given = [some, images.expand_as(some), marks.expand_as(some)]
    if not later:
        last, owner = last[channels, None], owner[channels, None]
        out = (some < last) | ((some == last) & (images > owner)) | (some == NONE)
        none = (NONE, EMPTY, 0)  # where it does not enter
        given = [new.masked_fill(out, blank) for new, blank in zip(given, none, strict=True)]
    pairs = zip(_tensors(best), given, strict=True)
    joined = Best(*(torch.cat([old.index_select(0, channels), new], 1) for old, new in pairs))
    kept = _strongest(joined, best.values.shape[1], in_order=later)
    new, place = (kept.positions < 0).nonzero().T
    pictures = -1 - kept.positions[new, place]
    kept.positions[new, place] = find(pictures, channels[new], kept.values[new, place])
    for whole, part in zip(_tensors(best), _tensors(kept), strict=True):
        whole.index_copy_(0, channels, part)


def _strongest(best: Best, k: int, *, in_order: bool = False) -> Best:
    """The k strongest: larger values first, and of equal ones the smaller number.

    `in_order`: of equal values those with the smaller number come first already.
    """
    if in_order:
        order = best.values.argsort(dim=1, descending=True, stable=True)[:, :k]
    else:
        order = best.images.argsort(dim=1, stable=True)
        by_value = best.values.gather(1, order).argsort(dim=1, descending=True, stable=True)
        order = order.gather(1, by_value)[:, :k]
    return Best(*(part.gather(1, order) for part in _tensors(best)))


def _tensors(best: Best) -> tuple[Tensor, Tensor, Tensor]:
    return best.values, best.images, best.positions


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

    def best(x: Best, y: Best) -> Best:
        pairs = zip(_tensors(x), _tensors(y), strict=True)
        return _strongest(Best(*(torch.cat(pair, 1) for pair in pairs)), x.values.shape[1])

    added = {
        f.name: getattr(a, f.name) + getattr(b, f.name)
        for f in fields(Tally)
        if f.name not in ("ends", "sample")
    }
    return Tally(
        ends=best(a.ends, b.ends),
        sample=torch.cat([a.sample, b.sample])[chosen],
        **added,
    )
