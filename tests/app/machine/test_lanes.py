"""Long jobs wait for one another and can be given up; short ones pass them, on the same network."""

from __future__ import annotations

import threading
import time

import pytest

from app.answers.ask import ask_of
from app.answers.run import run
from app.machine import lanes, limits
from app.machine.errors import Cancelled
from app.machine.jobs import Work
from app.question.state import State
from featvis import WrongRequest
from featvis.progress import tick


@pytest.fixture
def held():
    """A long job that runs until `held.set()`."""
    begun, free = threading.Event(), threading.Event()

    def job():
        begun.set()
        free.wait(30)

    task = Work(lambda _: lanes.long_job(job))
    assert begun.wait(30)
    yield free
    free.set()
    task.result()


def test_short_work_passes_a_long_job_on_the_same_network():
    state, rows, stop = State(tab="Synthesis", image="scene-2"), [], threading.Event()

    def ascent(work):
        return run(ask_of("maximize", state.having(steps=400)), seen)

    def seen(made):
        rows.append(made.result.step)
        alone = run(ask_of("cam", State(image=f"scene-{70 + len(rows)}")))
        assert float(alone.result.residual) < 1e-4
        if stop.is_set():
            raise Cancelled

    task = Work(ascent)
    while not rows:
        time.sleep(0.01)
    for number in range(90, 94):  # answered while the ascent holds the lane
        made = run(ask_of("saliency", State(image=f"scene-{number}")))
        assert made.result.values.shape[1] == 3
    assert not task._future.done()
    stop.set()
    task.cancel()
    with pytest.raises(Cancelled):
        task.result()


def test_long_jobs_have_their_turn_one_after_another(held):
    done: list[int] = []
    tasks = [Work(lambda _, n=n: lanes.long_job(lambda: done.append(n))) for n in range(3)]
    while len(lanes.QUEUE) < 4:
        time.sleep(0.01)
    said = next(tasks[2].waits())
    assert said.startswith("Waiting for ")
    assert said.endswith("of others …")
    assert not done
    held.set()
    for task in tasks:
        task.result()
    assert sorted(done) == [0, 1, 2]


def test_what_waits_can_be_given_up_and_never_begins(held):
    begun = threading.Event()
    task = Work(lambda _: lanes.long_job(begun.set))
    while len(lanes.QUEUE) < 2:
        time.sleep(0.01)
    task.cancel()
    with pytest.raises(Cancelled):
        task.result()
    held.set()
    lanes.long_job(lambda: None)
    assert not begun.is_set()


def test_too_many_that_wait_are_told(held, monkeypatch):
    monkeypatch.setenv("FEATVIS_WAITING", "1")
    limits.limits.cache_clear()
    try:
        first = Work(lambda _: lanes.long_job(lambda: 1))
        while len(lanes.QUEUE) < 2:
            time.sleep(0.01)
        with pytest.raises(WrongRequest, match="1 long jobs wait here already"):
            Work(lambda _: lanes.long_job(lambda: 2)).result()
    finally:
        monkeypatch.undo()
        limits.limits.cache_clear()
    held.set()
    assert first.result() == 1


def test_waiting_is_not_time_that_a_job_takes(held, monkeypatch):
    monkeypatch.setenv("FEATVIS_JOB_SECONDS", "0.5")
    limits.limits.cache_clear()
    try:
        task = Work(lambda _: lanes.long_job(lambda: tick(0, 1) or 7))
        time.sleep(0.8)
        held.set()
        assert task.result() == 7
    finally:
        monkeypatch.undo()
        limits.limits.cache_clear()


def test_a_long_job_is_watched_as_any_other():
    def endless():
        while True:
            tick(0, 2)
            time.sleep(0.005)

    task = Work(lambda _: lanes.long_job(endless))
    time.sleep(0.1)
    task.cancel()
    with pytest.raises(Cancelled):
        task.result()


def test_a_pass_that_waited_for_the_processor_is_not_taken_for_a_long_one(held, monkeypatch):
    """While others compute a pass takes long; the next light question stays out of their lane."""
    from app.answers import prediction

    monkeypatch.setattr(prediction, "SECONDS", {})
    monkeypatch.setattr("app.answers.ask.SECONDS", prediction.SECONDS)
    monkeypatch.setattr("app.answers.run.SECONDS", prediction.SECONDS)

    def late(model, values):
        time.sleep(2 * lanes.LONG)
        return read_head(model, values)

    read_head = prediction.read_head
    monkeypatch.setattr(prediction, "read_head", late)
    state = State(image="scene-97")
    prediction.logits_of(state)
    assert 0 < prediction.SECONDS[state.model] < lanes.LONG
    assert run(ask_of("saliency", state)).result.values.isfinite().all()  # and not after `held`
