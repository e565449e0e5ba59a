"""Kept: the last things made, so that what is asked for twice is made once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock, RLock
from typing import Any, TypeVar

__all__ = ["Kept"]

V = TypeVar("V")


class Kept(OrderedDict[Hashable, Any]):
    """The last things made, at most `size` of them; what is asked for twice is made once.

    With `weigh`, at most `budget` of its units in all, but always the last thing. What somebody
    still uses lives on until they let go of it.
    """

    def __init__(
        self, size: int, weigh: Callable[[Any], int] | None = None, budget: int = 0
    ) -> None:
        super().__init__()
        self.size, self.lock = size, Lock()
        self.weigh, self.budget = weigh, budget
        self.making: dict[Hashable, RLock] = {}

    def get_or(self, key: Hashable, make: Callable[[], V]) -> V:
        """What is kept under `key`, or what `make` gives."""
        with self.lock:
            one = self.making.setdefault(key, RLock())
        with one:
            try:
                made = self[key] if key in self else make()
                with self.lock:
                    self[key] = made
                    self.move_to_end(key)
                    while len(self) > self.size or (len(self) > 1 and self._over()):
                        self.popitem(last=False)
            finally:
                with self.lock:
                    self.making.pop(key, None)
        return made  # type: ignore[no-any-return]

    def drop(self, key: Hashable) -> None:
        """Make what is under `key` anew when it is asked for again."""
        with self.lock:
            self.pop(key, None)

    def _over(self) -> bool:
        """Is it more than the budget?"""
        return self.weigh is not None and sum(map(self.weigh, self.values())) > self.budget
