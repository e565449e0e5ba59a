"""Events: what is used changes the state; what shows the old one is drawn again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, Any

import gradio as gr

import zoo_adapters

from . import (
    changes,
    choices,
    files,
    health,
    session,
    tabs,
    texts,
    tries,
    views,
    words,
)
from .faults import sentence
from .incoming import picture_name
from .picker import listing
from .serve import served
from .state import State, from_query, start
from .ui_drawing import Drawing
from .ui_words import language_of, spoken
from .widgets import on_use
from .work import Work

if TYPE_CHECKING:
    from .ui import Window

__all__ = ["connect", "save"]

BY_HAND = "(v) => { const by = !!window.featvisHand; window.featvisHand = false; return [v, by]; }"
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class Visit:
    """One open page: its state, changed by one event at a time."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.lock = Lock()
        self.work: Work[Any] | None = None
        self.notice = ""  # what was last said and still stands
        self.language = "en"  # of the page; what is said here is English until it leaves

    def __deepcopy__(self, _: Any) -> Visit:
        return Visit()


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
            w.notice, w.link, w.zoo, w.family, w.model, w.name, w.facts, w.picture, w.examples,
            w.prediction, w.target, w.against, w.layer, w.channel, w.steps, w.tabs,
            *(c for p in w.parts.values() for c in p.shown),
        ]  # fmt: skip
        self._subject()
        for family, part in w.parts.items():
            self._tab(family, part)
        w.zoo.select(self._families, [self.visit, w.zoo], [w.family, w.model, w.notice], **PRIVATE)
        w.family.select(self._members, [w.zoo, w.family], w.model, **PRIVATE)
        w.notice.select(self._cancel, self.visit, None, queue=False, **PRIVATE)
        w.blocks.load(self._open, self.visit, self.outputs, **PRIVATE)

    def _subject(self) -> None:
        w, on = self.w, self._on
        on(w.model.select, changes.set_model, w.model)
        on(w.name.submit, self._named, w.name)
        on(w.found.select, lambda s, data: changes.set_model(s, str(data.get("pick"))))
        asked = [w.name, *w.filters]
        gr.on(
            [w.search.expand, w.name.input, w.name.submit, *(m.select for m in w.filters)],
            self._listed, [self.visit, *asked], w.found, trigger_mode="always_last", **PRIVATE,
        )  # fmt: skip
        # the old picture's removal may still be under way when the new one comes
        on(w.picture.input, _uploaded, w.picture, preprocess=False, trigger_mode="always_last")
        on(w.examples.select, lambda s, data: changes.set_picture(s, str(data.get("pick"))))
        on(w.prediction.select, lambda s, data: changes.set_class(s, str(data.get("pick"))))
        on(w.target.select, changes.set_class, w.target)
        on(w.against.select, changes.set_against, w.against)
        on(w.layer.select, changes.set_layer, w.layer)
        on(w.channel.submit, changes.set_channel, w.channel)
        on(w.back.click, changes.step_channel(-1))
        on(w.next.click, changes.step_channel(1))
        on(w.any.click, changes.step_channel(None))

    def _named(self, state: State, text: str) -> State:
        """The model of a whole name; words alone are looked for and change nothing."""
        return changes.set_model(state, text) if _is_whole(text) else state

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
        change: Callable[..., State],
        component: Any = None,
        by_hand: bool = False,
        **how: Any,
    ) -> None:
        """On `event` the state becomes change(state[, value of the component | event's data]).

        `by_hand`: the value says whether somebody did it; if not, nothing is done or given up.
        """
        takes_data = component is None and len(inspect.signature(change).parameters) > 1

        def of_value(visit: Visit, value: Any) -> Iterator[dict[Any, Any]]:
            if by_hand and not value:  # a page that opens selects its tab by itself
                yield {self.w.notice: gr.skip()}
                return
            yield from spoken(self._used(visit, lambda state: change(state, value)), visit)

        def of_data(visit: Visit, data: gr.EventData) -> Iterator[dict[Any, Any]]:
            given = data._data if isinstance(data._data, dict) else {}
            yield from spoken(self._used(visit, lambda state: change(state, given)), visit)

        def of_nothing(visit: Visit) -> Iterator[dict[Any, Any]]:
            yield from spoken(self._used(visit, change), visit)

        handler = of_value if component is not None else of_data if takes_data else of_nothing
        inputs = [self.visit] if component is None else [self.visit, component]
        event(handler, inputs, self.outputs, **how, **PRIVATE)

    def _open(self, visit: Visit, request: gr.Request) -> Iterator[dict[Any, Any]]:
        """The page as it was opened, in its language."""
        visit.language = language_of(request)
        yield from spoken(self._opened(visit, str(request.query_params)), visit)

    def _opened(self, visit: Visit, query: str) -> Iterator[dict[Any, Any]]:
        """The state of the link that the page was opened with, or what of it can be shown."""
        asked, said = from_query(query), ""
        for state in _simpler(asked):
            for made in self._step(visit, lambda _, state=state: state):
                if said and visit.state is not None:
                    visit.notice = said
                    made |= {self.w.notice: said}
                yield made
            if visit.state is not None:
                return
            said = said or visit.notice

    def _used(self, visit: Visit, change: Callable[[Any], State]) -> Iterator[dict[Any, Any]]:
        """A step from something that was used; before the page was opened, nothing can be."""
        if visit.work is not None:
            visit.work.hurry()
        with visit.lock:  # what is used while the page opens waits until it is there
            opened = visit.state is not None
        if opened:
            yield from self._step(visit, change)
        else:
            yield {self.w.notice: gr.skip()}

    def _step(self, visit: Visit, change: Callable[[Any], State]) -> Iterator[dict[Any, Any]]:
        """The next state and what shows it; a wrong request leaves all as it was."""
        with visit.lock:
            before = visit.state
            work = visit.work = Work(lambda work: self._next(before, change, work))
            said = before is None
            try:  # around the words, too: a page that is closed is closed at one of them
                for told in work.waits():
                    said = True
                    yield {**work.take(), self.w.notice: views.busy(told, work.share, cancel=True)}
                visit.state, made = work.result()
                visit.notice = "" if made else visit.notice
                notice = visit.notice if said or made else gr.skip()
                yield {**work.take(), self.w.notice: notice, **made}
            except Exception as error:
                back = self.drawing.all(before) if before else {}
                back.pop(self.w.name, None)  # what was typed stays, to be corrected
                visit.notice = views.notice(sentence(error))
                yield {**back, self.w.notice: visit.notice}
            finally:
                work.cancel()  # the page may be closed: what it waited for is not wanted any more

    def _cancel(self, visit: Visit) -> None:
        """Stop what is computed for a page, at its next batch."""
        if visit.work is not None:
            visit.work.cancel()

    def _next(
        self, before: State | None, change: Callable[[Any], State], work: Work[Any]
    ) -> tuple[State, dict[Any, Any]]:
        after = change(before)
        if after is before:
            return after, {}
        if after == before:  # what was used shows the state again
            return after, {
                **self.drawing.controls(after),
                self.w.picture: after.image,
            }
        if before is None or before.model != after.model:
            work.say(f"Loading {after.model}")
            session.model_of(after.model, work.progress)
        if before is None or before.image != after.image:
            work.say("Looking at the picture")
        work.show(self.drawing.subject(after, before))
        work.say(f"Computing {after.tab[0].lower()}{after.tab[1:]}")
        part = self.w.parts[after.tab]
        shown = tabs.draw(
            after, work.say, lambda ready: work.show(self.drawing.pieces(part, ready)), work.relax
        )
        return after, self.drawing.results(after, shown)

    def _listed(self, visit: Visit, text: str, where: str, *rest: str) -> str:
        """The networks that fit the words and the filters."""
        return "" if _is_whole(text) else words.html(listing(text, where, *rest), visit.language)

    def _families(self, visit: Visit, zoo: str) -> tuple[Any, Any, str]:
        """The families of a zoo; nothing is loaded yet."""
        try:
            families = zoo_adapters.families(zoo)
        except Exception as error:
            said = words.html(views.notice(sentence(error)), visit.language)
            return gr.skip(), gr.skip(), said
        first = next(iter(families), None)
        members = families[first] if first else ()
        variants = gr.Dropdown(choices.short(members), value=None)
        missing = zoo != "bundled" and health.hub_missing()
        said = views.notice(texts.without_hub(missing)) if missing else ""
        said = words.html(said, visit.language)
        return gr.Dropdown(list(families), value=first), variants, said

    def _members(self, zoo: str, family: str) -> Any:
        return gr.Dropdown(choices.short(zoo_adapters.families(zoo).get(family, ())), value=None)


