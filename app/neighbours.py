"""The Neighbours page: pictures that look alike to the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
from torch import Tensor

from featvis import WrongRequest

from . import pictures, probed, session, texts
from .index import Index, Match, Neighbour, by_channel, by_layer
from .shown import Shown
from .state import State
from .tiles import Tile, contact, strip

__all__ = ["nearest", "numbers", "page", "sheet"]

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
    found = _near(state, index, say)
    return Shown(f'<div class="fv-page">{_view(state, index, found)}</div>')


def sheet(state: State) -> PIL.Image.Image:
    """The picture, and its neighbours behind it."""
    index = _index(state)
    whole = index.pictures([one.image for one in _near(state, index).near])
    return contact([(picture,) for picture in (pictures.get(state.image), *whole)], side=128)


def numbers(state: State) -> dict[str, Any]:
    """The neighbours, and what they are near to, as arrays."""
    found = _near(state, _index(state))
    made = {"images": [one.image for one in found.near], found.unit: [x[1] for x in found.near]}
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in made.items()}
    return {**arrays, found.of: found.query.cpu().numpy()}


def _index(state: State) -> Index:
    index = probed.index_of(state)
    if index is None:
        raise WrongRequest(f"there is nothing to save: {state.model} has no index")
    return index


def _near(state: State, index: Index, say: Callable[[str], None] = quiet) -> Found:
    """The nearest ones, without the picture itself."""
    found = nearest(state, index, COUNT + 1, say)
    near = tuple(one for one in found.near if one.image != state.image)[:COUNT]
    return found._replace(near=near)


def nearest(state: State, index: Index, count: int, say: Callable[[str], None] = quiet) -> Found:
    """By the embedding, or by what the layer or the channel in view makes of the pictures."""
    by = state.display("by")
    if by == "embedding":
        query = probed.embedding(state)
        how, near = "by the cosine of their embeddings", index.neighbours(query, count)
        return Found(near, index.count, how, "cosines", "embedding", query)
    layer = session.layer_of(state, session.model_of(state.model))
    pool, own = probed.pool_of(state, index, layer, say), probed.pooled_of(state, layer)
    among = len(pool.images)
    if by == "layer":
        how = f"by the cosine of the means of {layer}"
        return Found(by_layer(pool, own, count), among, how, "cosines", "means", own.mean[0])
    number = session.strongest(state) if state.channel is None else state.channel
    alike = by_channel(pool, own, number, count)
    how = (
        f"by the maximum of channel {number} of {layer}: in yours {float(own.high[0, number]):.2f}"
    )
    return Found(alike, among, how, "maxima", "maximum", own.high[0, number])


def _view(state: State, index: Index, found: Found) -> str:
    near = found.near
    whole = index.pictures([one.image for one in near])
    labels = [index.label(one.image) for one in near]
    what = "maximum" if found.unit == "maxima" else "cosine"
    tiles = [
        Tile((picture,), f"picture:{one.image}",
             f"{label or one.image}, {what} {one[1]:.3f}; look for its neighbours",
             f"{label} {one[1]:.2f}".strip())
        for one, label, picture in zip(near, labels, whole, strict=True)
    ]  # fmt: skip
    query = Tile((pictures.get(state.image),), "", "your picture", "your picture")
    said = f"of {found.among:,} pictures, {found.how}"
    if counted := Counter(filter(None, labels)).most_common(3):
        said += "; " + ", ".join(f"{n} x {name}" for name, n in counted)
    return (
        f"<section><h3>Your picture</h3>{strip([query], 'Your picture', side=160, kind='still')}"
        f"</section><section><h3>Its nearest neighbours</h3><p>{escape(texts.sentence(said))}</p>"
        f"{strip(tiles, 'Neighbours', side=128, kind='large')}</section>"
    )
