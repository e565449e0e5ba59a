"""What stays in memory, and jobs in the background."""

from __future__ import annotations

import threading

import pytest

from app.machine.cache import Kept
from app.machine.jobs import Work
from featvis import WrongRequest


def test_the_cache_computes_once_and_drops_the_oldest():
    kept, made = Kept(2), []

    def make():
        made.append(1)
        gate.wait(1)
        return len(made)

    gate = threading.Event()
    asked = [threading.Thread(target=kept.get_or, args=("a", make)) for _ in range(3)]
    for thread in asked:
        thread.start()
    gate.set()
    for thread in asked:
        thread.join()
    assert made == [1]
    kept.get_or("b", lambda: 2)
    kept.get_or("c", lambda: 3)
    assert list(kept) == ["b", "c"]
    assert not kept.making


def test_the_cache_is_bounded_by_weight_except_for_the_newest():
    kept = Kept(10, lambda made: made, 10)
    for name, weight in (("a", 4), ("b", 4), ("c", 4)):
        kept.get_or(name, lambda weight=weight: weight)
    assert list(kept) == ["b", "c"]
    kept.get_or("d", lambda: 50)
    assert list(kept) == ["d"]


def test_a_job_says_its_progress_and_raises_its_error():
    gate = threading.Event()

    def slow(work):
        work.say("Thinking")
        work.progress(25_000_000, 100_000_000, "weights")
        gate.wait(5)
        raise WrongRequest("no")

    work = Work(slow)
    words = next(work.waits())
    gate.set()
    assert words.startswith("Downloading weights, 25 of 100 MB")
    assert work.share == 0.25
    with pytest.raises(WrongRequest, match="no"):
        work.result()


def test_two_updates_of_a_job_are_merged():
    """A cold page shows its subject and its first result at nearly the same time."""

    def quick(work):
        work.show({"subject": 1, "view": "old"})
        work.show({"view": "new"})
        return "done"

    work = Work(quick)
    assert work.result() == "done"
    assert work.take() == {"subject": 1, "view": "new"}
    assert work.take() == {}