def _simpler(asked: State) -> Iterator[State]:
    """The state of a link, then what is left of it without its finer choices, then the start."""
    yield asked
    yield asked.but(channel=None, position=None, params=start().params)
    yield asked.but(layer=None, channel=None, position=None, target=None, params=start().params)
    yield start().but(model=asked.model)
    yield start()
    for name in zoo_adapters.names("bundled"):
        yield start().but(model=name)


def _uploaded(state: State, sent: Any) -> State:
    """Of a picture's name, which the upload's route gave.

    Where the picture was only removed, another one is about to come: nothing is drawn over it.
    """
    return changes.set_picture(state, picture_name(sent)) if sent else state


def _is_whole(text: str | None) -> bool:
    """Is it a name with its zoo, and not words to be found?"""
    return ":" in (text or "")


def save(asked: Any) -> dict[str, str]:
    """The address of a file (see FILES) of what a query shows, or why there is none."""
    try:
        state = from_query(str(asked["query"]))
        make = files.FILES.get(str(asked["kind"]), files.picture)
        data, name = Work(lambda _: make(state)).result()
        return {"url": served(data, name), "name": name}
    except Exception as error:
        language = asked.get("lang") if isinstance(asked, dict) else "en"
        return {"error": words.said(sentence(error), str(language or "en"))}
