"""Reduction: what a tally takes of each map, read in the order in which it lies in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d_with_indices

__all__ = ["NONE", "Reduced", "reduced"]

CACHED = 2**20  # values of maps that are reduced at a time: they stay in the processor's cache
NONE = float("-inf")


class Reduced(NamedTuple):
    """Of each map of a batch (B, C, h, w)."""

    high: Tensor  # (B, C) the maximum; -inf where a value is not a number
    low: Tensor  # (B, C) the minimum; inf where a value is not a number
    sums: Tensor  # (2, B, C) float64: the mean, and the mean square
    values: Tensor  # (B, C, n) at the positions that were asked for
    # The first positions (n,), row * w + column, of ends that were found: numbers of pictures, of
    # ends (c for the maximum of channel c, C + c for its minimum), and minus a minimum's value.
    find: Callable[[Tensor, Tensor, Tensor], Tensor]


def reduced(maps: Tensor, at: Tensor, kind: torch.dtype) -> Reduced:
    """Maps (B, C, h, w), computed in the dtype `kind`; `at`: positions (B, n) of each picture."""
    together = maps.shape[1] > 1 and maps[:1].is_contiguous(memory_format=torch.channels_last)
    # on other devices a pooling has one thread for a whole map
    return (_pooled if together and maps.device.type == "cpu" else _read)(maps, at, kind)


def _read(maps: Tensor, at: Tensor, kind: torch.dtype) -> Reduced:
    """Of maps whose positions lie side by side, or anyhow: one reduction after the other."""
    flat = maps.flatten(2)  # (B, C, h * w); a view in every layout
    count, channels, size = flat.shape
    high, low, total, norm = (flat.new_empty(count, channels, dtype=kind) for _ in range(4))
    values = flat.new_empty(count, channels, at.shape[1], dtype=kind)
    for rows in _parts(maps):
        wide = flat[rows].to(kind)
        torch.amax(wide, 2, out=high[rows])
        torch.amin(wide, 2, out=low[rows])
        torch.sum(wide, 2, out=total[rows])
        torch.linalg.vector_norm(wide, dim=2, out=norm[rows])
        index = at[rows, None].expand(-1, channels, -1)
        torch.gather(wide, 2, index, out=values[rows])
    norm = norm.double()
    return _told(
        high, low, total.double(), norm * norm, values, size, lambda b, c, v: _first(flat, b, c, v)
    )


def _pooled(maps: Tensor, at: Tensor, kind: torch.dtype) -> Reduced:
    """Of maps whose channels lie side by side, as of tokens.

    The pooling of a maximum over a whole map reads such memory as it lies, and knows its first
    position, for which the map would be read again.
    """
    count, channels, height, width = maps.shape
    values = maps.new_empty(count, at.shape[1], channels, dtype=kind)
    ends, sums = maps.new_empty(2, 2, count, channels, dtype=kind)
    first = at.new_empty(2, count, channels)
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
            ends[end, rows], first[end, rows] = found[..., 0, 0], where[..., 0, 0]
    high, low = ends[0], ends[1].neg_()
    where = first.transpose(0, 1).flatten(1)
    total, squares = sums.double()
    values, size = values.transpose(1, 2), height * width
    return _told(high, low, total, squares, values, size, lambda b, c, _: where[b, c])


def _told(
    high: Tensor,
    low: Tensor,
    total: Tensor,
    squares: Tensor,
    values: Tensor,
    size: int,
    find: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Reduced:
    high.nan_to_num_(nan=NONE, posinf=-NONE, neginf=NONE)
    low.nan_to_num_(nan=-NONE, posinf=-NONE, neginf=NONE)
    return Reduced(high, low, torch.stack([total, squares]).div_(size), values, find)


def _parts(maps: Tensor) -> Iterator[slice]:
    """The pictures whose maps (B, C, h, w) are reduced together, at least one for each thread."""
    step = max(torch.get_num_threads(), CACHED // maps[0].numel())
    return (slice(begin, begin + step) for begin in range(0, len(maps), step))


def _first(flat: Tensor, pictures: Tensor, ends: Tensor, values: Tensor) -> Tensor:
    """The first position of each map with its value (n,), which is minus that of a lower end."""
    channels, size = ends % flat.shape[1], flat.shape[2]
    values = torch.where(ends < flat.shape[1], values, -values)
    if flat.is_contiguous():  # which is read faster as rows
        rows = flat.view(-1, size).index_select(0, pictures * flat.shape[1] + channels)
    else:
        rows = flat[pictures, channels]
    hit = rows.to(values.dtype) == values[:, None]  # (n, h * w)
    kind = torch.float if size <= 2**24 else torch.long  # float is faster, and counts so far
    left = torch.arange(size, 0, -1, device=flat.device, dtype=kind)
    return size - torch.where(hit, left, left[-1]).amax(1).long()
