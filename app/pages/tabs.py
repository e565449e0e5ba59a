"""Tabs: what each family of methods shows of a state, as pieces of HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from featvis import VisionModel, render
from featvis.network.neuron import check_channel
from featvis.types import FeatureMaps, Filters, Synthesis

from ..answers import baseline
from ..answers.ask import Ask, asks, durations
from ..answers.run import Answer, run
from ..answers.subject import Subject, subject_of
from ..machine.errors import Cancelled
from ..question.state import State
from ..question.tabs import TABS
from . import channel, compare, evidence, maps, neighbours, synthesis, views
from .panels import Panel
from .panels import panels as over_picture
from .shown import Shown

# A tab's page -> the module that draws it.
PAGES = {"channel": channel, "neighbours": neighbours, "compare": compare}


def draw(
    state: State,
    say: Callable[[str], None] = lambda words: None,
    show: Callable[[Shown], None] = lambda shown: None,
    relax: Callable[[], None] = lambda: None,
) -> Shown:
    """What the tab in view shows; `show` is given what is ready, while the rest is computed.

    `relax` is called when what is left is a bonus: it may be stopped by whatever is used next.
    """
    return draw_subject(subject_of(state), say, show, relax)


def draw_subject(
    subject: Subject,
    say: Callable[[str], None] = lambda words: None,
    show: Callable[[Shown], None] = lambda shown: None,
    relax: Callable[[], None] = lambda: None,
) -> Shown:
    """The same of a state that is resolved already."""
    state = subject.state
    if page := TABS[state.tab].page:
        return PAGES[page].page(state, say, show, relax)
    panels: list[Panel] = []
    grid, questions, views_made = "", asks(subject), ""
    times = durations(questions)
    slow = len(questions) > 1 and any(times)
    for ask, duration in zip(questions, times, strict=True):
        if slow and panels:
            waiting = [Panel(a.method.title, reason="Computing") for a in questions[len(panels) :]]
            show(_over(subject, [*panels, *waiting]))
        if ask.reason:
            panels.append(Panel(ask.method.title, reason=ask.reason))
            continue
        title = ask.method.title
        say(f"Computing {title}: {duration}" if duration else f"Computing {title}")
        if ask.method.generator:
            views_made = _synthesis(ask, say, show, views_made)
            continue
        answer = run(ask)
        if isinstance(answer.result, Filters):
            return _filters(answer.result, subject)
        if isinstance(answer.result, FeatureMaps):
            number = maps.chosen(answer.result, state)
            panels += maps.panels(answer, answer.result, number, state)
            grid = views.grid(answer.result, _scale(state), number, "channel")
        else:
            panels.append(evidence.panel(answer))
    if views_made:
        return Shown(views_made)
    return _over(subject, panels, grid)


def _synthesis(
    ask: Ask, say: Callable[[str], None], show: Callable[[Shown], None], before: str
) -> str:
    """What is being made, after what was made `before`; if it is stopped, what there is by then."""
    last: list[Answer] = []

    def on_step(answer: Answer) -> None:
        last[:] = [answer]
        show(Shown(before + _view(answer)))

    try:
        answer = run(ask, on_step)
    except Cancelled:
        if not last:
            raise
        result = last[0].result
        notes = (*result.notes, "stopped before its last step")
        return before + _view(replace(last[0], result=replace(result, notes=notes)))
    return before + _view(answer, _places(answer, say))


def _view(answer: Answer, places: Sequence[str] = ()) -> str:
    assert isinstance(answer.result, Synthesis)
    return synthesis.view(answer.method.title, answer.result, answer.seconds, places)


def _places(answer: Answer, say: Callable[[str], None]) -> list[str]:
    """How the activations compare with those of scenes, unless that is not waited for."""
    if answer.method.name != "maximize":
        return []
    assert isinstance(answer.result, Synthesis)
    try:
        say("Comparing with scenes")
        return baseline.places(answer.ask, answer.result)
    except Cancelled:
        return []


def _over(subject: Subject, panels: list[Panel], grid: str = "") -> Shown:
    state, has_grid = subject.state, TABS[subject.state.tab].has_grid
    marker = maps.marker(state) if has_grid or state.of_neuron else None
    shared = state.choices["maps"] == "shared" and not has_grid
    view = over_picture(subject.image, state.image, panels, marker, of=state.model, shared=shared)
    return Shown(view, grid)


def _filters(result: Filters, subject: Subject) -> Shown:
    """The filters of a layer, or the kernels of one; the chosen filter large."""
    state, model = subject.state, subject.model
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
        check_channel(result.layer, chosen, count)
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
