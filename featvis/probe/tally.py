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

__all__ = ["EMPTY", "POSITIONS", "Best", "Tally", "empty", "fold", "merged"]

EMPTY = 2**62  # the image of a place that is not taken
POSITIONS = 16  # of each map whose values are counted, drawn by the number of the picture
CACHED = 2**18  # values of a map that are reduced at a time: they stay in the processor's cache
NONE = float("-inf")


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

    top: Best  # of the maximum of each map
    bottom: Best  # of minus its minimum
    sums: Tensor  # (2, 3, C) limbs: of each map's mean, and of its mean square
    maxima: Tensor  # (C, BINS) how many maps have their maximum in a bin
    values: Tensor  # (C, BINS) how many of POSITIONS values of each map are in a bin
    classes: Tensor  # (3, K, C) limbs of the maxima, added up per class
    sample: Tensor  # (S, C) maxima of the sampled pictures


def empty(channels: int, *, k: int, classes: int, sample: int, like: Tensor) -> Tally:
    """A tally of no picture, on the device of `like`."""
    device = like.device
    kind = torch.double if like.dtype == torch.double else torch.float

    def zeros(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
        return torch.zeros(*shape, dtype=dtype, device=device)

    def best() -> Best:
        values = torch.full((channels, k), NONE, dtype=kind, device=device)
        return Best(values, zeros(channels, k) + EMPTY, zeros(channels, k))

    return Tally(
        top=best(),
        bottom=best(),
        sums=zeros(2, 3, channels),
        maxima=zeros(channels, BINS, dtype=torch.int32),
        values=zeros(channels, BINS, dtype=torch.int32),
        classes=zeros(3, classes, channels),
        sample=zeros(sample, channels, dtype=kind),
    )


def fold(tally: Tally, maps: Tensor, images: Tensor, labels: Tensor, chosen: Tensor | None) -> None:
    """Add the maps (B, C, h, w) of pictures: their numbers and classes (B,), -1 for no class.

    `chosen` (S,): which rows of the sample followed by the batch are the sample from now on.
    """
    flat = maps.detach().flatten(2)  # (B, C, h * w); a view in every layout
    high, low, mean, square, drawn = _reduced(flat, images)
    _raise(tally.top, high, images, lambda b, c, v: _first(flat, b, c, v))
    _raise(tally.bottom, -low, images, lambda b, c, v: _first(flat, b, c, -v))
    tally.sums.add_(torch.stack([limbs(mean).sum(1), limbs(square).sum(1)]))
    _count(tally.maxima, high.unsqueeze(2))
    _count(tally.values, drawn)
    known = labels >= 0
    if tally.classes.shape[1] and known.any():
        tally.classes.index_add_(1, labels[known], limbs(high[known]))
    if chosen is not None:
        tally.sample.copy_(torch.cat([tally.sample, high.to(tally.sample)])[chosen])


def _reduced(flat: Tensor, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of each map: maximum, minimum, mean, mean square (B, C), and POSITIONS values of it."""
    size = flat.shape[2]
    at = drawn(images, size)
    step = max(1, CACHED // (flat.shape[1] * size))
    parts = []
    for part, places in zip(flat.split(step), at.split(step), strict=True):
        wide = part if part.dtype in (torch.float, torch.double) else part.float()
        index = places[:, None].expand(-1, part.shape[1], -1)
        norm = torch.linalg.vector_norm(wide, dim=2).double()
        parts.append(
            (
                wide.amax(2),
                wide.amin(2),
                wide.sum(2).double() / size,
                norm * norm / size,
                wide.gather(2, index),
            )
        )
    high, low, mean, square, values = (torch.cat(x) for x in zip(*parts, strict=True))
    return high.nan_to_num(nan=NONE), low.nan_to_num(nan=-NONE), mean, square, values


def drawn(images: Tensor, size: int) -> Tensor:
    """Positions (B, POSITIONS or size) of maps of `size` positions, one in each equal part."""
    if size <= POSITIONS:
        return torch.arange(size, device=images.device).expand(len(images), size)
    part = torch.arange(POSITIONS, device=images.device)
    begin, end = part * size // POSITIONS, (part + 1) * size // POSITIONS
    return begin + hashed(images[:, None] * POSITIONS + part) % (end - begin)


def _first(flat: Tensor, pictures: Tensor, channels: Tensor, values: Tensor) -> Tensor:
    """The first position of each map with its value (n,)."""
    size = flat.shape[2]
    hit = flat[pictures, channels].to(values.dtype) == values[:, None]  # (n, h * w)
    return torch.where(hit, torch.arange(size, device=flat.device), size - 1).amin(1)


def _raise(best: Best, found: Tensor, images: Tensor, find: Callable[..., Tensor]) -> None:
    """Let the values found (B, C) take their places; `find` gives positions of those that do."""
    found = found.to(best.values.dtype)
    last, owner = best.values[:, -1], best.images[:, -1]
    enters = (found > last) | ((found == last) & (images[:, None] < owner) & (found > NONE))
    channels = enters.any(0).nonzero()[:, 0]
    if not len(channels):
        return
    inside = enters[:, channels].T  # (n, B)
    marks = -1 - torch.arange(len(images), device=images.device)  # their position is not known yet
    joined = Best(
        torch.cat([best.values[channels], found[:, channels].T.masked_fill(~inside, NONE)], 1),
        torch.cat([best.images[channels], images.expand_as(inside).masked_fill(~inside, EMPTY)], 1),
        torch.cat([best.positions[channels], marks.expand_as(inside).masked_fill(~inside, 0)], 1),
    )
    kept = _strongest(joined, best.values.shape[1])
    new, place = (kept.positions < 0).nonzero().T
    pictures = -1 - kept.positions[new, place]
    kept.positions[new, place] = find(pictures, channels[new], kept.values[new, place])
    for whole, part in zip(_tensors(best), _tensors(kept), strict=True):
        whole[channels] = part


def _strongest(best: Best, k: int) -> Best:
    """The k strongest: larger values first, and of equal ones the smaller number."""
    order = best.images.argsort(dim=1, stable=True)
    by_value = best.values.gather(1, order).argsort(dim=1, descending=True, stable=True)
    order = order.gather(1, by_value)[:, :k]
    return Best(*(part.gather(1, order) for part in _tensors(best)))


def _tensors(best: Best) -> tuple[Tensor, Tensor, Tensor]:
    return best.values, best.images, best.positions


def _count(counts: Tensor, values: Tensor) -> None:
    """Add values (B, C, n) to the bins of their channels (C, BINS)."""
    at = bins(values).add_(BINS * torch.arange(len(counts), device=values.device)[:, None])
    one = torch.ones((), dtype=counts.dtype, device=counts.device)
    counts.view(-1).scatter_add_(0, at.view(-1), one.expand(at.numel()))


def merged(a: Tally, b: Tally, chosen: Tensor) -> Tally:
    """Both tallies in one; `chosen` (S,) of the two samples, a's before b's, is the sample."""

    def best(x: Best, y: Best) -> Best:
        pairs = zip(_tensors(x), _tensors(y), strict=True)
        return _strongest(Best(*(torch.cat(pair, 1) for pair in pairs)), x.values.shape[1])

    added = {
        f.name: getattr(a, f.name) + getattr(b, f.name)
        for f in fields(Tally)
        if f.name not in ("top", "bottom", "sample")
    }
    return Tally(
        top=best(a.top, b.top),
        bottom=best(a.bottom, b.bottom),
        sample=torch.cat([a.sample, b.sample])[chosen],
        **added,
    )
