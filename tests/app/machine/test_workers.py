"""Threads are shared fairly: no owner holds them all, and one question has one answer."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import copy_context
from functools import partial

import pytest

from app.machine import lanes, limits
from app.machine.cache import Kept
from app.machine.callers import listened_to
from app.machine.disk_store import OWNER
from app.machine.errors import Cancelled
from app.machine.jobs import SHARED, Work, cancel_all, under_way
from app.machine.workers import Rotation, Slots, Workers
from featvis import WrongRequest
from featvis.progress import tick
from tests.support.loops import awaited

SOON = 20.0  # seconds; the state is asserted, never the time


@pytest.fixture
def few(monkeypatch):
    """A server on which each owner runs two jobs at a time and has four at most."""
    for name, value in {"RUNNING": "2", "AT_ONCE": "4", "WAITING_EACH": "2"}.items():
        monkeypatch.setenv(f"FEATVIS_{name}", value)
    limits.limits.cache_clear()
    yield
    monkeypatch.undo()
    limits.limits.cache_clear()


def submit(workers, owner, job):
    token = OWNER.set(owner)
    try:
        return workers.submit(job).future
    finally:
        OWNER.reset(token)


def until(is_true):
    end = time.monotonic() + SOON
    while not is_true() and time.monotonic() < end:
        time.sleep(0.005)
    assert is_true()


def test_owners_take_turns():
    rotation = Rotation()
    for owner, entry in (("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("c", 6)):
        rotation.add(owner, entry)
    order = [rotation.take() for _ in range(7)]
    assert order == [("a", 1), ("b", 4), ("c", 5), ("a", 2), ("c", 6), ("a", 3), None]
    rotation.add("a", 1)
    assert rotation.take(lambda owner: owner != "a") is None
    assert rotation.count("a") == 1


def test_an_owner_runs_a_few_jobs_and_may_have_some_more(few):
    workers, gate, order = Workers(8), threading.Event(), []
    jobs = [submit(workers, "a", lambda n=n: (order.append(n), gate.wait(SOON))) for n in range(4)]
    with pytest.raises(WrongRequest, match="4 of your requests are being worked on already"):
        submit(workers, "a", lambda: None)
    assert submit(workers, "b", lambda: "b").result(SOON) == "b"
    assert submit(workers, "", lambda: "server").result(SOON) == "server"
    assert sorted(order) == [0, 1]
    gate.set()
    for job in jobs:
        job.result(SOON)
    assert sorted(order) == [0, 1, 2, 3]
    until(lambda: not workers._running and not workers._unfinished)
    assert submit(workers, "a", lambda: "again").result(SOON) == "again"


def test_a_job_that_waits_can_be_withdrawn_at_once(few):
    workers, gate, begun = Workers(8), threading.Event(), []
    running = [submit(workers, "a", lambda: gate.wait(SOON)) for _ in range(2)]
    OWNER.set("a")
    tickets = [workers.submit(lambda: begun.append(1)) for _ in range(2)]
    for ticket in tickets:
        workers.withdraw(ticket, Cancelled())
        with pytest.raises(Cancelled):
            ticket.future.result(SOON)
    submit(workers, "a", lambda: None)  # there is room again
    gate.set()
    for job in running:
        job.result(SOON)
    workers.withdraw(tickets[0], Cancelled())  # twice is once
    until(lambda: not workers._unfinished)
    OWNER.set("")
    assert not begun


def test_a_job_set_aside_lets_another_of_its_owner_run(few):
    workers, gate, aside = Workers(8), threading.Event(), threading.Event()

    def waiting():
        with workers.set_aside():
            aside.set()
            gate.wait(SOON)

    token = OWNER.set("a")
    try:
        jobs = [workers.submit(partial(copy_context().run, waiting)).future for _ in range(2)]
        assert aside.wait(SOON)
        assert workers.submit(lambda: "light").future.result(SOON) == "light"
    finally:
        OWNER.reset(token)
    gate.set()
    for job in jobs:
        job.result(SOON)


def test_short_jobs_of_one_owner_do_not_come_before_all_others():
    slots, order, begun = Slots(1), [], threading.Event()
    gate = threading.Event()

    def job(owner):
        OWNER.set(owner)
        with slots.one():
            order.append(owner)
            begun.set()
            gate.wait(SOON)

    threads = [threading.Thread(target=job, args=("many",)) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert begun.wait(SOON)
    until(lambda: slots._waiting.count("many") == 4)
    threads.append(threading.Thread(target=job, args=("one",)))
    threads[-1].start()
    until(lambda: slots._waiting.count("one") == 1)
    gate.set()
    for thread in threads:
        thread.join(SOON)
    assert order.index("one") <= 2


def test_long_jobs_of_one_owner_have_a_bound(few):
    gate = threading.Event()
    token = OWNER.set("10.0.0.1")
    try:
        works = [Work(lambda _: lanes.long_job(lambda: gate.wait(SOON))) for _ in range(2)]
        until(lambda: len(lanes.QUEUE) >= 2)
        with pytest.raises(WrongRequest, match="2 long jobs of yours"):
            Work(lambda _: lanes.long_job(lambda: None)).result()
    finally:
        OWNER.reset(token)
    gate.set()
    for work in works:
        work.result()


def test_sixty_who_ask_the_same_share_one_job():
    calls, gate = [], threading.Event()

    def job(_):
        calls.append(threading.get_ident())
        gate.wait(SOON)
        return "answer"

    async def ask():
        work = Work.shared("the same", job)
        with listened_to(work):
            return await work.answer()

    async def scenario():
        before = threading.active_count()
        asked = [asyncio.create_task(ask()) for _ in range(60)]
        await asyncio.sleep(0.1)
        assert threading.active_count() <= before + 2
        gate.set()
        return await asyncio.gather(*asked)

    assert awaited(scenario()) == ["answer"] * 60
    assert len(calls) == 1
    until(lambda: "the same" not in SHARED)


def test_shared_work_stops_when_the_last_caller_leaves():
    steps, begun = [], threading.Event()

    def endless(_):
        while True:
            tick(0, 1)
            steps.append(1)
            begun.set()
            time.sleep(0.002)

    work = Work.shared("endless", endless)
    assert Work.shared("endless", endless) is work
    assert begun.wait(SOON)
    with listened_to(work):
        pass
    assert not work._cancelled.is_set()
    with listened_to(work):
        pass
    with pytest.raises(Cancelled):
        work.result()
    assert Work.shared("endless", lambda _: "new").result() == "new"


def test_whoever_waits_for_the_same_thing_can_give_up():
    kept, gate, begun = Kept(4), threading.Event(), threading.Event()

    def make():
        begun.set()
        gate.wait(SOON)
        return 1

    first = Work(lambda _: kept.get_or("key", make))
    assert begun.wait(SOON)
    second = Work(lambda _: kept.get_or("key", make))
    second.cancel()
    with pytest.raises(Cancelled):
        second.result()
    assert not first._future.done()
    gate.set()
    assert first.result() == 1
    assert not kept.making


def test_all_work_can_be_stopped():
    def endless(_):
        while True:
            tick(0, 1)
            time.sleep(0.002)

    works = [Work(endless) for _ in range(3)]
    cancel_all()
    for work in works:
        with pytest.raises(Cancelled):
            work.result()
    until(lambda: not under_way())
