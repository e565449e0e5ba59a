"""One visitor and all others, a server that lacks something, and one that ends.

Rows A5, A7 and A8 of docs/security.md, replayed on a live public server. A7's faults of the disk
are made in tests/app/machine/test_disk_store.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from statistics import median

import httpx
import pytest

from app.question.pictures import EXAMPLES
from benchmarks.client import Answer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LIGHT = ("run", "cam", "bundled:scenes-mobilenet", "scene-24", "", "", -1, "", "{}")
WAIT = 10.0  # seconds after which an answer to light work counts as missing
SILENT = 80  # connections that say half a request
IDLE = 20.0  # seconds after which the server has closed them
SESSIONS = 100


def long_work(steps: int, seed: int = 0) -> tuple[object, ...]:
    parameters = json.dumps({"steps": steps, "seed": seed})
    return ("run", "maximize", "bundled:scenes-resnet", "scene-24", "", "layer4", 1, "", parameters)


@pytest.fixture(scope="module")
def silent(keeper):
    """Connections that were opened early and say nothing more, and when."""
    server = keeper.running()
    address = "127.0.0.1", int(server.url.rpartition(":")[2])
    sockets = [socket.create_connection(address) for _ in range(SILENT)]
    for number, one in enumerate(sockets):
        half = b"" if number % 2 else b"POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nX: "
        one.sendall(half)
    yield time.monotonic(), sockets
    for one in sockets:
        one.close()


@pytest.fixture(scope="module", autouse=True)
def early(silent):
    """They are opened before the first test, so that the last hardly waits."""


# --- A5: one visitor and all others ---------------------------------------------------------------


def source(number):
    """An address on loopback to connect from, where it has many."""
    return f"127.0.2.{number + 1}" if sys.platform == "linux" else None


async def question(other, kind, seed):
    """A light question by another visitor: by its page where a page attacks, else by the API."""
    if kind == "events of one page":
        return await other.use("fv-examples", "select", pick=EXAMPLES[seed % len(EXAMPLES)])
    return await other.call(*LIGHT[:4], str(seed), *LIGHT[5:])


async def beside(visitor, other, kind, count=4):
    """Answers to another visitor's light questions before, and while `visitor` attacks."""
    spent = {}
    for name in ("before", "while"):
        requests = attack(kind, visitor) if name == "while" else []
        tasks = [asyncio.ensure_future(request) for request in requests]
        await asyncio.sleep(0.5)
        answers = []
        for seed in range(count):
            light = question(other, kind, seed + (0 if tasks else 10))
            try:
                answers.append(await asyncio.wait_for(light, WAIT))
            except asyncio.TimeoutError:
                answers.append(Answer("lost", WAIT))
        spent[name] = answers
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return spent


def check_light(spent):
    """All came before WAIT was over, and half of them soon; the benchmark has the ratios."""
    assert {answer.fate for name in spent for answer in spent[name]} == {"answered"}, spent
    alone, besides = (
        median(answer.seconds for answer in spent[name]) for name in ("before", "while")
    )
    assert besides < max(2.5, 8 * alone), spent


def attack(kind, visitor):
    """What one address sends at once: all that it may send in a minute."""
    if kind == "events of one page":
        load = visitor.event("load", "load")
        others = [load, visitor.event("fv-next", "click"), visitor.event("fv-back", "click")]
        long = visitor.send(load, [], query="tab=Synthesis&layer=layer4&ch=3&p.steps=500")
        return [long, *(visitor.send(event, []) for _ in range(37) for event in others)]
    if kind == "identical runs":
        return [visitor.call(*long_work(400, 7)) for _ in range(100)]
    query = {"query": "?tab=Synthesis&layer=layer4&ch=5&p.steps=400", "kind": "picture"}
    functions = [part for part in visitor.config["components"] if part["props"].get("server_fns")]
    return [visitor.ask(functions[0]["id"], "save", query) for _ in range(100)]


