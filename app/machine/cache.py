"""The cache: what is kept in memory for all visitors, bounded, so that it is made once."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock, RLock
from typing import Any, TypeVar

import zoo_adapters
from featvis import VisionModel
from zoo_adapters import Progress
from zoo_adapters.downloads import make_room

from .limits import check_model, limits

V = TypeVar("V")
Number = int | Callable[[], int]
OFTEN = 0.1  # seconds between two looks whether a job still wants the thing that another one makes
# Raises if the job at hand is not wanted any more.
STILL_WANTED: ContextVar[Callable[[], None] | None] = ContextVar("still_wanted", default=None)


class Kept(OrderedDict[Hashable, Any]):
    """The last things made, at most `size` of them; what is asked for twice is made once.

    With `weigh`, at most `budget` of its units in all, but always the last thing, and whatever a
    job that is under way has used (see `holding`).
    """

    def __init__(
        self, size: Number, weigh: Callable[[Any], int] | None = None, budget: Number = 0
    ) -> None:
        super().__init__()
        self.size, self.lock = size, Lock()
        self.weigh, self.budget = weigh, budget
        self.making: dict[Hashable, RLock] = {}
        self.holders: Counter[Hashable] = Counter()  # how many jobs use each

    def get_or(self, key: Hashable, make: Callable[[], V]) -> V:
        """What is kept under `key`, or what `make` gives."""
        with self.lock:
            one = self.making.setdefault(key, RLock())
        with _held(one):
            try:
                made = self[key] if key in self else make()
                with self.lock:
                    self[key] = made
                    self.move_to_end(key)
                    self._hold(key)
                    self._shrink()
            finally:
                with self.lock:
                    self.making.pop(key, None)
        return made  # type: ignore[no-any-return]

    def drop(self, key: Hashable) -> None:
        """Make what is under `key` anew when it is asked for again."""
        with self.lock:
            self.pop(key, None)

    def drop_all(self, is_meant: Callable[[Hashable], bool]) -> None:
        """Make anew whatever is under a key that is meant."""
        with self.lock:
            for key in [key for key in self if is_meant(key)]:
                self.pop(key)

    def free(self) -> None:
        """Let go of all that no job uses."""
        with self.lock:
            for key in [key for key in self if not self.holders[key]]:
                self.pop(key)

    def release(self, key: Hashable) -> None:
        """A job that used `key` is done."""
        with self.lock:
            self.holders[key] -= 1
            if self.holders[key] <= 0:
                del self.holders[key]
            self._shrink()

    def _hold(self, key: Hashable) -> None:
        held = HELD.get()
        if self.weigh is not None and held is not None and (self, key) not in held:
            held.append((self, key))
            self.holders[key] += 1

    def _shrink(self) -> None:
        """Drop the oldest things until they fit; never the last one, nor one in use."""
        for key in list(self)[:-1]:
            if not self._over():
                return
            if not self.holders[key]:
                self.pop(key)

    def _over(self) -> bool:
        """Are they too many, or more than the budget?"""
        size = self.size if isinstance(self.size, int) else self.size()
        if len(self) > size or self.weigh is None:
            return len(self) > size
        budget = self.budget if isinstance(self.budget, int) else self.budget()
        return sum(map(self.weigh, self.values())) > budget

    __hash__ = object.__hash__  # one of a kind, though it is a dictionary
    __eq__ = object.__eq__


@contextmanager
def _held(lock: RLock) -> Iterator[None]:
    """Hold a lock; a job that is not wanted any more stops waiting for it."""
    check = STILL_WANTED.get()
    while not lock.acquire(timeout=OFTEN):
        if check is not None:
            check()
    try:
        yield
    finally:
        lock.release()


HELD: ContextVar[list[tuple[Kept, Hashable]] | None] = ContextVar("held", default=None)


@contextmanager
def holding() -> Iterator[None]:
    """Within, in this thread: what has a weight and is used stays, until the end."""
    held: list[tuple[Kept, Hashable]] = []
    token = HELD.set(held)
    try:
        yield
    finally:
        HELD.reset(token)
        for kept, key in held:
            kept.release(key)


MODELS = Kept(
    lambda: limits().models or 10**6,
    lambda model: 4 * model.parameters,
    lambda: int(1e9 * limits().model_memory) or 10**15,
)
IMAGES, PASSES, RESULTS = Kept(24), Kept(24), Kept(96)
ON_THE_WAY = Kept(8)  # steps of the last pictures made
OF_PICTURES = (IMAGES, PASSES, RESULTS, ON_THE_WAY)  # their keys hold a picture's name


def model_of(name: str, progress: Progress | None = None) -> VisionModel:
    """The model of that name, loaded once, if it may be loaded here."""

    def load() -> VisionModel:
        check_model(name)
        model = zoo_adapters.load(name, progress=progress)
        if limits().downloads_gb and not name.startswith("bundled:"):
            make_room(1e9 * limits().downloads_gb)
        return model

    return MODELS.get_or(name, load)


def free() -> None:
    """Let go of all that no job uses."""
    for store in (IMAGES, PASSES, RESULTS, MODELS):
        store.free()


def forget(name: str) -> None:
    """Drop all that was computed from an upload that is deleted."""
    for store in OF_PICTURES:
        store.drop_all(lambda key: name in repr(key))


# Told the name of an upload that is deleted.
ON_DELETE: list[Callable[[str], None]] = [forget]
