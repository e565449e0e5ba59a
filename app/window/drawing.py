"""Drawing: a state -> the values of the components that show it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import gradio as gr

import zoo_adapters

from ..answers import session
from ..machine.jobs import Work
from ..pages import choices, tabs, views
from ..pages.shown import Shown
from ..question import pictures
from ..question.incoming import picture_url
from ..question.state import State, to_query
from ..question.tabs import TABS
from ..question.title import title
from . import changes
from .layout import Window

__all__ = ["Drawing"]


class Drawing:
    """What a window's components show of a state."""

    def __init__(self, window: Window) -> None:
        self.w = window

    def all(self, state: State) -> dict[Any, Any]:
        """All that shows `state`."""
        return {**self.subject(state, None), **self.results(state, tabs.draw(state))}

    def subject(self, state: State, before: State | None) -> dict[Any, Any]:
        """What is on the left, and the address, as far as it did not show them `before`."""
        w, model = self.w, session.model_of(state.model)
        made = self.controls(state)
        explained = changes.explained_class(state)
        made[w.prediction] = views.prediction(model, session.logits_of(state), explained)
        made[w.link] = f"{to_query(state)}&{urlencode({'title': title(state)})}"
        made |= self._targets(state, anew=before is None or before.model != state.model)
        if before is None or before.model != state.model:
            made |= self._of_model(state)
        if before is None or before.image != state.image:
            pictures.get(state.image)  # or it is said that it is gone
            made[w.picture] = picture_url(state.image)
            made[w.upload] = choices.upload(state.image)
            made[w.examples] = choices.examples(state.image)
        if before is None:
            made[w.tabs] = gr.Tabs(selected=state.tab)
        return made

    def compute(self, state: State, work: Work[Any]) -> dict[Any, Any]:
        """Compute the tab in view; its pieces can be shown as they come."""
        work.say(f"Computing {state.tab[0].lower()}{state.tab[1:]}")
        part = self.w.parts[state.tab]
        shown = tabs.draw(
            state, work.say, lambda ready: work.show(self.pieces(part, ready)), work.relax
        )
        return self.results(state, shown)

    def results(self, state: State, shown: Shown) -> dict[Any, Any]:
        """What stands in the tab in view."""
        return self.pieces(self.w.parts[state.tab], shown)

    def pieces(self, part: Any, shown: Shown) -> dict[Any, Any]:
        """What stands in a tab."""
        return {part.view: shown.view} | ({} if part.grid is None else {part.grid: shown.grid})

    def controls(self, state: State) -> dict[Any, Any]:
        """The values of what is set, as they are in the state."""
        w, model = self.w, session.model_of(state.model)
        part = w.parts[state.tab]
        made: dict[Any, Any] = {w.channel: state.channel, w.model: state.model}
        made[w.layer] = gr.Dropdown(choices.layers(state, model), value=state.layer or "")
        made[w.steps] = gr.Row(visible=not TABS[state.tab].explains or state.of_neuron)
        if part.methods is not None:
            chosen = [method.name for method in state.shown_methods]
            made[part.methods] = gr.CheckboxGroup(
                choices.chips(state), value=chosen, visible=state.has_methods
            )
        if part.others is not None:
            made[part.others] = list(state.others)
        used = state.used_params
        for name, control in part.controls.items():
            value = {"value": state.params[name]} if name in state.params else {}
            made[control] = gr.update(visible=name in used, **value)
        return made

    def _targets(self, state: State, *, anew: bool) -> dict[Any, Any]:
        """The lists of what is explained; the choices of another model `anew`."""
        w, model = self.w, session.model_of(state.model)
        text = state.target or ""
        of, against = (text, "") if model.embeds else text.partition("-")[::2]
        label = "Explain" if model.embeds else "Another class"
        made = {w.target: {"value": of, "label": label}}
        made[w.against] = {"value": against, "visible": not model.embeds}
        if anew:
            found = choices.targets(model, len(session.logits_of(state)))
            made[w.target]["choices"] = found
            made[w.against]["choices"] = [("nothing else", ""), *found[1:]]
        return {component: gr.update(**changed) for component, changed in made.items()}

    def _of_model(self, state: State) -> dict[Any, Any]:
        w, model = self.w, session.model_of(state.model)
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
