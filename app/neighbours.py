"""The Neighbours page: pictures that look alike to the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
import PIL.Image

from featvis import WrongRequest

from . import pictures, probed, session, texts
from .index import Index, Neighbour
from .shown import Shown
from .state import State
from .tiles import Tile, contact, strip

__all__ = ["numbers", "page", "sheet"]

COUNT = 16


def page(
    state: State,
    say: Callable[[str], None],
    show: Callable[[Shown], None],
    relax: Callable[[], None],
) -> Shown:
    """The pictures of the index that are nearest to the one at hand."""
    model, index = session.model_of(state.model), probed.index_of(state)
    if index is None:
        words = (
            f"no pictures were looked at with {model.name} yet; "
            f"featvis index build --model {model.name} --source folder:PATH does it"
        )
        return Shown(f'<p class="fv-note">{escape(texts.sentence(words))}</p>')
    say("Looking for neighbours")
    return Shown(f'<div class="fv-page">{_found(state, index)}</div>')


def sheet(state: State) -> PIL.Image.Image:
    """The picture, and its neighbours behind it."""
    index = _index(state)
    whole = index.pictures([one.image for one in _near(state, index)])
    return contact([(picture,) for picture in (pictures.get(state.image), *whole)], side=128)


def numbers(state: State) -> dict[str, Any]:
    """The neighbours and the embedding, as arrays."""
    near = _near(state, _index(state))
    made = {"images": [one.image for one in near], "cosines": [one.cosine for one in near]}
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in made.items()}
    return {**arrays, "embedding": probed.embedding(state).cpu().numpy()}


def _index(state: State) -> Index:
    index = probed.index_of(state)
    if index is None:
        raise WrongRequest(f"there is nothing to save: {state.model} has no index")
    return index


def _near(state: State, index: Index) -> tuple[Neighbour, ...]:
    """The nearest ones, without the picture itself."""
    near = index.neighbours(probed.embedding(state), COUNT + 1)
    return tuple(one for one in near if one.image != state.image)[:COUNT]


def _found(state: State, index: Index) -> str:
    near = _near(state, index)
    whole = index.pictures([one.image for one in near])
    labels = [index.label(one.image) for one in near]
    tiles = [
        Tile((picture,), f"picture:{one.image}",
             f"{label or one.image}, cosine {one.cosine:.3f}; look for its neighbours",
             f"{label} {one.cosine:.2f}".strip())
        for one, label, picture in zip(near, labels, whole, strict=True)
    ]  # fmt: skip
    query = Tile((pictures.get(state.image),), "", "your picture", "your picture")
    said = f"of {index.count:,} pictures, by the cosine of their embeddings"
    if counted := Counter(filter(None, labels)).most_common(3):
        said += "; " + ", ".join(f"{n} x {name}" for name, n in counted)
    return (
        f"<section><h3>Your picture</h3>{strip([query], 'Your picture', side=160, kind='still')}"
        f"</section><section><h3>Its nearest neighbours</h3><p>{escape(texts.sentence(said))}</p>"
        f"{strip(tiles, 'Neighbours', side=128, kind='large')}</section>"
    )
