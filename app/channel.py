"""The Channel page: everything that is known of one channel of one network."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
import PIL.Image

from featvis import METHODS, WrongRequest
from featvis.types import FeatureMaps, Synthesis

from . import channel_sections as sections
from . import counterparts, maps, probed, session, synthesis, views
from .counterparts import Neuron
from .index import Index
from .shown import Shown
from .state import State
from .tiles import contact
from .work import Cancelled

__all__ = ["numbers", "page", "sheet"]

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
    model = session.model_of(state.model)
    layer = session.layer_of(state, model)
    say(f"Looking at {layer}")
    made = session.run("feature_maps", state.but(layer=layer))
    assert isinstance(made.result, FeatureMaps)
    number = maps.chosen(made.result, state)
    index = probed.index_of(state)
    known = index is not None and layer in index.layers
    parts = [sections.head(state, made.result, number, index if known else None)]
    if index is not None and known:
        parts.append(sections.strongest(state, index, layer, number))
        parts.append(sections.distribution(made.result, index, layer, number))
    else:
        parts.append(sections.unknown(model, layer, index))
    show(Shown(_page(parts)))  # the rest takes a gradient, and more pictures
    parts.append(sections.own(state, made, number))
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
            for made in counterparts.made_for(state, own, say) if state.others else ():
                parts[at + 1] = counterparts.counterparts(state, own, say, made)
                shown = Shown(_page(parts), shown.grid)
                show(shown)
    except Cancelled:  # something else is asked for
        pass
    return shown


def sheet(state: State) -> PIL.Image.Image:
    """The strongest patches, each over its guided backpropagation."""
    index, layer, number = _known(state)
    found = probed.sights(state, index, layer, number, sections.TOP)
    return contact([(sight.patch, sight.guided) for sight in found], side=160)


def numbers(state: State) -> dict[str, Any]:
    """What the index tells of the channel, as arrays."""
    index, layer, number = _known(state)
    found = index.stats(layer, number)
    made: dict[str, Any] = {"counts": found.counts, "edges": found.edges}
    made |= {"mean": found.mean, "std": found.std, "active": found.active}
    for name, hits in (
        ("top", index.top(layer, number, sections.TOP)),
        ("bottom", index.bottom(layer, number, sections.TOP)),
    ):
        made[f"{name}.images"] = [hit.image for hit in hits]
        made[f"{name}.values"] = [hit.value for hit in hits]
        made[f"{name}.positions"] = [hit.position for hit in hits]
    return {name: np.asarray(value) for name, value in made.items()}


def _known(state: State) -> tuple[Index, str, int]:
    """The index, the layer and the channel in view, where pictures were looked at."""
    index, layer = probed.index_of(state), session.layer_of(state, session.model_of(state.model))
    if index is None or layer not in index.layers:
        raise WrongRequest(f"there is nothing to save: no pictures were looked at with {layer}")
    number = session.strongest(state.but(layer=layer)) if state.channel is None else state.channel
    return index, layer, number


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
        found += probed.overview(state, index, layer, list(part))
    title = f"All {count} channels of {escape(layer)}, each by its strongest patch"
    return f'<h3 class="fv-over">{title}</h3>' + views.patches(found, number, SIDE)


def _made(state: State, own: Neuron, say: Callable[[str], None]) -> str:
    """The picture that excites the channel the most."""
    say("Making the picture that excites it the most")
    made = session.run("maximize", counterparts.asked(state, own))
    assert isinstance(made.result, Synthesis)
    view = synthesis.view(METHODS["maximize"].title, made.result, made.seconds)
    return sections.section("The picture that excites it the most", view)
