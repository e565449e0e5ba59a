"""Work in the background: a page or a caller watches it, and no thread waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from concurrent.futures import wait
from contextlib import suppress
from contextvars import copy_context
from threading import Event, Lock, RLock
from typing import Any, Generic, TypeVar

from featvis import WrongRequest
from featvis.progress import watched

from . import malloc
from .cache import STILL_WANTED, holding
from .errors import REQUEST, Cancelled, new_request, sentence
from .lanes import WAITS
from .limits import limits
from .workers import WORKERS

V = TypeVar("V")
SOON = 0.3  # seconds until something is said
OFTEN = 0.4  # seconds between two words
MORE = 0.1  # seconds in which the rest may come, too
UNFINISHED: set[Work[Any]] = set()  # whatever runs or waits for a thread
SHARED: dict[Hashable, Work[Any]] = {}  # work that several callers wait for, by what they asked
LOCK = RLock()  # on SHARED; a work may end while its own caller still holds it


def under_way() -> int:
    """Count the requests that are worked on."""
    return len(UNFINISHED)


def cancel_all() -> None:
    """Stop all work at its next batch: the server ends."""
    for work in list(UNFINISHED):
        work.cancel()


class Work(Generic[V]):
    """A function run in the background; it is given this object, to say what it is doing."""

    def __init__(self, function: Callable[[Work[V]], V], key: Hashable = None) -> None:
        self.share: float | None = None  # of a download
        self.optional = False  # what is done now may be given up for anything else
        self.is_long = False  # it is or was in the lane of long jobs
        self._shown: dict[Any, Any] = {}
        self._lock = Lock()  # on what is shown, by one thread and taken by another
        self._words, self._begin = "", time.monotonic()
        self._cancelled, self.request = Event(), new_request()
        self._until: float | None = None  # when it has taken as long as it may
        self._ahead, self._since = 0, 0.0  # long jobs that come first, and since when they do
        self._askers, self._key = 1, key  # callers who share it, and what they asked
        self._news = Event()  # something can be shown, or it is done
        self._listeners: list[Callable[[], None]] = []
        context = copy_context()  # whose visit it is
        self._is_built = Event()  # a thread may take it up before it has its ticket
        self._ticket = WORKERS.submit(lambda: context.run(self._run, function))
        self._future = self._ticket.future
        UNFINISHED.add(self)
        if key is not None:
            SHARED[key] = self
        self._future.add_done_callback(lambda _: self._finish())
        self._is_built.set()

    @classmethod
    def shared(cls, key: Hashable, function: Callable[[Work[V]], V]) -> Work[V]:
        """Return the unfinished work for `key`, or begin it; each caller ends with `leave`."""
        with LOCK:
            work = SHARED.get(key)
            if work is not None and not work._future.done() and not work._cancelled.is_set():
                work._askers += 1
                return work
            return cls(function, key)

    def leave(self) -> None:
        """Stop the work, if nobody else waits for it."""
        with LOCK:
            self._askers -= 1
            wanted = self._askers > 0
        if not wanted:
            self.cancel()

    def _run(self, function: Callable[[Work[V]], V]) -> V:
        """The function as a job: numbered, in its time, holding the models that it uses."""
        self._is_built.wait()
        REQUEST.set(self.request)  # in the context of this work alone
        WAITS.set(self._waits)
        STILL_WANTED.set(self._check_wanted)
        most = limits().job_seconds
        self._until = time.monotonic() + most if most else None
        try:
            self._check_wanted()
            with watched(self._step), holding():
                return function(self)
        except (WrongRequest, Cancelled):
            raise
        except Exception as error:
            raise WrongRequest(sentence(error)) from None

    def _finish(self) -> None:
        """Tell whoever waits; after the last work, memory goes back to the system."""
        UNFINISHED.discard(self)
        with LOCK:
            if SHARED.get(self._key) is self:
                del SHARED[self._key]
        self._tell()
        if not UNFINISHED:
            malloc.give_back()

    def _tell(self) -> None:
        self._news.set()
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def _step(self, done: int, total: int) -> None:
        """Before each batch of a method: how far it is."""
        self.check()
        self.share = done / total

    def _waits(self, ahead: int) -> None:
        """Stop the clock while `ahead` long jobs come first."""
        self._check_wanted()
        self.is_long = True
        if ahead and not self._ahead:
            self._since = time.monotonic()
        elif self._ahead and not ahead:
            waited = time.monotonic() - self._since
            self._begin += waited
            self._until = None if self._until is None else self._until + waited
        self._ahead = ahead

    def cancel(self) -> None:
        """Stop at the next batch, or at once if it has not begun."""
        self._cancelled.set()
        WORKERS.withdraw(self._ticket, Cancelled())

    def relax(self) -> None:
        """What is done from now on is a bonus."""
        self.optional = True

    def check(self) -> None:
        """Raise Cancelled, if it is; refuse to go on after the time that a job may take."""
        self._check_wanted()
        if self._until is not None and time.monotonic() > self._until:
            raise WrongRequest(
                f"this took longer than the {limits().job_seconds:g} s that a job may take here; "
                "choose fewer steps or samples, or a smaller network"
            )

    def _check_wanted(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled

    def say(self, words: str) -> None:
        """What is done now."""
        self.check()
        self._words, self.share, self._begin = words, None, time.monotonic()

    def show(self, made: dict[Any, Any]) -> None:
        """What can be shown before all is done, beside what was not taken yet."""
        with self._lock:
            self._shown |= made
        self._tell()

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

    async def follow(self) -> AsyncIterator[str]:
        """Yield words now and then until it is done, none for short work; no thread waits."""
        loop, news, end = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the server has ended
                loop.call_soon_threadsafe(news.set)
                if self._future.done():
                    loop.call_soon_threadsafe(end.set)

        with self._lock:
            self._listeners.append(wake)
        if self._news.is_set():
            wake()
        await _within(SOON, news)
        await _within(MORE, end)
        while not self._future.done():
            yield self._said()
            await _within(OFTEN, end)

    async def answer(self) -> V:
        """Wait for the result; no thread waits."""
        async for _ in self.follow():
            pass
        return self._future.result()

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


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event, at most so long."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
