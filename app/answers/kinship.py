"""Kin: what two networks have in common over drawn scenes; computed once, then kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

import featvis
from featvis import VisionModel, WrongRequest
from featvis.measures.kinship import (
    Counterpart,
    Overlap,
    Pair,
    cka,
    counterparts,
    neighbour_overlap,
)
from zoo_adapters import read_image

from ..index.scenes import FIRST, draw_together
from ..machine.cache import RESULTS, model_of
from ..question.state import State
from . import indexed
from .run import cached

COUNT, BATCH = 96, 16  # scenes, and how many at a time
MOST = 20  # layers of a network that are compared
NEAR = 10  # neighbours of each picture that are compared
PICTURES = 10_000  # of an index that are compared, the first ones
Say = Callable[[str], None]
Read = Callable[..., dict[str, Tensor]]


def counterparts_of(state: State, other: str, layer: str, channel: int, say: Say) -> tuple[
    Counterpart, ...
]:  # fmt: skip
    """The channels of another network that answer to the same places of the same pictures."""
    model = model_of(other)
    names = layers_of(state.but(model=other), model)

    def make() -> tuple[Counterpart, ...]:
        pairs = _pairs(state.model, (layer,), other, names, say, units=True)
        return counterparts(pairs, layer, channel, k=4)

    return cached(("kin", state.model, other, layer, channel), state, make, 2 * COUNT)


def likeness_of_layers(state: State, other: str, say: Say) -> tuple[list[str], list[str], Tensor]:
    """CKA of all layers of two networks."""
    one, two = model_of(state.model), model_of(other)
    names = layers_of(state, one), layers_of(state.but(model=other), two)

    def make() -> tuple[list[str], list[str], Tensor]:
        return cka(_pairs(state.model, names[0], other, names[1], say))

    return cached(("cka", state.model, other), state, make, 2 * COUNT)


class Neighbourhoods(NamedTuple):
    """What two networks take for alike, over the pictures of their indexes."""

    images: list[str]  # names of the pictures, in the order of the overlap's rows
    overlap: Overlap
    mean: float  # share of common neighbours, over all pictures
    chance: float  # what it would be without any relation
    apart: list[int]  # all rows, those first on which the networks agree the least


def neighbourhoods_of(state: State, other: str, say: Say) -> Neighbourhoods:
    """How far the nearest neighbours of pictures are the same in two networks."""
    one, two = indexed.need_index(state), indexed.need_index(state.but(model=other))
    seen = [(i.manifest.source, i.manifest.digest, list(i.arrays["images"])) for i in (one, two)]
    if seen[0] != seen[1]:
        raise WrongRequest(
            f"the indexes of {state.model} and {other} are over different pictures, "
            f"{seen[0][0]} and {seen[1][0]}; build both over the same ones"
        )

    def make() -> Neighbourhoods:
        say(f"Comparing the neighbours of {one.count:,} pictures")
        a, b = (torch.from_numpy(index.centered()[:PICTURES]) for index in (one, two))
        found = neighbour_overlap(a, b, NEAR)
        order = sorted(range(len(a)), key=lambda n: (float(found.share[n]), -float(found.apart[n])))
        names, chance = list(one.rows)[: len(a)], NEAR / (len(a) - 1)
        return Neighbourhoods(names, found, float(found.share.mean()), chance, order)

    return RESULTS.get_or(("near", state.model, other, one.folder, two.folder), make)


def layers_of(state: State, model: VisionModel) -> tuple[str, ...]:
    """The layers that are compared: those of the index, where there are patches to show."""
    index = indexed.index_of(state)
    names = [n for n in (index.layers if index else model.layers) if min(model.layer(n).size) > 1]
    every = max(1, -(-len(names) // MOST))
    return tuple(names[::-1][::every][::-1])  # the last one is always among them


def _pairs(
    one: str,
    layers: Sequence[str],
    other: str,
    others: Sequence[str],
    say: Say,
    *,
    units: bool = False,
) -> Iterator[Pair]:
    """What both make of the same scenes: as passed on, or for single units before their bound."""
    read = featvis.record_units if units else featvis.record
    for start in range(0, COUNT, BATCH):
        say(f"Showing both networks scene {start + 1} of {COUNT}")
        drawn = draw_together([f"scene-{FIRST + n}" for n in range(start, start + BATCH)])
        yield Pair(_maps(one, layers, drawn, read), _maps(other, others, drawn, read))


def _maps(
    name: str, layers: Sequence[str], drawn: Sequence[object], read: Read
) -> dict[str, Tensor]:
    model = model_of(name)
    images = torch.cat([read_image(p, model).values for p in drawn]).to(model.like)  # type: ignore[arg-type]
    with torch.no_grad():
        return read(model, images, *layers)
