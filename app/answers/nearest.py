"""Nearest: the pictures of the index that are nearest to the one at hand, and by what."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from ..index import Index, Match, Neighbour, by_channel, by_layer
from ..machine.cache import model_of
from ..question.state import State
from . import indexed
from .subject import layer_of, strongest_channel

COUNT = 16


def quiet(words: str) -> None:
    """Where nobody waits."""


class Found(NamedTuple):
    """The nearest ones, and in words how they were found."""

    near: tuple[Neighbour | Match, ...]
    among: int  # pictures
    how: str
    unit: str  # of what stands beside each one, as the arrays name it
    of: str  # what the query is
    query: Tensor


def nearest_others(state: State, index: Index, say: Callable[[str], None] = quiet) -> Found:
    """The nearest ones, without the picture itself."""
    found = nearest(state, index, COUNT + 1, say)
    near = tuple(one for one in found.near if one.image != state.image)[:COUNT]
    return found._replace(near=near)


def nearest(state: State, index: Index, count: int, say: Callable[[str], None] = quiet) -> Found:
    """By the embedding, or by what the layer or the channel in view makes of the pictures."""
    by = state.display("by")
    if by == "embedding":
        query = indexed.embedding(state)
        how = "by the cosine of their embeddings less the average"
        near = index.neighbours(query, count)
        return Found(near, index.count, how, "cosines", "embedding", query)
    model = model_of(state.model)
    layer = layer_of(state, model)
    pool, own = indexed.pool_of(state, index, layer, say), indexed.pooled_of(state, layer)
    among = len(pool.images)
    if by == "layer":
        how = f"by the cosine of the means of {layer}"
        return Found(by_layer(pool, own, count), among, how, "cosines", "means", own.mean[0])
    number = strongest_channel(state) if state.channel is None else state.channel
    alike = by_channel(pool, own, number, count)
    peak, units = float(own.high[0, number]), model.layer(layer).units
    how = f"by the maximum of channel {number} of {units}: in yours {peak:.2f}"
    return Found(alike, among, how, "maxima", "maximum", own.high[0, number])
