"""Work in the background: what is watched from a generator while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ["Work"]

V = TypeVar("V")
SOON = 0.3  # seconds until something is said
OFTEN = 0.4  # seconds between two words


class Work(Generic[V]):
    """A function run in a thread; `tell` is what it may call with (done, total, what)."""

    def __init__(self, function: Callable[[Callable[[int, int, str], None]], V]) -> None:
        self.share: float | None = None
        self.seconds = 0.0
        self._made: V | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(function,), daemon=True)
        self._thread.start()

    def waits(self) -> Iterator[None]:
        """Yields now and then until it is done; never for short work."""
        begin = time.monotonic()
        self._thread.join(SOON)
        while self._thread.is_alive():
            self.seconds = time.monotonic() - begin
            yield
            self._thread.join(OFTEN)

    def result(self) -> V:
        """What the function gave, or the error that it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._made  # type: ignore[return-value]

    def _run(self, function: Callable[[Callable[[int, int, str], None]], V]) -> None:
        try:
            self._made = function(self._tell)
        except BaseException as error:  # raised again where the result is asked for
            self._error = error

    def _tell(self, done: int, total: int, _: Any) -> None:
        self.share = done / total if total else None
