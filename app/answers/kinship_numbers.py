"""What two networks have in common, in plain values: for the API, the command and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from featvis import WrongRequest

from ..question.state import State
from . import kinship

TOLD = 50  # pictures that are named, on which the networks agree the least
Say = Callable[[str], None]


def told(state: State, others: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is asked for of layers and neighbours, as numbers, by the other network."""
    quiet: Say = lambda words: None  # noqa: E731
    made: dict[str, dict[str, Any]] = {}
    for other in others:
        if state.display("layers"):
            one, two, found = kinship.likeness_of_layers(state, other, quiet)
            made.setdefault("layers", {})[other] = {
                "rows": one, "columns": two, "cka": found.tolist(),
            }  # fmt: skip
        if state.display("neighbours"):
            made.setdefault("neighbours", {})[other] = _near(state, other, quiet)
    return made


def _near(state: State, other: str, say: Say) -> dict[str, Any]:
    try:
        found = kinship.neighbourhoods_of(state, other, say)
    except WrongRequest as error:
        return {"reason": str(error)}
    return {
        "k": kinship.NEAR,
        "pictures": len(found.images),
        "overlap": found.mean,
        "chance": found.chance,
        "apart": [found.images[n] for n in found.apart[:TOLD]],
        "apart_overlap": [float(found.overlap.share[n]) for n in found.apart[:TOLD]],
    }


def arrays(state: State, others: Sequence[str]) -> dict[str, Any]:
    """The same as arrays; names of pictures and layers are arrays of text."""
    found = told(state, others)
    made: dict[str, Any] = {}
    for what, by_network in found.items():
        for other, values in by_network.items():
            made |= {f"{what}.{other}.{name}": np.asarray(value) for name, value in values.items()}
    return made
