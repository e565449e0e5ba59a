"""The saved sheet of a channel: its strongest patches, and its figures from the index."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image

from featvis import WrongRequest

from ..answers import indexed
from ..answers.indexed import TOP
from ..answers.subject import layer_of, strongest_channel
from ..index import Index
from ..machine.cache import model_of
from ..question.state import State
from .encode import contact


def sheet(state: State) -> PIL.Image.Image:
    """The strongest patches, each over its guided backpropagation."""
    index, layer, number = _known(state)
    found = indexed.sights(state, index, layer, number, TOP)
    return contact([(sight.patch, sight.guided) for sight in found], side=160)


def numbers(state: State) -> dict[str, Any]:
    """Return the channel's figures from the index, as arrays."""
    index, layer, number = _known(state)
    found = index.stats(layer, number)
    made: dict[str, Any] = {"counts": found.counts, "edges": found.edges}
    made |= {"mean": found.mean, "std": found.std, "active": found.active}
    for name, hits in (
        ("top", index.top(layer, number, TOP)),
        ("bottom", index.bottom(layer, number, TOP)),
    ):
        made[f"{name}.images"] = [hit.image for hit in hits]
        made[f"{name}.values"] = [hit.value for hit in hits]
        made[f"{name}.positions"] = [hit.position for hit in hits]
    return {name: np.asarray(value) for name, value in made.items()}


def _known(state: State) -> tuple[Index, str, int]:
    """The index, the layer and the channel in view, where pictures were looked at."""
    index, layer = indexed.index_of(state), layer_of(state, model_of(state.model))
    if index is None or layer not in index.layers:
        raise WrongRequest(f"there is nothing to save: no pictures were looked at with {layer}")
    number = strongest_channel(state.but(layer=layer)) if state.channel is None else state.channel
    return index, layer, number
