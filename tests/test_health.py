"""The self-test finds what does not work, and the pages tell it; without a hub it is said."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app import health, health_page, session, tabs, texts, views
from app.state import State
from featvis import METHODS, WrongRequest
from tests.loops import awaited
from zoo_adapters import hub


@pytest.fixture(autouse=True)
def untested(monkeypatch):
    monkeypatch.setattr(health, "CHECKS", {})
    monkeypatch.setitem(health._hub, "asked", float("inf"))  # the hub is not asked here
    monkeypatch.setattr(health, "PATIENCE", 0.0)


def asked(path, root="", method="GET"):
    sent = []

    async def app(scope, receive, send):
        await send({"status": 404})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": root + path, "root_path": root, "method": method}
    awaited(health_page.Health(app)(scope, None, send))
    return sent[0]["status"], sent[-1].get("body", b"").decode()


def test_every_method_works_on_a_bundled_network():
    health._all()
    assert set(health.CHECKS) == set(METHODS)
    assert {name: check.reason for name, check in health.CHECKS.items() if not check.ok} == {}
    assert health.report()["status"] == "ok"
    assert asked("/healthz")[0] == 200
    assert "Everything works" in asked("/status")[1]


def test_a_method_that_fails_is_greyed_and_the_rest_goes_on(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("at /secret/place")

    monkeypatch.setitem(METHODS, "occlusion", replace(METHODS["occlusion"], run=broken))
    only = [(name, state) for name, state in health.tests() if name in ("cam", "occlusion")]
    monkeypatch.setattr(health, "tests", lambda: iter(only))
    health._all()
    assert {name: check.ok for name, check in health.CHECKS.items()} == {
        "cam": True,
        "occlusion": False,
    }
    state = State(methods=("cam", "occlusion"))
    view = tabs.draw(state).view
    assert "fv-off" in view
    assert "failed when this server started" in view
    assert "fv-heat" in view  # of the other one
    with pytest.raises(WrongRequest, match="Occlusion failed when this server started"):
        session.run("occlusion", state)
    code, text = asked("/healthz")
    told = json.loads(text)
    assert (code, told["ok"], told["status"]) == (200, True, "degraded")
    assert "secret" not in text + asked("/status")[1]


def test_a_server_on_which_nothing_works_says_so(monkeypatch):
    bad = health.Check(False, "<b>broken", 0.1, "m")
    monkeypatch.setattr(health, "CHECKS", dict.fromkeys(METHODS, bad))
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
    monkeypatch.setitem(health._hub, "reason", reason)
    assert health.report()["hub"] == reason
    words = views.notice(texts.without_hub(reason))
    assert "bundled networks work" in words
    assert "on disk" in words
