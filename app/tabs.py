"""Tabs: what each family of methods shows of a state, as pieces of HTML and as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape

import torch

import featvis
from featvis import METHODS, Method, Param, VisionModel, WrongRequest, render
from featvis.types import Attribution, FeatureMaps, Filters, Heatmap, Synthesis

from . import evidence, natural, pictures, session, synthesis, texts, views
from .panels import Panel
from .panels import panels as over_picture
from .session import Made
from .state import DISPLAY, State
from .work import Cancelled

__all__ = [
    "Shown",
    "display_of",
    "draw",
    "estimate",
    "first_methods",
    "has_grid",
    "methods_of",
    "params_of",
    "shown_methods",
    "used_params",
]

SLOW = 2.0  # seconds; what takes longer is told before


@dataclass(frozen=True)
class Shown:
    """The pieces of a tab: results over the picture, and the channels as a grid."""

    view: str
    grid: str = ""


def methods_of(family: str) -> list[Method]:
    """The methods of a tab, in the order in which they are declared."""
    return [method for method in METHODS.values() if method.family == family]


def has_grid(family: str) -> bool:
    """Does a tab show all channels as a grid?"""
    return any(issubclass(m.result, FeatureMaps | Filters) for m in methods_of(family))


def shown_methods(state: State) -> list[Method]:
    """The chosen methods of the tab in view, or its first ones."""
    family = methods_of(state.tab)
    chosen = [method for method in family if method.name in state.methods]
    return chosen or first_methods(state.tab)


def first_methods(family: str) -> list[Method]:
    """What a tab shows until something is chosen: the methods declared so, or the first."""
    found = methods_of(family)
    return [method for method in found if method.first] or found[:1]


def display_of(family: str) -> list[Param]:
    """The choices of what is shown and how that a tab has."""
    if family in session.MADE:
        return []
    of_grid = {"scale"}
    return [p for p in DISPLAY.values() if (p.name in of_grid) == has_grid(family)]


def params_of(family: str) -> dict[str, Param]:
    """All parameters that the window has for a tab."""
    found = {p.name: p for m in methods_of(family) for p in m.params if not p.tuning}
    return {**{p.name: p for p in display_of(family)}, **found}


def used_params(state: State) -> set[str]:
    """Those of them that change what is shown."""
    of_methods = {p.name for m in shown_methods(state) for p in m.params}
    return of_methods | {p.name for p in display_of(state.tab)}


def estimate(method: Method, state: State) -> str:
    """How long a method will take, if that is long; in words."""
    try:
        seconds = session.seconds(method, state)
    except WrongRequest:
        return ""
    return texts.duration(seconds) if seconds > SLOW else ""


def draw(
    state: State,
    say: Callable[[str], None] = lambda words: None,
    show: Callable[[Shown], None] = lambda shown: None,
) -> Shown:
    """What the tab in view shows; `show` is given what is ready, while the rest is computed."""
    panels: list[Panel] = []
    grid, methods, views_made = "", shown_methods(state), ""
    slow = len(methods) > 1 and any(estimate(method, state) for method in methods)
    for method in methods:
        if slow and panels:
            waiting = [Panel(m.title, reason="Computing") for m in methods[len(panels) :]]
            show(_over(state, [*panels, *waiting]))
        if reason := session.missing(method, state):
            panels.append(Panel(method.title, reason=reason))
            continue
        say(
            " ".join(filter(None, (f"Computing {method.title}:", estimate(method, state)))).rstrip(
                ":"
            )
        )
        if method.generator:
            views_made = _synthesis(method, state, say, show, views_made)
            continue
        made = session.run(method.name, state)
        if isinstance(made.result, Filters):
            return _filters(made.result, state)
        if isinstance(made.result, FeatureMaps):
            channel = _channel(made.result, state)
            panels += _channel_panels(made, made.result, channel, state)
            grid = views.grid(made.result, _scale(state), channel, "channel")
        else:
            panels.append(evidence.panel(made, state))
    if views_made:
        return Shown(views_made)
    return _over(state, panels, grid)


def _synthesis(
    method: Method,
    state: State,
    say: Callable[[str], None],
    show: Callable[[Shown], None],
    before: str,
) -> str:
    """What is being made, after what was made `before`; if it is stopped, what there is by then."""
    last: list[Made] = []

    def seen(made: Made) -> None:
        last[:] = [made]
        show(Shown(before + _view(made)))

    try:
        made = session.run(method.name, state, seen)
    except Cancelled:
        if not last:
            raise
        made = last[0]
        stopped = ("stopped before its last step",)
        return before + _view(
            replace(made, result=replace(made.result, notes=(*made.result.notes, *stopped)))
        )
    return before + _view(made, _places(made, state, say))


def _view(made: Made, places: Sequence[str] = ()) -> str:
    assert isinstance(made.result, Synthesis)
    return synthesis.view(made.method.title, made.result, made.seconds, places)


def _places(made: Made, state: State, say: Callable[[str], None]) -> list[str]:
    """How the activations compare with those of scenes, unless that is not waited for."""
    if made.method.run is not featvis.maximize:
        return []
    assert isinstance(made.result, Synthesis)
    try:
        say("Comparing with scenes")
        return natural.places(state, made.result)
    except Cancelled:
        return []


def _over(state: State, panels: list[Panel], grid: str = "") -> Shown:
    image, marker = session.image_of(state), _marker(state)
    shared = state.display("maps") == "shared" and not has_grid(state.tab)
    view = over_picture(image, pictures.get(state.image), panels, marker, shared=shared)
    return Shown(view, grid)


def _channel_panels(made: Made, result: FeatureMaps, channel: int, state: State) -> list[Panel]:
    """One channel over the picture, what its neuron looks at, and all channels as colours."""
    plane = result.values[:, channel]
    signed = bool((plane < 0).any())
    none, top = torch.full((1,), -1), plane.amax((1, 2))
    heat = Heatmap(plane, result.layer, result.place, f"channel {channel}", top, none, signed)
    h, w = plane.shape[1:]
    lines = [
        f"{escape(result.layer)}, {h}x{w}",
        f"activations from <b>{float(plane.min()):.3g}</b> to <b>{float(plane.max()):.3g}</b>",
    ]
    if state.position and state.position[0] < h and state.position[1] < w:
        row, column = state.position
        lines.append(f"row {row}, column {column}: <b>{float(plane[0, row, column]):.3g}</b>")
    panels = [Panel(f"Channel {channel}", heat, lines, made.seconds)]
    seen = session.neuron(state.but(layer=result.layer, channel=channel))
    where = "at the chosen place" if state.position else "where it is most active"
    words = [f"gradient of channel {channel} {where}"]
    assert isinstance(seen.result, Attribution)
    panels.append(Panel("What this neuron looks at", seen.result, words, seen.seconds))
    if result.components is not None:
        colors = render.components(result)[0]
        words = ["principal components as colours: equal colours look alike to the network"]
        panels.append(Panel("All channels", lines=words, colors=colors, place=result.place))
    return panels


def _channel(result: FeatureMaps, state: State) -> int:
    """The chosen channel, or the one that is most active anywhere."""
    count = result.values.shape[1]
    if state.channel is None:
        return int(result.values[0].flatten(1).amax(1).argmax())
    if state.channel >= count:
        raise WrongRequest(
            f"channel {state.channel} of {result.layer}: its channels go from 0 to {count - 1}"
        )
    return state.channel


def _filters(result: Filters, state: State) -> Shown:
    """The filters of a layer, or the kernels of one; the chosen filter large."""
    model = session.model_of(state.model)
    count, _, h, w = result.values.shape
    kernels = _are_kernels(result, model)
    noun = "kernel" if kernels else "filter"
    norms = result.norms
    facts = [f"{count} {noun}s of {h}x{w}" + (", RGB" if result.rgb else "")]
    facts.append(f"norms from {float(norms.min()):.3g} to {float(norms.max()):.3g}")
    notes = list(result.notes)
    if state.layer is not None and state.layer != result.layer:
        kind = model.layer(state.layer).kind
        notes.insert(0, f"{state.layer} is a {kind}; shown is the convolution {result.layer}")
    chosen = None if kernels else state.channel
    large, title = None, ""
    if chosen is not None:
        at = int((result.order == chosen).nonzero()[0, 0])
        large = render.tiles(result, scale="own")[at]
        title = f"Filter {chosen} at its own scale, norm {float(norms[chosen]):.3g}"
    view = views.filters(result.layer, facts, notes, large, title)
    return Shown(view, views.grid(result, _scale(state), chosen, noun))


def _are_kernels(result: Filters, model: VisionModel) -> bool:
    """Is each tile one kernel of a chosen filter, and not a filter?"""
    conv = model.module.get_submodule(result.layer)
    return not result.rgb and int(conv.in_channels) > int(conv.groups)  # type: ignore[arg-type]


def _scale(state: State) -> str:
    return str(state.display("scale"))


def _marker(state: State) -> tuple[float, float] | None:
    """The chosen position on the original picture, as fractions (x, y)."""
    if state.position is None or not (has_grid(state.tab) or state.of_neuron):
        return None
    model, image = session.model_of(state.model), session.image_of(state)
    place = model.layer(session.layer_of(state, model)).place
    row, column = place.center(state.position)
    top, left, bottom, right = image.box
    h, w = image.values.shape[2:]
    y, x = top + row / h * (bottom - top), left + column / w * (right - left)
    return x / image.original[1], y / image.original[0]
