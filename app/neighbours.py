"""The Neighbours page: pictures that look alike to the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from html import escape

from . import pictures, probed, session, texts
from .index import Index
from .shown import Shown
from .state import State
from .tiles import Tile, strip

__all__ = ["page"]

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


def _found(state: State, index: Index) -> str:
    near = index.neighbours(probed.embedding(state), COUNT + 1)
    near = tuple(one for one in near if one.image != state.image)[:COUNT]
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
