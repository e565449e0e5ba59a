"""The strongest pictures of each channel, and how many more are as strong as the last of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from featvis.probe.exact import hashed
from featvis.probe.reduction import NONE

__all__ = ["EMPTY", "Best", "enter", "strongest_of", "tensors", "ties_at"]

EMPTY = 2**62  # the image of a place that is not taken
SALT = 11  # of the hashes by which ties are broken


@dataclass(frozen=True, eq=False)
class Best:
    """The k strongest pictures of each channel, one place each, the strongest first.

    Of equal values the picture whose number has the smaller hash is the stronger: a random choice
    that knows no order, so that ties show a sample of the pictures and not the first of them.
    """

    values: Tensor  # (..., C, k)
    images: Tensor  # (..., C, k) numbers of pictures, EMPTY where there are fewer than k
    positions: Tensor  # (..., C, k) row * w + column of the first position with that value
    ties: Tensor  # (..., C) how many pictures have the last one's value, those left out too


def tensors(best: Best) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All of it, in the order of its fields."""
    return best.values, best.images, best.positions, best.ties


def enter(best: Best, values: Tensor, first: Tensor, images: Tensor) -> None:
    """Let the values (B, C) of pictures (B,), at the positions `first`, take their places.

    The tensors of `best`, (C, k) and (C,), are updated in place.
    """
    last, peak = best.values[:, -1], values.amax(0)
    may = peak > last  # few channels have one that may enter
    ties = ((peak == last) & (peak > NONE)).nonzero()[:, 0]
    if len(ties):
        may[ties] = _ranks(images).amin() < _ranks(best.images[ties, -1])
    # to channels that nothing enters, more of the last value is all that is new
    best.ties.add_((values == last).sum(0).masked_fill_(may | (last == NONE), 0))
    channels = may.nonzero()[:, 0]
    if not len(channels):
        return
    some, where = (part.index_select(1, channels).T for part in (values, first))  # (n, B)
    none = some == NONE
    new = Best(
        values=some,
        images=images.expand_as(some).masked_fill(none, EMPTY),
        positions=where.masked_fill(none, 0),
        ties=(some == some[:, -1:]).sum(1),
    )
    old = Best(*(part.index_select(0, channels) for part in tensors(best)))
    for whole, part in zip(tensors(best), tensors(strongest_of(old, new)), strict=True):
        whole.index_copy_(0, channels, part)


def strongest_of(a: Best, b: Best) -> Best:
    """The strongest of both, as many as `a` has places."""
    values = torch.cat([a.values, b.values], -1)
    images = torch.cat([a.images, b.images], -1)
    positions = torch.cat([a.positions, b.positions], -1)
    order = _ranks(images).argsort(dim=-1, stable=True)
    by_value = values.gather(-1, order).argsort(dim=-1, descending=True, stable=True)
    order = order.gather(-1, by_value)[..., : a.values.shape[-1]]
    values = values.gather(-1, order)
    last = values[..., -1]
    ties = (_count(a, last) + _count(b, last)).masked_fill_(last == NONE, 0)
    return Best(values, images.gather(-1, order), positions.gather(-1, order), ties)


def ties_at(best: Best, place: int) -> Tensor:
    """How many pictures have the value of a place (..., C), listed or not; 0 where it is empty."""
    value = best.values[..., place]
    return _count(best, value).masked_fill_(value == NONE, 0)


def _count(best: Best, value: Tensor) -> Tensor:
    """How many of the pictures that were seen have this value, which no last one exceeds."""
    listed = (best.values == value[..., None]).sum(-1)
    return torch.where(best.values[..., -1] == value, best.ties, listed)


def _ranks(images: Tensor) -> Tensor:
    """By which of equal values the smaller comes first."""
    return torch.where(images == EMPTY, EMPTY, hashed(images, salt=SALT))
