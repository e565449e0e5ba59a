"""Work in the background: what is watched from a generator while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import Any, Generic, TypeVar

from featvis import WrongRequest
from featvis.progress import watched

from .faults import REQUEST, Cancelled, new_request, sentence
from .kept import holding
from .limits import limits

__all__ = ["Cancelled", "Work"]

V = TypeVar("V")
SOON = 0.3  # seconds until something is said
OFTEN = 0.4  # seconds between two words
WORKERS = ThreadPoolExecutor(16, "featvis")  # kept, as torch keeps its own threads for each of them


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
        self._future = WORKERS.submit(self._run, function)

    def _run(self, function: Callable[[Work[V]], V]) -> V:
        """The function as a job: numbered, in its time, holding the models that it uses."""
        token = REQUEST.set(self.request)
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
            REQUEST.reset(token)

    def _step(self, done: int, total: int) -> None:
        """Before each batch of a method: how far it is."""
        self.check()
        self.share = done / total

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
        wait([self._future], SOON)
        while not self._future.done():
            yield f"{self._words} … {self._time()}".rstrip()
            wait([self._future], OFTEN)

    def _time(self) -> str:
        """Seconds since it was said what is done, and how many are left where that is known."""
        spent = time.monotonic() - self._begin
        if self.share and spent > 1 and 0.02 < self.share < 1:
            return f"about {spent / self.share - spent:.0f} s left"
        return f"{spent:.0f} s" if spent > 1 else ""

    def result(self) -> V:
        """What the function gave, or the error that it raised."""
        return self._future.result()
