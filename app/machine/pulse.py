"""Pulse: is a visitor answered? A light question goes the way of theirs, and is timed.

It is a forward pass of the smallest bundled network, by the same workers and in the same lane. Who
asks for it holds no thread: there is one question at a time, and one every few seconds; whoever
asks meanwhile is given the last answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache
from typing import NamedTuple

import torch

import zoo_adapters
from featvis import VisionModel

from .errors import sentence
from .jobs import Work
from .lanes import short_job

FRESH = 3.0  # seconds that an answer is told again
PATIENCE = 5.0  # seconds until there is no answer
LOST = 120.0  # seconds after which a question that was never answered is asked anew


class Answer(NamedTuple):
    """The outcome of the question."""

    seconds: float | None  # until it was answered; None: it was not
    reason: str = ""  # why it was not


class Pulse:
    """Asks the light question, now and then."""

    def __init__(self, question: Callable[[], None] | None = None) -> None:
        self._question = question or look
        self._current: Future[Answer] | None = None
        self._begin, self._last = 0.0, Answer(0.0)
        self._answers = 0

    async def take(self) -> Answer:
        """The answer of now, or that of a moment ago."""
        now = time.monotonic()
        future, since = self._current, now - self._begin
        if future is not None and future.done() and since < FRESH:
            return future.result()
        if future is None or future.done() or since > LOST:
            future = self._ask()
        elif since < PATIENCE and self._answers:  # somebody else waits for this one
            return self._last
        left = self._begin + PATIENCE - time.monotonic()
        if left > 0:
            await asyncio.wait([asyncio.wrap_future(future)], timeout=left)
        if not future.done():
            return Answer(None, f"no answer in {PATIENCE:g} s")
        self._last, self._answers = future.result(), self._answers + 1
        return self._last

    def _ask(self) -> Future[Answer]:
        """Send the question off; its answer is a future that never fails."""
        self._current, self._begin = Future(), time.monotonic()
        future, begin = self._current, self._begin

        def answer(_: Work[None]) -> None:
            try:
                self._question()
                future.set_result(Answer(round(time.monotonic() - begin, 3)))
            except BaseException as error:  # whoever waits must be told
                future.set_result(Answer(None, sentence(error)))

        try:
            Work(answer)
        except Exception as error:  # no more threads, or the server ends
            future.set_result(Answer(None, sentence(error)))
        return future


def look() -> None:
    """One forward pass of the smallest network, as short work is done."""
    model = _network()
    if model is not None:
        with short_job(), torch.no_grad():
            model(model.like.new_full((1, 3, *model.size), 0.5))


@lru_cache(maxsize=1)
def _network() -> VisionModel | None:
    """A copy of its own, as no visitor's network should have to go for it."""
    names = zoo_adapters.names("bundled")
    if not names:
        return None
    return zoo_adapters.load(min(names, key=lambda name: zoo_adapters.describe(name).about or 1e12))


PULSE = Pulse()
