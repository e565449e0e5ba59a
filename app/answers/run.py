"""Run: the one way to a method's answer.

A question by a state is bounded, waits for its turn, and is answered once for all who ask it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

import featvis
from featvis import Method, WrongRequest
from featvis.methods.cam import cam_of
from featvis.network.head import Evidence
from featvis.types import Result

from ..machine import engine, lanes
from ..machine.cache import RESULTS
from ..machine.lanes import long_job, short_job
from ..machine.limits import check_job
from ..question.state import State
from .animation import FRAMES, followed
from .ask import Ask
from .prediction import SECONDS, evidence_of

V = TypeVar("V")
PASS = 0.01  # seconds of a forward pass of a network of which none was timed


@dataclass(frozen=True, eq=False)
class Answer:
    """The result of a question, and the seconds it took."""

    ask: Ask
    result: Result
    seconds: float

    @property
    def method(self) -> Method:
        """The method that was asked."""
        return self.ask.method


def run(ask: Ask, on_step: Callable[[Answer], object] | None = None) -> Answer:
    """The answer to a question; one that has none is refused in one sentence.

    `on_step` gets the results on the way of a method that goes on for long: all of a recipe's,
    and now and then one of a state's.
    """
    if ask.reason:
        raise WrongRequest(ask.reason)
    if ask.state is None:
        return _steps(ask, on_step)
    check_job(ask.method, ask.model, ask.terms, ask.seconds)

    def compute() -> tuple[Result, float]:
        answer = _explain_prediction(ask) or _compute(ask, on_step)
        return answer.result, answer.seconds  # without the network, which would be kept with it

    in_lane = ask.method.generator or _is_long(ask.state, ask.passes)
    result, seconds = RESULTS.get_or(ask.key, lambda: long_job(compute) if in_lane else compute())
    return Answer(ask, result, seconds)


def cached(key: Hashable, state: State, compute: Callable[[], V], passes: float = 1) -> V:
    """The value kept under `key`; `compute` makes it, which takes so many forward passes."""
    in_lane = _is_long(state, passes)
    return RESULTS.get_or(key, lambda: long_job(compute) if in_lane else compute())


def _is_long(state: State, passes: float) -> bool:
    """Do so many forward passes take so long that they wait for their turn?"""
    return SECONDS.get(state.model, PASS) * passes > lanes.LONG


def _explain_prediction(ask: Ask) -> Answer | None:
    """The class activation map of the very pass that predicted, where that is the question."""
    if ask.method.run is not featvis.cam or ask.state is None:
        return None
    evidence, begin = evidence_of(ask.state, ask.model), time.perf_counter()
    if not isinstance(evidence, Evidence):
        return None
    result = cam_of(ask.model, evidence, ask.subject["target"])
    return Answer(ask, result, time.perf_counter() - begin)


def _compute(ask: Ask, on_step: Callable[[Answer], object] | None) -> Answer:
    """The answer to the question of a state, in its turn."""
    begin = time.perf_counter()

    def show(result: Result) -> None:
        if on_step is not None:
            on_step(Answer(ask, result, time.perf_counter() - begin))

    arguments = dict(ask.arguments)
    if ask.image is not None:  # a GPU is sent pixels alone
        arguments["image"] = arguments["image"].values
    with short_job():
        if ask.method.generator:
            arguments["frames"] = FRAMES
        steps = engine.results(ask.method, ask.model, arguments, ask.seconds)
        if ask.method.generator:
            result = followed(steps, ask.key, show)
        else:
            (result,) = steps
    return Answer(ask, result, time.perf_counter() - begin)


def _steps(ask: Ask, on_step: Callable[[Answer], object] | None) -> Answer:
    """The answer to a recipe's call, with each of its steps."""
    begin = time.perf_counter()
    for result in engine.results(ask.method, ask.model, ask.arguments, 0.0):
        answer = Answer(ask, result, time.perf_counter() - begin)
        if on_step is not None and ask.method.generator:
            on_step(answer)
    return answer
