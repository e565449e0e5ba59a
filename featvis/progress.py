"""Progress: long work says how far it is, to whoever watches; the watcher stops it by raising."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Seen", "pulse", "tick", "watched"]

Seen = Callable[[int, int], None]  # done, total


class _Watch:
    """A watcher, and what it was told last."""

    def __init__(self, seen: Seen) -> None:
        self.seen, self.done, self.total = seen, 0, 1


WATCHER: ContextVar[_Watch | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(seen: Seen) -> Iterator[None]:
    """Within, in this thread: `seen(done, total)` before each batch of long work.

    Within a batch that takes long it is called now and then too, with the same numbers.
    """
    token = WATCHER.set(_Watch(seen))
    try:
        yield
    finally:
        WATCHER.reset(token)


def tick(done: int, total: int) -> None:
    """Say how far the work is."""
    watch = WATCHER.get()
    if watch is not None:
        watch.done, watch.total = done, total
        watch.seen(done, total)


def pulse() -> None:
    """Say that the work is where it was: the watcher may stop it in the middle of a batch."""
    watch = WATCHER.get()
    if watch is not None:
        watch.seen(watch.done, watch.total)
