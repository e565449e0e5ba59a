"""Lanes: long jobs wait for one another and give way, so that short ones are answered at once.

A long job runs in a thread of the long lane, at a lower priority of the processor where the
system has one for threads. Short ones run where they were asked for, as many at a time as there
are processors. Hooks and modes belong to a thread (see featvis/hooks.py), so that both may use the
same network.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from functools import lru_cache
from typing import Any, TypeVar

from featvis import WrongRequest

from .disk_store import OWNER
from .limits import limits
from .workers import SHORT, WORKERS

V = TypeVar("V")
LONG = 0.5  # seconds of a job that waits for its turn
OFTEN = 0.1  # seconds between two looks whether it is still wanted
LOWER = 10  # how much lower the priority of long jobs is, of 19
HERE = threading.local()  # .long: is this thread of the long lane?
# Told how many long jobs come first, then 0; raises if the job is not wanted any more.
WAITS: ContextVar[Callable[[int], None] | None] = ContextVar("waits", default=None)
QUEUE: dict[Future[Any], str] = {}  # unfinished long jobs and their owners, first come first
LOCK = threading.Lock()


def long_job(make: Callable[[], V]) -> V:
    """What `make` gives, when it is its turn. It must not wait for another long job itself."""
    here = limits()
    if not here.long_jobs or getattr(HERE, "long", False):
        return make()
    context = copy_context()  # who watches it, its number, and the networks that it holds
    with LOCK:
        for job in [job for job in QUEUE if job.done()]:
            del QUEUE[job]
        _check_room()
        job = _lane().submit(context.run, _in_turn, make)
        QUEUE[job] = OWNER.get()
    asker = WAITS.get() or (lambda ahead: None)
    try:
        with WORKERS.set_aside():
            while not wait([job], OFTEN).done:
                if not job.running():
                    asker(_ahead(job))
    except BaseException:
        if job.cancel():  # it never began
            raise
    return job.result()  # which was told itself, if it is not wanted any more


def _check_room() -> None:
    """Refuse a long job if too many wait, in all or of its owner."""
    here, owner = limits(), OWNER.get()
    if len(QUEUE) - here.long_jobs >= here.waiting > 0:
        raise WrongRequest(
            f"{here.waiting} long jobs wait here already; try again in a minute, or choose "
            "fewer steps or samples"
        )
    if owner and list(QUEUE.values()).count(owner) >= here.waiting_each > 0:
        raise WrongRequest(
            f"{here.waiting_each} long jobs of yours wait here already; wait until one of them is "
            "done, or cancel it"
        )


@contextmanager
def short_job() -> Iterator[None]:
    """Within: one of as many short jobs as there are processors."""
    if getattr(HERE, "long", False):
        yield
        return
    with SHORT.one():
        yield


def _in_turn(make: Callable[[], V]) -> V:
    if asker := WAITS.get():
        asker(0)
    return make()


def _ahead(job: Future[Any]) -> int:
    """How many long jobs come before this one, at least the one that runs."""
    with LOCK:
        jobs = list(QUEUE)
        return max(1, sum(not other.done() for other in jobs[: jobs.index(job)]))


@lru_cache(maxsize=1)
def _lane() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(limits().long_jobs, "featvis-long", initializer=_give_way)


def _give_way() -> None:
    """This thread, and those that torch starts for it, come after all others."""
    HERE.long = True
    with suppress(AttributeError, OSError):  # Linux has a priority for each thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWER)
