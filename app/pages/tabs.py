"""Tabs: what each family of methods shows of a state, as pieces of HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from featvis import Method, VisionModel, WrongRequest, render
from featvis.types import FeatureMaps, Filters, Synthesis

from ..answers import baseline, session
from ..answers.session import Made
from ..machine.jobs import Cancelled
from ..question.state import State
from ..question.tabs import TABS
from ..words import texts
from . import channel, compare, evidence, maps, neighbours, synthesis, views
from .panels import Panel
from .panels import panels as over_picture
from .shown import Shown

__all__ = ["Shown", "draw", "estimate"]

SLOW = 2.0  # seconds; what takes longer is told before
# A tab's page -> the module that draws it.
PAGES = {"channel": channel, "neighbours": neighbours, "compare": compare}


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
    relax: Callable[[], None] = lambda: None,
) -> Shown:
    """What the tab in view shows; `show` is given what is ready, while the rest is computed.

    `relax` is called when what is left is a bonus: it may be stopped by whatever is used next.
    """
    if page := TABS[state.tab].page:
        return PAGES[page].page(state, say, show, relax)
    panels: list[Panel] = []
    grid, methods, views_made = "", state.shown_methods, ""
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
            number = maps.chosen(made.result, state)
            panels += maps.panels(made, made.result, number, state)
            grid = views.grid(made.result, _scale(state), number, "channel")
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
    if made.method.name != "maximize":
        return []
    assert isinstance(made.result, Synthesis)
    try:
        say("Comparing with scenes")
        return baseline.places(state, made.result)
    except Cancelled:
        return []


def _over(state: State, panels: list[Panel], grid: str = "") -> Shown:
    image, has_grid = session.image_of(state), TABS[state.tab].has_grid
    marker = maps.marker(state) if has_grid or state.of_neuron else None
    shared = state.display("maps") == "shared" and not has_grid
    view = over_picture(image, state.image, panels, marker, of=state.model, shared=shared)
    return Shown(view, grid)


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
        found = (result.order == chosen).nonzero()
        if not len(found):
            raise WrongRequest(
                f"channel {chosen} of {result.layer}: its channels go from 0 to {count - 1}"
            )
        at = int(found[0, 0])
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
