"""Work in the background: what is watched from a generator while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from threading import Event, Lock
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from featvis import WrongRequest
from featvis.progress import watched

from . import heap
from .faults import REQUEST, Cancelled, new_request, sentence
from .kept import holding
from .lanes import WAITS
from .limits import limits

__all__ = ["WORKS", "Cancelled", "Work", "under_way"]

V = TypeVar("V")
SOON = 0.3  # seconds until something is said
OFTEN = 0.4  # seconds between two words
MORE = 0.1  # seconds in which the rest may come, too
WORKERS = ThreadPoolExecutor(64, "featvis")  # kept, as torch keeps its own threads for each of them
UNDER_WAY: set[str] = set()  # numbers of the requests that are worked on
WORKS: WeakSet[Work[Any]] = WeakSet()  # all that are not forgotten, to be cancelled at the end


def under_way() -> int:
    """How many requests are worked on."""
    return len(UNDER_WAY)


def _rest(_: Any) -> None:
    """After a job: nothing else is worked on, or it is not the last one."""
    if not UNDER_WAY:
        heap.give_back()


class Work(Generic[V]):
    """A function run in the background; it is given this object, to say what it is doing."""

    def __init__(self, function: Callable[[Work[V]], V]) -> None:
        self.share: float | None = None  # of a download
        self.optional = False  # what is done now may be given up for anything else
        self._shown: dict[Any, Any] = {}
        self._lock = Lock()  # on what is shown, by one thread and taken by another
        self._words, self._begin = "", time.monotonic()
        self._cancelled, self.request = Event(), new_request()
        self._until: float | None = None  # when it has taken as long as it may
        self._ahead, self._since = 0, 0.0  # long jobs that come first, and since when they do
        self._news = Event()  # something can be shown, or it is done
        WORKS.add(self)
        self._future = WORKERS.submit(copy_context().run, self._run, function)  # whose visit it is
        self._future.add_done_callback(lambda _: self._news.set())
        self._future.add_done_callback(_rest)

    def _run(self, function: Callable[[Work[V]], V]) -> V:
        """The function as a job: numbered, in its time, holding the models that it uses."""
        token, waits = REQUEST.set(self.request), WAITS.set(self._waits)
        UNDER_WAY.add(self.request)
        most = limits().job_seconds
        self._until = time.monotonic() + most if most else None
        try:
            with watched(self._step), holding():
                return function(self)
        except (WrongRequest, Cancelled):
            raise
        except Exception as error:
            raise WrongRequest(sentence(error)) from None
        finally:
            UNDER_WAY.discard(self.request)
            REQUEST.reset(token)
            WAITS.reset(waits)

    def _step(self, done: int, total: int) -> None:
        """Before each batch of a method: how far it is."""
        self.check()
        self.share = done / total

    def _waits(self, ahead: int) -> None:
        """It waits while so many long jobs come first; that is not time that it takes."""
        if self._cancelled.is_set():
            raise Cancelled
        if ahead and not self._ahead:
            self._since = time.monotonic()
        elif self._ahead and not ahead:
            waited = time.monotonic() - self._since
            self._begin += waited
            self._until = None if self._until is None else self._until + waited
        self._ahead = ahead

    def cancel(self) -> None:
        """Stop at the next batch."""
        self._cancelled.set()

    def relax(self) -> None:
        """What is done from now on is a bonus."""
        self.optional = True

    def hurry(self) -> None:
        """Somebody waits: stop if what is done is only a bonus."""
        if self.optional:
            self.cancel()

    def check(self) -> None:
        """Raise Cancelled, if it is; refuse to go on after the time that a job may take."""
        if self._cancelled.is_set():
            raise Cancelled
        if self._until is not None and time.monotonic() > self._until:
            raise WrongRequest(
                f"this took longer than the {limits().job_seconds:g} s that a job may take here; "
                "choose fewer steps or samples, or a smaller network"
            )

    def say(self, words: str) -> None:
        """What is done now."""
        self.check()
        self._words, self.share, self._begin = words, None, time.monotonic()

    def show(self, made: dict[Any, Any]) -> None:
        """What can be shown before all is done, beside what was not taken yet."""
        with self._lock:
            self._shown |= made
        self._news.set()

    def take(self) -> dict[Any, Any]:
        """What can be shown by now and was not taken yet."""
        with self._lock:
            made, self._shown = self._shown, {}
        return made

    def progress(self, done: int, total: int, _: str) -> None:
        """How far a download is, in bytes."""
        self.check()
        self.share = done / total if total else None
        size = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else f"{done / 1e6:.0f} MB"
        self._words = f"Downloading weights, {size}"

    def waits(self) -> Iterator[str]:
        """Words, now and then until it is done; none for short work."""
        self._news.wait(SOON)
        wait([self._future], MORE)
        while not self._future.done():
            yield self._said()
            wait([self._future], OFTEN)

    def _said(self) -> str:
        if ahead := self._ahead:
            return f"Waiting for {ahead} long {'job' if ahead == 1 else 'jobs'} of others …"
        return f"{self._words} … {self._time()}".rstrip()

    def _time(self) -> str:
        """Seconds since it was said what is done, and how many are left where that is known."""
        spent = time.monotonic() - self._begin
        if self.share and spent > 1 and 0.02 < self.share < 1:
            return f"about {spent / self.share - spent:.0f} s left"
        return f"{spent:.0f} s" if spent > 1 else ""

    def result(self) -> V:
        """What the function gave, or the error that it raised."""
        return self._future.result()
