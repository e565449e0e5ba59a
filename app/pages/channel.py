"""The Channel page: everything that is known of one channel of one network."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from featvis import METHODS
from featvis.types import FeatureMaps, Synthesis

from ..answers import indexed
from ..answers.ask import ask_of
from ..answers.run import run
from ..answers.subject import layer_of
from ..index import Index
from ..machine.cache import model_of
from ..machine.errors import Cancelled
from ..question.state import State
from . import counterparts, maps, sections, synthesis, views
from .counterparts import Neuron
from .shown import Shown

CHUNK = 16  # channels whose patches are drawn at a time
SIDE = 48  # of a tile of the overview, pixels


def page(
    state: State,
    say: Callable[[str], None],
    show: Callable[[Shown], None],
    relax: Callable[[], None],
) -> Shown:
    """What excites the channel and how often, where in your picture; then all of its layer.

    The overview of the layer, and the picture that excites the channel the most, come last: they
    are given up where something else is asked for.
    """
    model = model_of(state.model)
    layer = layer_of(state, model)
    say(f"Looking at {layer}")
    answer = run(ask_of("feature_maps", state.but(layer=layer)))
    assert isinstance(answer.result, FeatureMaps)
    number = maps.chosen(answer.result, state)
    index = indexed.index_of(state)
    known = index is not None and layer in index.layers
    parts = [sections.head(state, answer.result, number, index if known else None)]
    if index is not None and known:
        parts.append(sections.strongest(state, index, layer, number))
        parts.append(sections.distribution(answer.result, index, layer, number))
    else:
        parts.append(sections.unknown(model, layer, index))
    show(Shown(_page(parts)))  # the rest takes a gradient, and more pictures
    parts.append(sections.own(state, answer, number))
    if index is not None and known:
        parts.append(sections.similar(state, index, layer, number))
        parts.append(sections.weakest(state, index, layer, number))
    parts.append(sections.weights(model, layer, number))
    shown = Shown(_page(parts))
    show(shown)
    relax()
    try:
        own, at = Neuron(state.model, layer, number), len(parts)
        if state.others:
            parts.append(counterparts.counterparts(state, own, say, {}))
            shown = Shown(_page(parts))
            show(shown)
        if index is not None and known:
            shown = Shown(shown.view, _overview(state, index, layer, number, say))
            show(shown)
        if state.display("picture"):
            parts.insert(1, _made(state, own, say))
            shown = Shown(_page(parts), shown.grid)
            show(shown)
            for drawn in counterparts.made_for(state, own, say) if state.others else ():
                parts[at + 1] = counterparts.counterparts(state, own, say, drawn)
                shown = Shown(_page(parts), shown.grid)
                show(shown)
    except Cancelled:  # something else is asked for
        pass
    return shown


def _page(parts: list[str]) -> str:
    return f'<div class="fv-page">{"".join(parts)}</div>'


def _overview(
    state: State, index: Index, layer: str, number: int, say: Callable[[str], None]
) -> str:
    """The strongest patch of every channel of the layer: the way into the others."""
    found, count = [], index.channels(layer)
    for start in range(0, count, CHUNK):
        say(f"Drawing the channels of {layer}")
        part = range(start, min(start + CHUNK, count))
        found += indexed.overview(state, index, layer, list(part))
    title = f"All {count} channels of {escape(layer)}, each by its strongest patch"
    return f'<h3 class="fv-over">{title}</h3>' + views.patches(found, number, SIDE)


def _made(state: State, own: Neuron, say: Callable[[str], None]) -> str:
    """The picture that excites the channel the most."""
    say("Making the picture that excites it the most")
    answer = run(ask_of("maximize", counterparts.asked(state, own)))
    assert isinstance(answer.result, Synthesis)
    view = synthesis.view(METHODS["maximize"].title, answer.result, answer.seconds)
    return sections.section("The picture that excites it the most", view)