@pytest.mark.parametrize("kind", ["events of one page", "identical runs", "identical saves"])
def test_a5_one_address_does_not_slow_another(server, visit, kind):
    async def actions(visitor):
        other = type(visitor)(server.url, 2**20 + 7, visitor.config, WAIT, source(7))
        await visitor.use("load", "load")
        await other.use("load", "load")
        await other.call(*LIGHT)
        try:
            return await beside(visitor, other, kind)
        finally:
            await other.http.aclose()

    check_light(visit(actions, patience=60))


def test_a5_identical_work_of_many_is_done_once(server, visit):
    """Twelve addresses ask for the same: all are answered, in hardly more time than one needs."""

    async def actions(visitor):
        others = [type(visitor)(server.url, 2**21 + n, visitor.config, 60, source(n))
                  for n in range(12)]  # fmt: skip
        await visitor.call(*long_work(2, 3))
        begin = server.processor()
        await visitor.call(*long_work(5, 1))
        one = server.processor() - begin
        begin = server.processor()
        answers = await asyncio.gather(*(one_.call(*long_work(5, 2)) for one_ in others))
        for one_ in others:
            await one_.http.aclose()
        return one, server.processor() - begin, answers

    one, all_, answers = visit(actions, patience=60)
    assert {answer.fate for answer in answers} == {"answered"}, answers
    assert len({json.dumps(answer.value[0]["link"]) for answer in answers}) == 1
    assert all_ < 2 * one + 1.5, (one, all_)


# --- A7: a server that lacks something ------------------------------------------------------------


def test_a7_many_sessions_of_one_address_are_not_kept(server, visit):
    """One of two rounds has to grow little: whatever else the server does only adds to one."""

    async def growth(visitor, event, begin):
        before = server.memory()
        for first in range(begin, begin + SESSIONS, 10):
            pages = [type(visitor)(server.url, 0, visitor.config, 20) for _ in range(10)]
            for number, page in enumerate(pages):
                page.http.headers.update(visitor.http.headers)
                page.session = f"session{first + number}"
            answers = await asyncio.gather(*(page.send(event, []) for page in pages))
            assert "lost" not in {answer.fate for answer in answers}, answers
            for page in pages:
                await page.http.aclose()
        return server.memory() - before

    async def actions(visitor):
        await visitor.use("load", "load")
        event = visitor.event("fv-next", "click")
        await visitor.send(event, [])  # whatever the first of its kind loads is no session's
        for turn in range(2):
            grown = await growth(visitor, event, turn * SESSIONS)
            if grown < SESSIONS * 0.15:
                break
        return grown

    assert visit(actions) < SESSIONS * 0.15


def test_a7_connections_that_say_nothing_are_closed(silent, server):
    when, sockets = silent
    time.sleep(max(0.0, IDLE - (time.monotonic() - when)))
    still = 0
    for one in sockets:
        one.setblocking(False)
        with suppress(ConnectionError):
            try:
                still += one.recv(1000) is None
            except BlockingIOError:
                still += 1
    assert still == 0
    assert httpx.get(f"{server.url}/config", timeout=5).status_code == 200


# --- A8: the end ----------------------------------------------------------------------------------


def test_a8_a_port_in_use_is_one_sentence(server, keeper):
    port = server.url.rpartition(":")[2]
    command = [sys.executable, "-W", "ignore", "-m", "app", "serve", "--port", port]
    variables = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    process = subprocess.run(command, cwd=keeper.checkout, capture_output=True, text=True,
                             timeout=120, env={**variables, "FEATVIS_PUBLIC": "1"})  # fmt: skip
    lines = [line for line in process.stderr.splitlines() if "starting" not in line]
    assert process.returncode == 1, (process.returncode, process.stderr[-300:])
    assert len(lines) == 1
    assert port in lines[0]


def test_a8_health_asks_the_real_thing(server):
    """It tells what a light question took, through the lanes that visitors use."""
    report = httpx.get(f"{server.url}/healthz", timeout=20).json()
    assert report["status"] in ("ok", "degraded", "slow")
    assert 0 < report["answer"]["seconds"] < WAIT


def test_a8_sigterm_ends_a_server_at_work_also_as_pid_1(end_under_load):
    """The keeper starts it as PID 1 where it may."""
    assert end_under_load(signal.SIGTERM) < 5
