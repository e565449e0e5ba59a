"""Kin: what two networks have in common over drawn scenes; computed once, then kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

import featvis
from featvis import VisionModel
from featvis.kinship import Counterpart, Pair, cka, counterparts
from zoo_adapters import read_image

from . import probed, session
from .index.scenes import FIRST, draw_together
from .state import State

__all__ = ["COUNT", "counterparts_of", "layers_of", "likeness_of_layers"]

COUNT, BATCH = 96, 16  # scenes, and how many at a time
MOST = 20  # layers of a network that are compared
Say = Callable[[str], None]


def counterparts_of(state: State, other: str, layer: str, channel: int, say: Say) -> tuple[
    Counterpart, ...
]:  # fmt: skip
    """The channels of another network that answer to the same places of the same pictures."""
    model = session.model_of(other)
    names = layers_of(state.but(model=other), model)

    def make() -> tuple[Counterpart, ...]:
        return counterparts(_pairs(state.model, (layer,), other, names, say), layer, channel, k=4)

    return session.RESULTS.get_or(("kin", state.model, other, layer, channel), make)


def likeness_of_layers(state: State, other: str, say: Say) -> tuple[list[str], list[str], Tensor]:
    """CKA of all layers of two networks."""
    one, two = session.model_of(state.model), session.model_of(other)
    names = layers_of(state, one), layers_of(state.but(model=other), two)

    def make() -> tuple[list[str], list[str], Tensor]:
        return cka(_pairs(state.model, names[0], other, names[1], say))

    return session.RESULTS.get_or(("cka", state.model, other), make)


def layers_of(state: State, model: VisionModel) -> tuple[str, ...]:
    """The layers that are compared: those of the index, where there are patches to show."""
    index = probed.index_of(state)
    names = [n for n in (index.layers if index else model.layers) if min(model.layer(n).size) > 1]
    every = max(1, -(-len(names) // MOST))
    return tuple(names[::-1][::every][::-1])  # the last one is always among them


def _pairs(
    one: str, layers: Sequence[str], other: str, others: Sequence[str], say: Say
) -> Iterator[Pair]:
    """What both make of the same scenes."""
    for start in range(0, COUNT, BATCH):
        say(f"Showing both networks scene {start + 1} of {COUNT}")
        drawn = draw_together([f"scene-{FIRST + n}" for n in range(start, start + BATCH)])
        yield Pair(_maps(one, layers, drawn), _maps(other, others, drawn))


def _maps(name: str, layers: Sequence[str], drawn: Sequence[object]) -> dict[str, Tensor]:
    model = session.model_of(name)
    images = torch.cat([read_image(p, model).values for p in drawn]).to(model.like)  # type: ignore[arg-type]
    with session.lock_of(name), torch.no_grad():
        return featvis.record(model, images, *layers)
