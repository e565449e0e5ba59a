"""The sections of the Channel page: each says one thing of a channel, as a piece of HTML."""

from __future__ import annotations

from html import escape

import featvis
from featvis import VisionModel, WrongRequest, render
from featvis.types import FeatureMaps, Filters

from ..answers import indexed
from ..answers.indexed import TOP
from ..answers.prediction import image_of
from ..answers.run import Answer
from ..files import encode
from ..index import Index, no_index
from ..machine.cache import model_of
from ..machine.disk import file_url
from ..question.state import State
from ..words import texts
from . import maps
from .histogram import histogram
from .panels import panels
from .tiles import Tile, strip

BOTTOM, LIKE, KERNELS = 6, 8, 8  # how many of each are shown
DETECTS = 0.1  # overlap with a part of objects from which it is named


def section(title: str, body: str, words: str = "") -> str:
    """A part of the page, with a sentence on how to read it."""
    if not body:
        return ""
    said = f"<p>{escape(texts.sentence(words))}</p>" if words else ""
    return f"<section><h3>{escape(title)}</h3>{said}{body}</section>"


def head(state: State, result: FeatureMaps, number: int, index: Index | None) -> str:
    """What can be said of the channel in a line or two."""
    peak = float(result.units[0, number].max())
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
    bound = model_of(state.model).layer(result.layer).bound
    if bound is not None:
        which = "strong values" if bound.whole else "strong values of some channels"
        said.append(f"measured before <b>{bound}</b>, which makes {which} equal, or nearly so")
    lines = "".join(f"<li>{line}</li>" for line in said)
    title = f"{escape(result.layer)} <span>channel {number}</span>"
    return f'<header><h2>{title}</h2><ul class="fv-said">{lines}</ul></header>'


def strongest(state: State, index: Index, layer: str, number: int) -> str:
    """The patches, each over the guided backpropagation of exactly that neuron."""
    sights = indexed.sights(state, index, layer, number, TOP)
    tiles = [
        Tile(
            (sight.patch, sight.guided),
            f"picture:{sight.hit.image}",
            f"{sight.label or sight.hit.image}: {sight.hit.value:.3g}; open the whole picture",
            sight.label or f"{sight.hit.value:.3g}",
        )
        for sight in sights
    ]
    model = model_of(state.model)
    note = index.patch(model, layer, sights[0].hit.position, sights[0].hit.image).note
    words = (
        f"the strongest of {index.count:,} pictures, one patch each; below each the guided "
        f"backpropagation of that neuron; {note}{describe_ties(index, layer, number, TOP)}"
    )
    return section("What excites it the most", strip(tiles, "Strongest patches"), words)


def describe_ties(index: Index, layer: str, number: int, count: int, which: str = "top") -> str:
    """How many pictures tie with the last one shown, if more do than are shown."""
    ties = index.ties(layer, number, count, which)
    if ties is None:
        return ""
    pictures = f"{ties.count:,} of {index.count:,} pictures"
    return f"; {pictures} tie at {ties.value:.3g}, of which a sample is shown"


def weakest(state: State, index: Index, layer: str, number: int) -> str:
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
    words += describe_ties(index, layer, number, BOTTOM, "bottom")
    return section("What excites it the least", strip(tiles, "Weakest pictures", side=64), words)


def distribution(result: FeatureMaps, index: Index, layer: str, number: int) -> str:
    found = index.stats(layer, number)
    peak = float(result.units[0, number].max())
    words = (
        f"the largest value in each of {index.count:,} pictures; heights are square roots; over "
        f"all positions the mean is {found.mean:.3g} and the standard deviation {found.std:.3g}"
    )
    drawn = histogram(found.counts, found.edges, {"your picture": peak}, texts.sentence(words))
    chosen = index.selectivity(layer, number)
    bars = "" if chosen is None else _classes(chosen.means)
    return section("How strong it is, and for what", f'<div class="fv-two">{drawn}{bars}</div>')


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


def own(state: State, made: Answer, number: int) -> str:
    """The channel over the picture at hand."""
    assert isinstance(made.result, FeatureMaps)
    over = maps.panels(made, made.result, number, state.but(layer=made.result.layer))[:2]
    place = maps.marker(state.but(layer=made.result.layer))
    image = image_of(state)
    view = panels(image, state.image, over, place, of=state.model)
    return section("In your picture", view)


def similar(state: State, index: Index, layer: str, number: int) -> str:
    found = index.similar(layer, number, LIKE)
    patches = indexed.overview(state, index, layer, [one.channel for one in found])
    tiles = [
        Tile((patch,), f"channel:{one.channel}",
             f"channel {one.channel}, correlation {one.correlation:.2f}",
             f"{one.channel} · {one.correlation:.2f}")
        for one, patch in zip(found, patches, strict=True)
    ]  # fmt: skip
    words = "channels of the layer whose largest values rise and fall with this one's"
    return section("Like it", strip(tiles, "Similar channels", side=64), words)


def weights(model: VisionModel, layer: str, number: int) -> str:
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
        url = file_url(encode.png(tile), "filter.png")
        picture = f'<img class="fv-large" src="{url}" alt="Filter {number}">'
        return section("Its filter", picture, "in the colours of the picture; grey is zero")
    if len(result.values) < 2:
        return ""
    strongest = render.tiles(result)[:KERNELS]
    tiles = [
        Tile((render.to_pil(tile),), "", f"input channel {int(channel)}", f"{int(channel)}")
        for tile, channel in zip(strongest, result.order.tolist(), strict=False)
    ]
    words = (
        f"the {len(strongest)} strongest of {len(result.values)} kernels, by input channel; red "
        "adds and blue takes away"
    )
    return section("Its weights", strip(tiles, "Kernels", side=64, kind="still"), words)


def unknown(model: VisionModel, layer: str, index: Index | None) -> str:
    """Why there are no patches, and how to have them."""
    if index is not None:
        words = f"the index has no layer {layer}; it has {', '.join(index.layers)}"
    else:
        words = str(no_index(model.name))
    return f'<p class="fv-note">{escape(texts.sentence(words))}</p>'
