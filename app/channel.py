"""The Channel page: everything that is known of one channel of one network."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
import PIL.Image

import featvis
from featvis import METHODS, VisionModel, WrongRequest, render
from featvis.types import FeatureMaps, Filters, Synthesis

from . import maps, pictures, probed, session, synthesis, texts, views
from .histogram import histogram
from .index import Index
from .panels import panels
from .session import Made
from .shown import Shown
from .state import State
from .tiles import Tile, contact, strip
from .work import Cancelled

__all__ = ["numbers", "page", "sheet"]

TOP, BOTTOM, LIKE, KERNELS = 9, 6, 8, 8  # how many of each are shown
CHUNK = 16  # channels whose patches are drawn at a time
DETECTS = 0.1  # overlap with a part of objects from which it is named
SIDE = 48  # of a tile of the overview, pixels


def page(
    state: State,
    say: Callable[[str], None],
    show: Callable[[Shown], None],
    relax: Callable[[], None],
) -> Shown:
    """What excites the channel, where in your picture, how often; then all channels of its layer.

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
    parts = [_head(state, made.result, number, index if known else None)]
    if index is not None and known:
        parts.append(_strongest(state, index, layer, number))
        parts.append(_distribution(made.result, index, layer, number))
    else:
        parts.append(_unknown(model, layer, index))
    parts.append(_own(state, made, number))
    if index is not None and known:
        parts.append(_similar(state, index, layer, number))
        parts.append(_weakest(state, index, layer, number))
    parts.append(_weights(model, layer, number))
    shown = Shown(_page(parts))
    show(shown)
    relax()
    try:
        if index is not None and known:
            shown = Shown(shown.view, _overview(state, index, layer, number, say))
            show(shown)
        for drawn in _made(state, layer, number, say):
            shown = Shown(_page([*parts[:1], drawn, *parts[1:]]), shown.grid)
    except Cancelled:  # something else is asked for
        pass
    return shown


def sheet(state: State) -> PIL.Image.Image:
    """The strongest patches, each over its guided backpropagation."""
    index, layer, number = _known(state)
    found = probed.sights(state, index, layer, number, TOP)
    return contact([(sight.patch, sight.guided) for sight in found], side=160)


def numbers(state: State) -> dict[str, Any]:
    """What the index tells of the channel, as arrays."""
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
    index, layer = probed.index_of(state), session.layer_of(state, session.model_of(state.model))
    if index is None or layer not in index.layers:
        raise WrongRequest(f"there is nothing to save: no pictures were looked at with {layer}")
    number = session.strongest(state.but(layer=layer)) if state.channel is None else state.channel
    return index, layer, number


def _page(parts: list[str]) -> str:
    return f'<div class="fv-page">{"".join(parts)}</div>'


def _section(title: str, body: str, words: str = "") -> str:
    """A part of the page, with a sentence on how to read it."""
    if not body:
        return ""
    said = f"<p>{escape(texts.sentence(words))}</p>" if words else ""
    return f"<section><h3>{escape(title)}</h3>{said}{body}</section>"


def _head(state: State, result: FeatureMaps, number: int, index: Index | None) -> str:
    """What can be said of the channel in a line or two."""
    peak = float(result.values[0, number].max())
    said = [f"<b>{peak:.3g}</b> at most in your picture"]
    if index is not None:
        found = index.stats(result.layer, number)
        share = index.percentile(result.layer, number, peak)
        said[0] += f", more than in <b>{share:.0f} %</b> of {index.count:,} pictures"
        said.append(f"active in {100 * found.active:.0f} % of them")
        chosen = index.selectivity(result.layer, number)
        if chosen is not None:
            best = ", ".join(list(chosen.means)[:3])
            said.append(f"strongest for <b>{escape(best)}</b> (selectivity {chosen.share:.2f})")
        detected = [p for p in index.parts(result.layer, number)[:3] if p.iou >= DETECTS]
        if detected:
            words = ", ".join(f"<b>{escape(p.name)}</b> (IoU {p.iou:.2f})" for p in detected)
            said.append(f"detects {words}")
    lines = "".join(f"<li>{line}</li>" for line in said)
    title = f"{escape(result.layer)} <span>channel {number}</span>"
    return f'<header><h2>{title}</h2><ul class="fv-said">{lines}</ul></header>'


def _strongest(state: State, index: Index, layer: str, number: int) -> str:
    """The patches, each over the guided backpropagation of exactly that neuron."""
    sights = probed.sights(state, index, layer, number, TOP)
    tiles = [
        Tile(
            (sight.patch, sight.guided),
            f"picture:{sight.hit.image}",
            f"{sight.label or sight.hit.image}: {sight.hit.value:.3g}; open the whole picture",
            sight.label or f"{sight.hit.value:.3g}",
        )
        for sight in sights
    ]
    model = session.model_of(state.model)
    note = index.patch(model, layer, sights[0].hit.position, sights[0].hit.image).note
    words = (
        f"the strongest of {index.count:,} pictures, one patch each; below each the guided "
        f"backpropagation of that neuron; {note}"
    )
    return _section("What excites it the most", strip(tiles, "Strongest patches"), words)


