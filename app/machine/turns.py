"""Turns: who may use one of a few things next, in order, one at a time of each visitor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")
EACH = 4  # turns of one visitor that may wait
PATIENCE = 30.0  # seconds that one waits


class Busy(Exception):
    """Too many wait already, or one waited too long."""


@dataclass(eq=False)
class _Turn:
    owner: str  # "" is nobody in particular, who may have several at a time
    runs: bool = False


class Turns(Generic[T]):
    """A few things, each for one at a time."""

    def __init__(self, things: list[T]) -> None:
        self.free, self.turns, self.change = things, list[_Turn](), Condition()

    @contextmanager
    def one(self, owner: str, most: int) -> Iterator[T]:
        """One of the things, when its turn comes; refused where `most` wait already."""
        turn = _Turn(owner)
        with self.change:
            waiting = [other for other in self.turns if not other.runs]
            mine = [other for other in waiting if owner and other.owner == owner]
            if len(waiting) >= most or len(mine) >= EACH:
                raise Busy
            self.turns.append(turn)
            try:
                if not self.change.wait_for(lambda: self._next() is turn, PATIENCE):
                    raise Busy
            except BaseException:
                self._end(turn)
                raise
            turn.runs, thing = True, self.free.pop()
            self.change.notify_all()  # a second thing may be free
        try:
            yield thing
        finally:
            with self.change:
                self.free.append(thing)
                self._end(turn)

    def _next(self) -> _Turn | None:
        """The first that waits and whose visitor uses nothing, if anything is free."""
        if not self.free:
            return None
        using = {turn.owner for turn in self.turns if turn.runs and turn.owner}
        ready = (turn for turn in self.turns if not turn.runs and turn.owner not in using)
        return next(ready, None)

    def _end(self, turn: _Turn) -> None:
        self.turns.remove(turn)
        self.change.notify_all()
