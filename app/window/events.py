"""Events: what is used changes the state; what shows the old one is drawn again."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import gradio as gr

from ..answers.subject import subject_of
from ..machine import disk, values
from ..machine.cache import model_of
from ..machine.callers import address_of, asked_by
from ..machine.errors import sentence
from ..machine.jobs import Work
from ..pages import tries, views
from ..question import pictures
from ..question.incoming import picture_name, picture_url
from ..question.state import State, from_query
from . import changes, lists
from .drawing import Drawing
from .language import language_of, spoken
from .layout import Window
from .visit import Change, Updates, Visit, simpler_states, state_after
from .widgets import on_use

LOG = logging.getLogger("featvis")
BY_HAND = "(v) => { const by = !!window.featvisHand; window.featvisHand = false; return [v, by]; }"
# Of one control used twice the second use counts, too: the first one gives way to it. What a page
# sends is checked by the changes alone: Gradio's own checks end in a traceback and in no sentence.
PRIVATE: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "preprocess": False,
}
LAST = {**PRIVATE, "trigger_mode": "always_last"}


def connect(window: Window) -> None:
    """Wire all components."""
    Events(window)


class Events:
    """The handlers: each is a change of the state, and a drawing of what has changed."""

    def __init__(self, window: Window) -> None:
        self.w = w = window
        self.drawing = Drawing(window)
        self.visit = gr.State(Visit())
        self.outputs = [
            w.notice, w.link, w.zoo, w.family, w.model, w.name, w.facts, w.picture, w.upload,
            w.examples, w.prediction, w.target, w.against, w.layer, w.channel, w.steps, w.tabs,
            *(c for p in w.parts.values() for c in p.shown),
        ]  # fmt: skip
        self._subject()
        for family, part in w.parts.items():
            self._tab(family, part)
        w.zoo.select(lists.families, [self.visit, w.zoo], [w.family, w.model, w.notice], **PRIVATE)
        w.family.select(lists.members, [w.zoo, w.family], w.model, **PRIVATE)
        w.notice.select(self._cancel, self.visit, None, queue=False, **PRIVATE)
        w.blocks.load(self._open, self.visit, self.outputs, **PRIVATE)

    def _subject(self) -> None:
        w, on = self.w, self._on
        on(w.model.select, changes.set_model, w.model)
        on(w.name.submit, self._named, w.name)
        on(w.found.select, lambda s, data: changes.set_model(s, values.pick(data)))
        asked = [w.name, *w.filters]
        gr.on(
            [w.search.expand, w.name.input, w.name.submit, *(m.select for m in w.filters)],
            lists.networks, [self.visit, *asked], w.found, **LAST,
        )  # fmt: skip
        on(w.picture.input, _uploaded, w.picture)
        on(w.upload.select, changes.delete_upload)
        on(w.examples.select, lambda s, data: changes.set_picture(s, values.pick(data)))
        on(w.prediction.select, lambda s, data: changes.set_class(s, values.pick(data)))
        on(w.target.select, changes.set_class, w.target)
        on(w.against.select, changes.set_against, w.against)
        on(w.layer.select, changes.set_layer, w.layer)
        on(w.channel.submit, changes.set_channel, w.channel)
        on(w.back.click, changes.step_channel(-1))
        on(w.next.click, changes.step_channel(1))
        on(w.any.click, changes.step_channel(None))

    def _named(self, state: State, text: str) -> State:
        """The model of a whole name; words alone are looked for and change nothing."""
        return changes.set_model(state, text) if lists.is_whole(text) else state

    def _tab(self, family: str, part: Any) -> None:
        self._on(
            part.tab.select,
            lambda s, _: changes.set_tab(s, family),
            self.w.touched,
            by_hand=True,
            js=BY_HAND,
        )
        self._on(part.lead.select, lambda s, data: tries.tried(family, s, data))
        self._on(part.view.select, changes.set_shown)
        if part.others is not None:
            self._on(part.others.input, changes.set_others, part.others)
        if part.grid is not None:
            self._on(part.grid.select, changes.set_tile)
        if part.methods is not None:
            self._on(part.methods.input, changes.set_methods, part.methods)
        for name, control in part.controls.items():
            self._on(on_use(control), changes.set_param(name), control)

    def _on(
        self,
        event: Any,
        change: Change,
        component: Any = None,
        by_hand: bool = False,
        **how: Any,
    ) -> None:
        """On `event` the state becomes change(state[, value of the component | event's data]).

        `by_hand`: the value says whether somebody did it; if not, nothing is done or given up.
        """
        takes_data = component is None and len(inspect.signature(change).parameters) > 1

        async def of_value(visit: Visit, value: Any, request: gr.Request) -> Updates:
            if by_hand and not value:  # a page that opens selects its tab by itself
                yield {self.w.notice: gr.skip()}
                return
            async for update in self._used(visit, lambda state: change(state, value), request):
                yield update

        async def of_data(visit: Visit, data: gr.EventData, request: gr.Request) -> Updates:
            picked = data._data if isinstance(data._data, dict) else {}
            async for update in self._used(visit, lambda state: change(state, picked), request):
                yield update

        async def of_nothing(visit: Visit, request: gr.Request) -> Updates:
            async for update in self._used(visit, change, request):
                yield update

        handler = of_value if component is not None else of_data if takes_data else of_nothing
        inputs = [self.visit] if component is None else [self.visit, component]
        event(handler, inputs, self.outputs, **how, **PRIVATE)

    async def _open(self, visit: Visit, request: gr.Request) -> Updates:
        """The page as it was opened, in its language."""
        visit.language = language_of(request)
        async for update in self._opened(visit, str(request.query_params), request):
            yield update

    async def _opened(
        self, visit: Visit, query: str, request: Any = None, change: Change | None = None
    ) -> Updates:
        """The state of a page's link, or a simpler one that can be shown; then a change of it."""
        link, notice = from_query(query), ""
        # something may be used while the page still opens
        visit.query, visit.state, visit.controls, visit.results = query, link, None, None
        for state in simpler_states(link):

            def opening(_: Any, state: State = state) -> State:
                return change(state) if change is not None else state

            async for update in self._step(visit, opening, request):
                if notice and visit.controls is not None:
                    visit.notice = notice
                    update |= spoken({self.w.notice: notice}, visit.language)
                yield update
            if visit.controls is not None or visit.work is not None:
                return
            notice = notice or visit.notice

    async def _used(self, visit: Visit, change: Change, request: Any = None) -> Updates:
        """A step from something that was used.

        A page whose visit is not in memory any more begins again from its address.
        """
        if visit.state is not None:
            async for update in self._step(visit, change, request):
                yield update
            if visit.controls is not None or visit.work is not None:
                return
            query = visit.query  # its link cannot be shown: a simpler one can
        else:
            query = address_of(request)
            visit.language = language_of(request, query)
        async for update in self._opened(visit, query, request, change):
            yield update

    async def _step(self, visit: Visit, change: Change, request: Any = None) -> Updates:
        """The next state and what shows it; a wrong request leaves all as it was.

        Once something else is used, the page waits for that, and this ends in silence.
        """
        base, earlier = visit.state, tuple(visit.pending)
        controls, results = visit.controls, visit.results
        work: Work[Any] | None = None
        try:
            with asked_by(request):
                work = Work(
                    lambda work: self._next(
                        state_after(base, earlier, change), controls, results, work
                    )
                )
            visit.begin(work, change)
            async for update in self._watch(visit, work, controls is None):
                yield update
        except Exception as error:
            if work is None:  # the page goes on with the work before
                yield spoken({self.w.notice: views.notice(sentence(error))}, visit.language)
            elif visit.leave(work):
                yield await self._back(visit, controls, error, request)
        finally:
            if work is not None and visit.leave(work):
                work.cancel()  # the page may be closed: nobody waits for it any more

    async def _watch(self, visit: Visit, work: Work[Any], is_first: bool) -> Updates:
        """Follow a work until it is done or left: its pieces, and how far it is."""
        has_spoken = is_first
        async for doing in work.follow():
            if visit.work is not work:
                break
            if work.is_long:
                visit.end_parked()
            has_spoken = True
            busy = views.busy(doing, work.share, cancel=True)
            yield self._update(visit, work, {self.w.notice: busy})
        if visit.work is not work:  # the page went on, and must not be sent what it left
            yield {self.w.notice: gr.skip()}
            return
        state, pieces = work.result()
        visit.notice = "" if pieces else visit.notice
        notice = visit.notice if has_spoken or pieces else gr.skip()
        update = self._update(visit, work, {self.w.notice: notice, **pieces})
        visit.commit(state)
        visit.results = state
        yield update

    def _update(self, visit: Visit, work: Work[Any], pieces: dict[Any, Any]) -> dict[Any, Any]:
        """The pieces and whatever else can be shown by now, in the language of the page."""
        ready = work.take()
        if state := ready.pop(self.visit, None):  # its controls are there, and may be used now
            visit.commit(state)
        return spoken({**ready, **pieces}, visit.language)

    async def _back(self, visit: Visit, state: Any, error: Exception, request: Any) -> Any:
        """The page as it was before a request that cannot be answered, and the reason."""
        pieces: dict[Any, Any] = {}
        visit.state = visit.controls = state
        visit.pending.clear()
        if state is not None:
            try:
                with asked_by(request):
                    work = Work(lambda _: self.drawing.all(state))
                pieces = await work.answer()
            except Exception as second:  # its picture is deleted, say: it stays as it is drawn
                LOG.info("the last state cannot be drawn again: %s", sentence(second))
            pieces.pop(self.w.name, None)  # the words typed there stay, to be corrected
            if visit.work is not None or visit.state is not state:
                return {self.w.notice: gr.skip()}  # the page went on meanwhile
            visit.results = state
        visit.notice = views.notice(sentence(error))
        return spoken({**pieces, self.w.notice: visit.notice}, visit.language)

    def _cancel(self, visit: Visit) -> None:
        """Stop what is computed for a page, at its next batch."""
        if visit.work is not None:
            visit.work.cancel()

    def _next(
        self, after: State, controls: State | None, results: State | None, work: Work[Any]
    ) -> tuple[State, dict[Any, Any]]:
        """A state, and what shows it on a page with the controls and the results of these two.

        A page that left the work on a state has its controls, but the results of an older one.
        """
        disk.GROUP.set(pictures.group(after.image))  # its files are deleted with it
        if controls is None or controls.model != after.model:
            work.say(f"Loading {after.model}")
            model_of(after.model, work.progress)
        if controls is None or controls.image != after.image:
            work.say("Looking at the picture")
        subject, drawing = subject_of(after), self.drawing
        if after != controls:
            work.show({**drawing.subject(subject, controls), self.visit: after})
            return after, drawing.compute(subject, work)
        pieces: dict[Any, Any] = {}
        if after is not controls:  # the control that was used shows the state again
            pieces = {**drawing.controls(subject), self.w.picture: picture_url(after.image)}
        if results != controls:
            pieces |= drawing.compute(subject, work)
        return after, pieces


def _uploaded(state: State, name: Any) -> State:
    """The state with an upload, which the gate has kept under this name.

    When the picture was only removed, another one is about to come: nothing is results over it.
    """
    return changes.set_upload(state, picture_name(name)) if name else state
