"""What two networks have in common, on the Compare page: their layers, and what they find alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from featvis import WrongRequest, render
from featvis.types import FeatureMaps

from ..answers import indexed, kinship
from ..answers.ask import ask_of
from ..answers.prediction import image_of
from ..answers.run import run
from ..question.state import State
from ..words import texts
from .panels import Panel, panels
from .tiles import Tile, strip

PAIR = "pair"  # what a cell of the table of layers means, see `changes.set_shown`
APART = 8  # pictures that are shown, on which the networks agree the least
Say = Callable[[str], None]


def layers(state: State, other: str, say: Say) -> str:
    """CKA of all layers of the first network with those of another, as a grid of buttons."""
    one, two, found = kinship.likeness_of_layers(state, other, say)
    chosen = str(state.display(PAIR))
    cells = ""
    for i, first in enumerate(one):
        for j, second in enumerate(two):
            value, pick = float(found[i, j]), f"{other}|{first}|{second}"
            words = escape(f"{first} and {second}: {value:.3f}")
            cells += (
                f'<button data-pick="{PAIR}:{escape(pick)}" data-tell title="{words}" '
                f'aria-label="{words}" aria-pressed="{str(pick == chosen).lower()}" '
                f'tabindex="{-1 if i or j else 0}" style="--s:{100 * max(value, 0):.0f}%"></button>'
            )
        cells += f"<span>{escape(first)}</span>"
    words = (
        f"linear CKA over {kinship.COUNT} scenes: rows are layers of {state.model}, columns those "
        f"of {other}, from first to last; full colour is 1, the same but for rotation and scale. "
        f"The last row is most like {two[int(found[-1].argmax())]}. Click a cell to see both layers"
    )
    return (
        f"<section><h3>{escape(f'Layers of {state.model} and {other}')}</h3>"
        f'<p>{escape(texts.sentence(words))}</p><div class="fv-cka" role="group" '
        f'aria-label="Likeness of layers" style="--n:{len(two)}">{cells}</div>'
        f'<output class="fv-told"></output>{_pair(state, other, one, two, found)}</section>'
    )


def _pair(state: State, other: str, one: Sequence[str], two: Sequence[str], found: Any) -> str:
    """Both layers of the chosen cell over the picture, all channels of each as colours."""
    name, first, second = (*str(state.display(PAIR)).split("|"), "", "")[:3]
    if name != other or first not in one or second not in two:
        return ""
    value = float(found[one.index(first), two.index(second)])
    shown = [_colors(state, state.model, first), _colors(state, other, second)]
    image = image_of(state)
    return (
        f"<p><b>{escape(first)}</b> and <b>{escape(second)}</b>: CKA {value:.3f}; all their "
        "channels over your picture, each as three principal components.</p>"
        + panels(image, state.image, shown, None, slider=False)
    )


def _colors(state: State, model: str, layer: str) -> Panel:
    asked = state.but(tab="Feature maps", model=model, layer=layer, channel=None, position=None)
    answer = run(ask_of("feature_maps", asked))
    assert isinstance(answer.result, FeatureMaps)
    title = f"{model.rpartition(':')[2]}: {layer}"
    if answer.result.components is None:
        return Panel(title, reason="these maps have no components")
    h, w = answer.result.values.shape[2:]
    lines = [f"{answer.result.values.shape[1]} channels, {h}x{w}"]
    colors = render.components(answer.result)[0]
    return Panel(title, None, lines, answer.seconds, colors=colors, place=answer.result.place)


def neighbourhoods(state: State, other: str, say: Say) -> str:
    """How many neighbours are common, and the pictures on which the networks agree the least."""
    title = f"<h3>{escape(f'Neighbours in {state.model} and {other}')}</h3>"
    try:
        found = kinship.neighbourhoods_of(state, other, say)
    except WrongRequest as error:
        return f"<section>{title}<p>{escape(texts.sentence(error))}</p></section>"
    index = indexed.index_of(state)
    assert index is not None
    rows = found.apart[:APART]
    say("Drawing the pictures on which they disagree")
    names = [(n, int(found.overlap.one[n, 0]), int(found.overlap.other[n, 0])) for n in rows]
    drawn = iter(index.pictures([found.images[n] for column in names for n in column]))
    tiles = []
    for column in names:
        labels = [index.label(found.images[n]) or found.images[n] for n in column]
        words = (
            f"{labels[0]}: nearest in {state.model} a {labels[1]}, in {other} a {labels[2]}; "
            f"{kinship.NEAR * float(found.overlap.share[column[0]]):.0f} of {kinship.NEAR} "
            "are the same"
        )
        shown = (next(drawn), next(drawn), next(drawn))
        tiles.append(Tile(shown, f"picture:{found.images[column[0]]}", words, labels[0]))
    words = (
        f"of the {kinship.NEAR} nearest neighbours of each of {len(found.images):,} pictures, "
        f"{100 * found.mean:.1f} % are the same; by chance it were {100 * found.chance:.1f} %. "
        f"Below, where they agree the least: a picture, the nearest to it in {state.model}, and "
        f"the nearest to it in {other}"
    )
    label = "Pictures with different neighbours"
    return f"<section>{title}<p>{escape(texts.sentence(words))}</p>{strip(tiles, label)}</section>"
