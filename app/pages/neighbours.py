"""The Neighbours page: pictures that look alike to the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from html import escape

from ..answers import indexed
from ..answers.nearest import Found, nearest_others
from ..index import Index, no_index
from ..question import pictures
from ..question.state import State
from ..words import texts
from .shown import Shown
from .tiles import Tile, strip


def page(
    state: State,
    say: Callable[[str], None],
    show: Callable[[Shown], None],
    relax: Callable[[], None],
) -> Shown:
    """The pictures of the index that are nearest to the one at hand."""
    index = indexed.index_of(state)
    if index is None:
        words = texts.sentence(str(no_index(state.model)))
        return Shown(f'<p class="fv-note">{escape(words)}</p>')
    say("Looking for neighbours")
    found = nearest_others(state, index, say)
    return Shown(f'<div class="fv-page">{_view(state, index, found)}</div>')


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
