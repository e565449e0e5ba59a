"""Worker threads, shared fairly: owners take turns, and none can hold what the others need.

An owner is the address that a request came from. Each may have a few jobs that run and some more
that wait; one that is in the long lane (lanes.py) counts as waiting, since it holds no processor.
"""

from __future__ import annotations

import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any

from featvis import WrongRequest

from .disk_store import OWNER
from .limits import limits

THREADS = 64  # kept alive, because torch keeps its own threads for each of them
Job = Callable[[], Any]


class Rotation:
    """Queues of several owners, emptied in turn: one entry of each, then the next one of each."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[Any]] = OrderedDict()

    def add(self, owner: str, entry: Any) -> None:
        """Append an entry to the queue of its owner."""
        self._queues.setdefault(owner, deque()).append(entry)

    def count(self, owner: str) -> int:
        """Count the entries of an owner."""
        return len(self._queues.get(owner, ()))

    def remove(self, owner: str, entry: Any) -> bool:
        """Remove an entry that waits; was it still there?"""
        queue = self._queues.get(owner)
        if queue is None or entry not in queue:
            return False
        queue.remove(entry)
        if not queue:
            del self._queues[owner]
        return True

    def take(self, allowed: Callable[[str], bool] = lambda owner: True) -> tuple[str, Any] | None:
        """Remove the next entry of the first owner that is allowed one; None if there is none."""
        for owner in self._queues:
            if allowed(owner):
                queue = self._queues.pop(owner)
                entry = queue.popleft()
                if queue:
                    self._queues[owner] = queue  # behind all others
                return owner, entry
        return None


class Slots:
    """A lock that `count` threads can hold at a time; owners who wait for it take turns."""

    def __init__(self, count: int) -> None:
        self._free, self._lock, self._waiting = count, Lock(), Rotation()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold one of the places, once it is the owner's turn."""
        place = Event()
        with self._lock:
            if self._free:
                self._free -= 1
                place.set()
            else:
                self._waiting.add(OWNER.get(), place)
        place.wait()
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        with self._lock:
            following = self._waiting.take()
            if following is None:
                self._free += 1
            else:
                following[1].set()


@dataclass(eq=False)
class Ticket:
    """A job, its owner, and the future of its result."""

    owner: str
    job: Job
    future: Future[Any]


class Workers:
    """A pool of threads in which each owner runs at most `limits().running` jobs at a time."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "featvis")
        self._threads, self._busy = threads, 0
        self._lock, self._waiting = Lock(), Rotation()
        self._running: Counter[str] = Counter()  # without those in the long lane
        self._unfinished: Counter[str] = Counter()

    def submit(self, job: Job) -> Ticket:
        """Run a job when it is its owner's turn; refuse it if the owner has too many already."""
        ticket = Ticket(OWNER.get(), job, Future())
        with self._lock:
            most = limits().at_once
            if ticket.owner and self._unfinished[ticket.owner] >= most > 0:
                raise WrongRequest(
                    f"{most} of your requests are being worked on already; wait until one of "
                    "them is done"
                )
            self._unfinished[ticket.owner] += 1
            self._waiting.add(ticket.owner, ticket)
        self._dispatch()
        return ticket

    def withdraw(self, ticket: Ticket, reason: BaseException) -> None:
        """End a job that still waits for its turn, for a reason."""
        with self._lock:
            if not self._waiting.remove(ticket.owner, ticket):
                return
            self._unfinished[ticket.owner] -= 1
            self._forget_idle(ticket.owner)
        ticket.future.set_exception(reason)

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Let another job of the same owner run, while this one waits for something else."""
        owner = OWNER.get()
        self._count(owner, -1)
        self._dispatch()
        try:
            yield
        finally:
            self._count(owner, 1)

    def _may_run(self, owner: str) -> bool:
        most = limits().running
        return not owner or not most or self._running[owner] < most

    def _dispatch(self) -> None:
        while True:
            with self._lock:
                entry = self._waiting.take(self._may_run) if self._busy < self._threads else None
                if entry is None:
                    return
                owner, ticket = entry
                self._busy += 1
                self._running[owner] += 1
            self._pool.submit(self._run, ticket)

    def _run(self, ticket: Ticket) -> None:
        try:
            _complete(ticket.future, ticket.job)
        finally:
            self._count(ticket.owner, -1, finished=True)
            self._dispatch()

    def _count(self, owner: str, step: int, *, finished: bool = False) -> None:
        with self._lock:
            self._running[owner] += step
            if finished:
                self._busy -= 1
                self._unfinished[owner] -= 1
            self._forget_idle(owner)

    def _forget_idle(self, owner: str) -> None:
        if self._unfinished[owner] <= 0:
            del self._unfinished[owner], self._running[owner]


def _complete(future: Future[Any], job: Job) -> None:
    try:
        future.set_result(job())
    except BaseException as error:
        future.set_exception(error)


WORKERS = Workers(THREADS)
SHORT = Slots(os.cpu_count() or 1)
