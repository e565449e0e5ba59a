"""Progress: long work says how far it is, to whoever watches; the watcher stops it by raising."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Seen", "tick", "watched"]

Seen = Callable[[int, int], None]  # done, total
WATCHER: ContextVar[Seen | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(seen: Seen) -> Iterator[None]:
    """Within, in this thread: `seen(done, total)` before each batch of long work."""
    token = WATCHER.set(seen)
    try:
        yield
    finally:
        WATCHER.reset(token)


def tick(done: int, total: int) -> None:
    """Say how far the work is."""
    seen = WATCHER.get()
    if seen is not None:
        seen(done, total)
