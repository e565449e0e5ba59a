"""Work in the background: what is watched from a generator while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Generic, TypeVar

__all__ = ["Work"]

V = TypeVar("V")
SOON = 0.3  # seconds until something is said
OFTEN = 0.4  # seconds between two words
WORKERS = ThreadPoolExecutor(8, "featvis")  # kept, as torch keeps its own threads for each of them


class Work(Generic[V]):
    """A function run in the background; it is given this object, to say what it is doing."""

    def __init__(self, function: Callable[[Work[V]], V]) -> None:
        self.share: float | None = None  # of a download
        self._shown: dict[Any, Any] = {}
        self._words, self._begin = "", time.monotonic()
        self._future = WORKERS.submit(function, self)

    def say(self, words: str) -> None:
        """What is done now."""
        self._words, self.share = words, None

    def show(self, made: dict[Any, Any]) -> None:
        """What can be shown before all is done."""
        self._shown = made

    def take(self) -> dict[Any, Any]:
        """What can be shown by now and was not taken yet."""
        made, self._shown = self._shown, {}
        return made

    def progress(self, done: int, total: int, _: str) -> None:
        """How far a download is, in bytes."""
        self.share = done / total if total else None
        size = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else f"{done / 1e6:.0f} MB"
        self._words = f"Downloading weights, {size}"

    def waits(self) -> Iterator[str]:
        """Words, now and then until it is done; none for short work."""
        wait([self._future], SOON)
        while not self._future.done():
            seconds = time.monotonic() - self._begin
            yield f"{self._words} … {seconds:.0f} s" if seconds > 1 else f"{self._words} …"
            wait([self._future], OFTEN)

    def result(self) -> V:
        """What the function gave, or the error that it raised."""
        return self._future.result()
