"""The self-test finds what does not work, and the pages tell it; without a hub it is said."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import zoo_adapters
from app.answers.ask import ask_of
from app.answers.run import run
from app.machine import broken, disk, jobs, pulse, resources, workers
from app.machine import errors as faults
from app.pages import tabs, views
from app.question.state import State
from app.web import health, health_page
from app.words import texts
from featvis import METHODS, WrongRequest
from tests.support.loops import awaited
from zoo_adapters import hub


@pytest.fixture(autouse=True)
def untested(monkeypatch):
    monkeypatch.setattr(broken, "CHECKS", {})
    monkeypatch.setitem(broken._hub, "asked", float("inf"))  # the hub is not asked here
    monkeypatch.setattr(health, "PATIENCE", 0.0)


def asked(path, root="", method="GET"):
    client = TestClient(Starlette(routes=health_page.ROUTES), root_path=root)
    answer = client.request(method, path)
    return answer.status_code, answer.text


def test_every_method_works_on_a_bundled_network():
    health._all()
    assert set(broken.CHECKS) == set(METHODS)
    assert {name: check.reason for name, check in broken.CHECKS.items() if not check.ok} == {}
    assert health.report()["status"] == "ok"
    assert asked("/healthz")[0] == 200
    assert "Everything works" in asked("/status")[1]


def test_a_method_that_fails_is_greyed_and_the_rest_goes_on(monkeypatch):
    def failing(*_, **__):
        raise RuntimeError("at /secret/place")

    monkeypatch.setitem(METHODS, "occlusion", replace(METHODS["occlusion"], run=failing))
    questions = health.smallest_questions()
    only = [(name, state) for name, state in questions if name in ("cam", "occlusion")]
    monkeypatch.setattr(health, "smallest_questions", lambda: iter(only))
    health._all()
    assert {name: check.ok for name, check in broken.CHECKS.items()} == {
        "cam": True,
        "occlusion": False,
    }
    state = State(methods=("cam", "occlusion"))
    view = tabs.draw(state).view
    assert "fv-off" in view
    assert "failed when this server started" in view
    assert "fv-heat" in view  # of the other one
    with pytest.raises(WrongRequest, match="Occlusion failed when this server started"):
        run(ask_of("occlusion", state))
    code, text = asked("/healthz")
    told = json.loads(text)
    assert (code, told["ok"], told["status"]) == (200, True, "degraded")
    assert "secret" not in text + asked("/status")[1]


def test_a_server_on_which_nothing_works_says_so(monkeypatch):
    bad = broken.Check(False, "<b>broken", 0.1, "m")
    monkeypatch.setattr(broken, "CHECKS", dict.fromkeys(METHODS, bad))
    code, text = asked("/healthz", root="/featvis")
    assert (code, json.loads(text)["ok"]) == (503, False)
    assert "No method works" in asked("/status")[1]
    assert "<b>" not in asked("/status")[1]
    assert asked("/healthz", method="HEAD") == (503, "")
    assert asked("/health")[0] == 404


def test_without_a_hub_it_is_said_what_works(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    reason = hub.unreachable()
    assert "HF_HUB_OFFLINE" in reason
    monkeypatch.setitem(broken._hub, "reason", reason)
    assert health.report()["hub"] == reason
    words = views.notice(texts.without_hub(reason))
    assert "bundled networks work" in words
    assert "on disk" in words


@pytest.fixture
def impatient(monkeypatch):
    """A light question is given up soon, and never told twice."""
    monkeypatch.setattr(pulse, "PATIENCE", 0.3)
    monkeypatch.setattr(pulse, "FRESH", 0.0)
    monkeypatch.setattr(health_page, "PULSE", pulse.Pulse())


@pytest.fixture
def busy(impatient):
    """All places for short jobs are taken."""
    with ExitStack() as places:
        for _ in range(os.cpu_count() or 1):
            places.enter_context(workers.SHORT.one())
        yield


def test_a_server_whose_lane_gives_no_answer_says_so(busy):
    for _ in range(2):
        code, text = asked("/healthz")
        report = json.loads(text)
        assert (code, report["ok"], report["status"]) == (503, False, "down")
        assert report["answer"] == {"seconds": None, "reason": "no answer in 0.3 s"}
    assert "no answer in 0.3 s" in asked("/status")[1].lower()
    assert jobs.under_way() == 1  # one question waits, however many asked


def test_the_question_runs_the_smallest_network(impatient, monkeypatch):
    monkeypatch.setattr(pulse, "PATIENCE", 20.0)
    calls = []
    network = pulse._network()
    assert network.parameters == min(
        zoo_adapters.load(name).parameters for name in zoo_adapters.names("bundled")
    )
    handle = network.module.register_forward_hook(lambda *_: calls.append(1))
    try:
        for _ in range(3):
            assert json.loads(asked("/healthz")[1])["answer"]["seconds"] < 20
    finally:
        handle.remove()
    assert len(calls) == 3


def test_a_slow_answer_is_told(impatient, monkeypatch):
    monkeypatch.setattr(health, "SLOW", 0.0)
    monkeypatch.setattr(pulse, "PATIENCE", 20.0)
    code, text = asked("/healthz")
    assert (code, json.loads(text)["status"]) == (200, "slow")
    assert "take long" in asked("/status")[1]


def test_a_question_that_fails_is_told_without_its_words(impatient, monkeypatch):
    def broken():
        raise RuntimeError("at /secret/place")

    monkeypatch.setattr(health_page, "PULSE", pulse.Pulse(broken))
    monkeypatch.setattr(pulse, "PATIENCE", 20.0)
    code, text = asked("/healthz")
    assert (code, json.loads(text)["status"]) == (503, "down")
    assert "RuntimeError" in text
    assert "secret" not in text


def test_many_who_ask_at_once_cost_one_question():
    calls = []

    def question():
        calls.append(1)
        time.sleep(0.2)

    async def crowd():
        source = pulse.Pulse(question)
        first = await asyncio.gather(*(source.take() for _ in range(50)))
        return first + await asyncio.gather(*(source.take() for _ in range(50)))

    answers = awaited(crowd())
    assert len(calls) == 1
    assert len(set(answers)) == 1
    assert answers[0].seconds >= 0.2


def test_too_many_open_files_are_told(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(faults, "LATEST", {})
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    errors = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, before[1]))  # fewer than are open already
    try:
        Path(__file__).read_bytes()
    except OSError as error:
        errors.append(error)
    finally:
        problems = resources.problems()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert problems == ["1 of 1 files that may be open are open"]
    assert "too many files open" in faults.sentence(*errors)
    report = health.report()
    assert report["status"] == "degraded"
    assert "too many files open" in report["problems"][0]


def test_a_disk_with_little_room_is_told(monkeypatch):
    monkeypatch.setattr(faults, "LATEST", {})
    monkeypatch.setattr(resources, "SCARCE", 10**12)
    assert {"the disk of the uploads has", "the disk of the pictures made has"} <= {
        " ".join(text.split()[:-3]) for text in resources.problems()
    }
    monkeypatch.setattr(resources, "SCARCE", 0)
    monkeypatch.setattr(
        disk, "problems", lambda: ["uploads cannot be written at /tmp/x/y"], raising=False
    )
    assert resources.problems() == ["uploads cannot be written at a file of this server"]


def test_memory_is_told_to_the_owner_alone(monkeypatch):
    assert health.report()["memory_mb"]["used"] > 10
    monkeypatch.setenv("FEATVIS_PUBLIC", "1")
    assert health.report()["memory_mb"] == {}
    assert "MB used" not in asked("/status")[1]


def test_the_limit_of_open_files_is_raised():
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(200, before[1]), before[1]))
        resources.raise_open_files()
        after = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert after == (min(before[1], resources.MOST), before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
