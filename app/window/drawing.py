"""Drawing: a state -> the values of the components that show it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import gradio as gr

import zoo_adapters
from featvis import Contrast

from ..answers.subject import Subject, subject_of
from ..machine.jobs import Work
from ..pages import choices, tabs, views
from ..pages.shown import Shown
from ..question import pictures
from ..question.incoming import picture_url
from ..question.state import State, to_query
from ..question.tabs import TABS
from ..question.title import title
from .layout import Window


class Drawing:
    """What a window's components show of a state."""

    def __init__(self, window: Window) -> None:
        self.w = window

    def all(self, state: State) -> dict[Any, Any]:
        """All that shows `state`."""
        subject = subject_of(state)
        shown = tabs.draw_subject(subject)
        return {**self.subject(subject, None), **self.results(state, shown)}

    def subject(self, subject: Subject, before: State | None) -> dict[Any, Any]:
        """What is on the left, and the address, as far as it did not show them `before`."""
        w, state, model = self.w, subject.state, subject.model
        made = self.controls(subject)
        made[w.prediction] = views.prediction(model, subject.logits, subject.target)
        made[w.link] = f"{to_query(state)}&{urlencode({'title': title(state)})}"
        made |= self._targets(subject, anew=before is None or before.model != state.model)
        if before is None or before.model != state.model:
            made |= self._of_model(subject)
        if before is None or before.image != state.image:
            pictures.get(state.image)  # or it is said that it is gone
            made[w.picture] = picture_url(state.image)
            made[w.upload] = choices.upload(state.image)
            made[w.examples] = choices.examples(state.image)
        if before is None:
            made[w.tabs] = gr.Tabs(selected=state.tab)
        return made

    def compute(self, subject: Subject, work: Work[Any]) -> dict[Any, Any]:
        """Compute the tab in view; its pieces can be shown as they come."""
        state = subject.state
        work.say(f"Computing {state.tab[0].lower()}{state.tab[1:]}")
        part = self.w.parts[state.tab]
        shown = tabs.draw_subject(
            subject, work.say, lambda ready: work.show(self.pieces(part, ready)), work.relax
        )
        return self.results(state, shown)

    def results(self, state: State, shown: Shown) -> dict[Any, Any]:
        """What stands in the tab in view."""
        return self.pieces(self.w.parts[state.tab], shown)

    def pieces(self, part: Any, shown: Shown) -> dict[Any, Any]:
        """What stands in a tab."""
        return {part.view: shown.view} | ({} if part.grid is None else {part.grid: shown.grid})

    def controls(self, subject: Subject) -> dict[Any, Any]:
        """The values of what is set, as they are in the state."""
        w, state = self.w, subject.state
        part = w.parts[state.tab]
        made: dict[Any, Any] = {w.channel: state.channel, w.model: state.model}
        made[w.layer] = gr.Dropdown(choices.layers(subject), value=state.layer or "")
        made[w.steps] = gr.Row(visible=not TABS[state.tab].explains or state.of_neuron)
        if part.methods is not None:
            chosen = [method.name for method in state.shown_methods]
            made[part.methods] = gr.CheckboxGroup(
                choices.chips(subject), value=chosen, visible=state.has_methods
            )
        if part.others is not None:
            made[part.others] = list(state.others)
        used = state.used_params
        for name, control in part.controls.items():
            value = {"value": state.params[name]} if name in state.params else {}
            made[control] = gr.update(visible=name in used, **value)
        return made

    def _targets(self, subject: Subject, *, anew: bool) -> dict[Any, Any]:
        """The lists of what is explained; the choices of another model `anew`."""
        w, model, target = self.w, subject.model, subject.target
        of, against = subject.state.target or "", ""
        if isinstance(target, Contrast):
            of, against = str(target.of), str(target.against)
        made: dict[Any, dict[str, Any]] = {
            w.target: {"value": of, "label": model.output.prompt},
            w.against: {"value": against, "visible": model.output.contrasts},
        }
        if anew:
            offered = choices.targets(model)
            made[w.target]["choices"] = offered
            made[w.against]["choices"] = [("nothing else", ""), *offered[1:]]
        return {component: gr.update(**changed) for component, changed in made.items()}

    def _of_model(self, subject: Subject) -> dict[Any, Any]:
        w, state, model = self.w, subject.state, subject.model
        zoo = state.model.partition(":")[0]
        families = zoo_adapters.families(zoo)
        family = next((f for f, members in families.items() if state.model in members), None)
        members = families.get(family or "", (state.model,))
        return {
            w.name: "",
            w.facts: views.facts(model, zoo_adapters.describe(state.model)),
            w.zoo: zoo,
            w.family: gr.Dropdown(list(families), value=family),
            w.model: gr.Dropdown(choices.short(members), value=state.model),
        }