def _weakest(state: State, index: Index, layer: str, number: int) -> str:
    hits = index.bottom(layer, number, BOTTOM)
    if not hits or hits[0].value >= 0:  # behind a rectifier: nothing is all there is to say
        return ""
    whole = index.pictures([hit.image for hit in hits])
    tiles = [
        Tile((picture,), f"picture:{hit.image}", f"{index.label(hit.image)}: {hit.value:.3g}",
             f"{hit.value:.3g}")
        for hit, picture in zip(hits, whole, strict=True)
    ]  # fmt: skip
    words = "pictures in which even its largest value is the lowest"
    return _section("What excites it the least", strip(tiles, "Weakest pictures", side=64), words)


def _distribution(result: FeatureMaps, index: Index, layer: str, number: int) -> str:
    found = index.stats(layer, number)
    peak = float(result.values[0, number].max())
    words = (
        f"the largest value in each of {index.count:,} pictures; heights are square roots; over "
        f"all positions the mean is {found.mean:.3g} and the standard deviation {found.std:.3g}"
    )
    drawn = histogram(found.counts, found.edges, {"your picture": peak}, texts.sentence(words))
    chosen = index.selectivity(layer, number)
    bars = "" if chosen is None else _classes(chosen.means)
    return _section("How strong it is, and for what", f'<div class="fv-two">{drawn}{bars}</div>')


def _classes(means: dict[str, float]) -> str:
    """The classes that excite it the most, as bars."""
    best = list(means.items())[:6]
    top = max((abs(value) for _, value in best), default=0.0) or 1.0
    rows = "".join(
        f'<div class="fv-class"><i style="width:{100 * max(value, 0) / top:.0f}%"></i>'
        f"<span>{escape(name)}</span><em>{value:.3g}</em></div>"
        for name, value in best
    )
    return f'<div class="fv-classes">{rows}<p>Mean of the largest value, by class</p></div>'


def _own(state: State, made: Made, number: int) -> str:
    """The channel over the picture at hand."""
    assert isinstance(made.result, FeatureMaps)
    over = maps.panels(made, made.result, number, state.but(layer=made.result.layer))[:2]
    place = maps.marker(state.but(layer=made.result.layer))
    view = panels(session.image_of(state), pictures.get(state.image), over, place)
    return _section("In your picture", view)


def _similar(state: State, index: Index, layer: str, number: int) -> str:
    found = index.similar(layer, number, LIKE)
    patches = probed.overview(state, index, layer, [one.channel for one in found])
    tiles = [
        Tile((patch,), f"channel:{one.channel}",
             f"channel {one.channel}, correlation {one.correlation:.2f}",
             f"{one.channel} · {one.correlation:.2f}")
        for one, patch in zip(found, patches, strict=True)
    ]  # fmt: skip
    words = "channels of the layer whose largest values rise and fall with this one's"
    return _section("Like it", strip(tiles, "Similar channels", side=64), words)


def _weights(model: VisionModel, layer: str, number: int) -> str:
    """The filter, or the strongest of its kernels."""
    if not model.layer(layer).kernel:
        return ""
    try:
        result: Filters = featvis.filters(model, layer, number, sort="strength")
    except WrongRequest:
        return ""
    if result.rgb:
        at = int((result.order == number).nonzero()[0, 0])
        tile = render.tiles(result, scale="own")[at]
        url = views.served(views.png(tile), "filter.png")
        picture = f'<img class="fv-large" src="{url}" alt="Filter {number}">'
        return _section("Its filter", picture, "in the colours of the picture; grey is zero")
    if len(result.values) < 2:
        return ""
    strongest = render.tiles(result)[:KERNELS]
    tiles = [
        Tile((views.picture(tile),), "", f"input channel {int(channel)}", f"{int(channel)}")
        for tile, channel in zip(strongest, result.order.tolist(), strict=False)
    ]
    words = (
        f"the {len(strongest)} strongest of {len(result.values)} kernels, by input channel; red "
        "adds and blue takes away"
    )
    return _section("Its weights", strip(tiles, "Kernels", side=64, kind="still"), words)


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


def _made(state: State, layer: str, number: int, say: Callable[[str], None]) -> list[str]:
    """The picture that excites it the most, where it is wanted or was made before."""
    if not state.display("picture"):
        return []
    say("Making the picture that excites it the most")
    asked = State(
        tab="Synthesis",
        model=state.model,
        image=state.image,
        layer=layer,
        channel=number,
        params=state.params,
    )
    made = session.run("maximize", asked)
    assert isinstance(made.result, Synthesis)
    view = synthesis.view(METHODS["maximize"].title, made.result, made.seconds)
    return [_section("The picture that excites it the most", view)]


def _unknown(model: VisionModel, layer: str, index: Index | None) -> str:
    """Why there are no patches, and how to have them."""
    if index is not None:
        words = f"the index has no layer {layer}; it has {', '.join(index.layers)}"
    else:
        words = (
            f"no pictures were looked at with {model.name} yet; "
            f"featvis index build --model {model.name} --source folder:PATH does it, for all "
            "channels at once"
        )
    return f'<p class="fv-note">{escape(texts.sentence(words))}</p>'
