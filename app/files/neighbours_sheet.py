"""The saved sheet of neighbors: the pictures, and how near they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image

from ..answers import indexed
from ..answers.nearest import nearest_others
from ..question import pictures
from ..question.state import State
from .encode import contact


def sheet(state: State) -> PIL.Image.Image:
    """The picture, and its neighbours behind it."""
    index = indexed.need_index(state)
    whole = index.pictures([one.image for one in nearest_others(state, index).near])
    return contact([(picture,) for picture in (pictures.get(state.image), *whole)], side=128)


def numbers(state: State) -> dict[str, Any]:
    """The neighbours, and what they are near to, as arrays."""
    found = nearest_others(state, indexed.need_index(state))
    made = {"images": [one.image for one in found.near], found.unit: [x[1] for x in found.near]}
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in made.items()}
    return {**arrays, found.of: found.query.cpu().numpy()}
