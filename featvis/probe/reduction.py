"""Reduction: what a tally takes of each map, read in the order in which it lies in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d_with_indices

__all__ = ["NONE", "Reduced", "reduced"]

CACHED = 2**20  # values of maps that are reduced at a time: they stay in the processor's cache
NONE = float("-inf")


class Reduced(NamedTuple):
    """Of each map of a batch (B, C, h, w)."""

    ends: (
        Tensor  # (B, 2, C) the maximum, and minus the minimum; -inf with a value that is no number
    )
    first: (
        Tensor  # (B, 2, C) where, row * w + column, of several the first; of those that may enter
    )
    sums: Tensor  # (2, B, C) float64: the mean, and the mean square
    values: Tensor  # (B, C, n) at the positions that were asked for


def reduced(maps: Tensor, at: Tensor, strongest: Tensor | None, k: int) -> Reduced:
    """Maps (B, C, h, w), in float64 if they are that, else in float32.

    `at`: positions (B, n) of each picture. `strongest` (2, C, k): the ends that there are, None for
    none; only what is among the k strongest of them and of these may enter.
    """
    together = maps.shape[1] > 1 and maps[:1].is_contiguous(memory_format=torch.channels_last)
    kind = torch.double if maps.dtype == torch.double else torch.float
    if together and maps.device.type == "cpu":  # elsewhere a pooling has one thread for a map
        return _pooled(maps, at, kind)
    return _read(maps, at, kind, strongest, k)


def _read(maps: Tensor, at: Tensor, kind: torch.dtype, strongest: Tensor | None, k: int) -> Reduced:
    """Of maps whose positions lie side by side, or anyhow: one reduction after the other."""
    flat = maps.flatten(2)  # (B, C, h * w); a view in every layout
    count, channels, size = flat.shape
    ends = flat.new_empty(count, 2, channels, dtype=kind)
    total, norm = flat.new_empty(2, count, channels, dtype=kind)
    values = flat.new_empty(count, channels, at.shape[1], dtype=kind)
    for rows in _parts(maps):
        wide = flat[rows].to(kind)
        ends[rows, 0] = torch.amax(wide, 2)
        ends[rows, 1] = torch.amin(wide, 2).neg_()
        torch.sum(wide, 2, out=total[rows])
        torch.linalg.vector_norm(wide, dim=2, out=norm[rows])
        index = at[rows, None].expand(-1, channels, -1)
        torch.gather(wide, 2, index, out=values[rows])
    _without_nan(ends)
    first = torch.zeros_like(ends, dtype=torch.long)
    may = (ends >= ends.topk(min(k, count), dim=0).values[-1]) & (ends > NONE)
    if strongest is not None:
        may &= ends >= strongest[..., -1]
    pictures, end, channel = may.nonzero().T
    found = _first(flat, pictures, channel, ends[may] * (1 - 2 * end))
    first[pictures, end, channel] = found
    sums = torch.stack([total.double(), norm.double().square()]).div_(size)
    return Reduced(ends, first, sums, values)


def _pooled(maps: Tensor, at: Tensor, kind: torch.dtype) -> Reduced:
    """Of maps whose channels lie side by side, as of tokens.

    The pooling of a maximum over a whole map reads such memory as it lies, and knows its first
    position, for which the map would be read again.
    """
    count, channels, height, width = maps.shape
    values = maps.new_empty(count, at.shape[1], channels, dtype=kind)
    ends = maps.new_empty(count, 2, channels, dtype=kind)
    first = torch.empty_like(ends, dtype=torch.long)
    sums = maps.new_empty(2, count, channels, dtype=kind)
    memory: Tensor | None = None  # a new one for each part would cost as much as a pooling
    for rows in _parts(maps):
        wide = maps[rows].to(kind).contiguous(memory_format=torch.channels_last)
        flat = wide.permute(0, 2, 3, 1).flatten(1, 2)  # (b, h * w, C), a view
        values[rows] = flat[torch.arange(len(wide))[:, None], at[rows]]
        torch.sum(flat, 1, out=sums[0, rows])
        torch.linalg.vecdot(flat, flat, dim=1, out=sums[1, rows])
        memory = torch.empty_like(wide) if memory is None else memory
        for end, signed in enumerate((wide, torch.neg(wide, out=memory[: len(wide)]))):
            found, where = max_pool2d_with_indices(signed, (height, width))
            ends[rows, end], first[rows, end] = found[..., 0, 0], where[..., 0, 0]
    _without_nan(ends)
    return Reduced(ends, first, sums.double().div_(height * width), values.transpose(1, 2))


def _parts(maps: Tensor) -> Iterator[slice]:
    """The pictures whose maps (B, C, h, w) are reduced together, at least one for each thread."""
    step = max(torch.get_num_threads(), CACHED // maps[0].numel())
    return (slice(begin, begin + step) for begin in range(0, len(maps), step))


def _without_nan(ends: Tensor) -> None:
    ends.nan_to_num_(nan=NONE, posinf=-NONE, neginf=NONE)


def _first(flat: Tensor, pictures: Tensor, channels: Tensor, values: Tensor) -> Tensor:
    """The first position (n,) of each map with its value (n,)."""
    size = flat.shape[2]
    if flat.is_contiguous():  # which is read faster as rows
        rows = flat.view(-1, size).index_select(0, pictures * flat.shape[1] + channels)
    else:
        rows = flat[pictures, channels]
    hit = rows.to(values.dtype) == values[:, None]  # (n, h * w)
    kind = torch.float if size <= 2**24 else torch.long  # float is faster, and counts so far
    left = torch.arange(size, 0, -1, device=flat.device, dtype=kind)
    return size - torch.where(hit, left, left[-1]).amax(1).long()
