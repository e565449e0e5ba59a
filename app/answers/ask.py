"""Asks: a method, a network, a subject and parameters, resolved once and checked.

The window, the API and the self-test ask by a state; recipes and commands by a call of a recipe.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from featvis import METHODS, Aim, Image, Likeness, Method, VisionModel
from featvis.measures.faithfulness import STEPS
from featvis.measures.sanity import DRAWS, STAGES

from ..machine.broken import failures
from ..machine.limits import allowed_params
from ..question import pictures
from ..question.recipe import Call
from ..question.state import State
from ..question.tabs import TABS
from ..question.text import Opening, method_named, target_named
from ..words import texts
from .prediction import SECONDS
from .subject import Subject, subject_of


@dataclass(frozen=True, eq=False)
class Ask:
    """One method's question to a network."""

    method: Method
    model: VisionModel
    subject: Mapping[str, Any]  # target, layer, channel, position; a state's picture by its name
    params: Mapping[str, Any]  # all parameters of the method, checked
    image: Image | None  # the picture as the network takes it, where the method needs one
    reason: str = ""  # why the question has no answer; "" where it has one
    state: State | None = None  # None: a call of a recipe, which nobody else asks for
    key: Hashable = None  # of the answer: all that it depends on
    origin: Subject | None = None  # the subject of the state

    @cached_property
    def terms(self) -> Mapping[str, Any]:
        """Subject and parameters together."""
        return {**self.subject, **self.params}

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """All arguments of the method but the network: the terms, with the picture itself."""
        if self.image is None:
            return dict(self.terms)
        values = self.image.values.to(self.model.like)
        return {**self.terms, "image": replace(self.image, values=values)}

    @property
    def aim(self) -> Aim:
        """The class or neuron that the maps of the state explain."""
        assert self.origin is not None
        return self.origin.aim

    @cached_property
    def passes(self) -> float:
        """How many forward passes the method takes."""
        return self.method.cost(self.model, self.terms)

    @property
    def seconds(self) -> float:
        """About the seconds until all is there that the state wants to know of the answer.

        By the passes that were timed so far: the first one may come after the question.
        """
        assert self.state is not None
        passes, choices = self.passes, self.state.choices
        if TABS[self.method.family].explains:
            passes *= 1 + (STAGES + DRAWS) * bool(choices["sanity"])
            passes += 2 * (STEPS + 1) * bool(choices["trust"])
        return SECONDS.get(self.state.model, 0.0) * passes


def asks(subject: Subject, methods: Sequence[Method] = ()) -> tuple[Ask, ...]:
    """The questions of methods, each resolved once; by default of those that the tab shows."""
    questions, methods = subject.questions, methods or subject.state.shown_methods
    new = [method for method in methods if method.name not in questions]
    if new:
        questions |= {ask.method.name: ask for ask in _resolve(new, subject)}
    return tuple(questions[method.name] for method in methods)


def ask_of(name: str, state: State) -> Ask:
    """The question of one method by its name."""
    (ask,) = asks(subject_of(state), [method_named(name)])
    return ask


def durations(questions: Sequence[Ask]) -> list[str]:
    """How long each answer will take, if that is long; in words."""
    return texts.durations([0.0 if ask.reason else ask.seconds for ask in questions])


def _resolve(methods: Sequence[Method], subject: Subject) -> Iterator[Ask]:
    state, model = subject.state, subject.model
    reasons = {method.name: _refusal(method, subject) for method in methods} | failures()
    possible = [method for method in methods if not reasons[method.name]]
    subjects, allowed = subject.arguments(possible), allowed_params(possible)
    for method in methods:
        ask = Ask(
            method=method,
            model=model,
            subject={},
            params={},
            image=None,
            reason=reasons[method.name],
            state=state,
            origin=subject,
        )
        if not ask.reason:
            own, bounded = subjects[method.name], replace(method, params=allowed[method.name])
            params = bounded.check(_values(method, state))
            ask = replace(
                ask,
                subject=own,
                params=params,
                image=subject.image if "image" in own else None,
                key=_key(method, state, {**own, **params}),
            )
        yield ask


def _key(method: Method, state: State, terms: dict[str, Any]) -> Hashable:
    """All that an answer depends on; an embedding stands there by its name."""
    if isinstance(terms.get("target"), Likeness):
        terms["target"] = state.target
    return (method.name, state.model, tuple(terms.items()))


def _values(method: Method, state: State) -> dict[str, str]:
    """The parameters of a method that a state sets; its seed is the state's."""
    names = {param.name for param in method.params}
    values = {name: value for name, value in state.params.items() if name in names}
    return {**values, "seed": str(state.seed)} if "seed" in names else values


def _refusal(method: Method, subject: Subject) -> str:
    """Why a method has nothing to show of a subject, in one sentence; "" where it has."""
    of_class = TABS[method.family].explains and "channel" not in method.subject
    if of_class and subject.state.of_neuron:
        return f"{method.title} explains a class and no neuron"
    return method.missing(subject.model) or ""


def ask_of_call(
    call: Call, model: VisionModel, image: Image | None, picture: Opening = pictures.get
) -> Ask:
    """The question of a recipe's call; `picture` opens the picture that a target is to be like."""
    method, subject = METHODS[call.method], dict(call.subject)
    reason = method.missing(model) or ""
    if not reason and image is None and "image" in method.subject:
        reason = f"{method.name} needs a picture: give one with --image"
    if not reason and "target" in subject:
        subject["target"] = target_named(model, subject["target"], picture)
    return Ask(
        method=method,
        model=model,
        subject=subject,
        params=call.params,
        image=image if "image" in method.subject else None,
        reason=reason,
    )
