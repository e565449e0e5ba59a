"""A server begins and ends well under load, and closes connections that say nothing."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from app.machine import errors
from app.machine import jobs as work
from app.web import ports

pytest.importorskip("gradio")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SOON = 5.0  # seconds in which a server ends
STARTED = 240.0  # seconds in which it begins, on a busy machine
LIMITS = {
    "FEATVIS_HEADER_SECONDS": "1",
    "FEATVIS_BODY_SECONDS": "1",
    "FEATVIS_READ_SECONDS": "1",
    "FEATVIS_CONNECTIONS": "150",
    "FEATVIS_REQUESTS": "10000",
    "FEATVIS_QUEUE": "200",
    "FEATVIS_WAITING": "4",
}
# One address is all visitors here.
MANY = {
    f"FEATVIS_{name}": "100000"
    for name in ("REQUESTS", "LOOKS", "UNDER_WAY", "SESSIONS_EACH", "AT_ONCE", "WAITING_EACH")
}
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "FEATVIS_PUBLIC": "1", "GRADIO_NUM_PORTS": "1", **MANY}
SERVE = [sys.executable, "-W", "ignore", "-m", "app", "serve"]
HEAD = b"POST /gradio_api/call/run HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\n"


class Server:
    """A public server in a process of its own; number 1 of its own world where possible."""

    def __init__(self, log: Path) -> None:
        self.port, self.log = free_port(), log
        apart = ["unshare", "--pid", "--fork", "--kill-child"] if isolates() else []
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [*apart, *SERVE, "--port", str(self.port)], cwd=ROOT, env=ENV | LIMITS,
                stdout=out, stderr=out,
            )  # fmt: skip
        self.pid = self.process.pid

    def begin(self) -> None:
        until = time.monotonic() + STARTED
        while not self.answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, "it does not start"
            time.sleep(0.1)
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        if isolates():  # the signal goes to the server, not to unshare
            self.pid = int(children.read_text().split()[0])

    def answers(self) -> bool:
        try:
            return bool(self.read("/"))
        except OSError:
            return False

    def read(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return answer.read()

    def connect(self, data: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(10)
        connection.sendall(data)
        return connection

    def call(self, *values: object) -> socket.socket:
        """Ask for a method, and listen to the stream of its answer."""
        body = json.dumps({"data": values}).encode()
        url = f"http://127.0.0.1:{self.port}/gradio_api/call/run"
        request = urllib.request.Request(url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            event = json.load(answer)["event_id"]
        path = f"GET /gradio_api/call/run/{event} HTTP/1.1\r\nHost: x\r\n\r\n"
        return self.connect(path.encode())


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def isolates() -> bool:
    """May a process be number 1 here?"""
    command = ["unshare", "--pid", "--fork", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(command, check=False).returncode == 0


def rest(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    data = b""
    with connection:
        while piece := connection.recv(65536):
            data += piece
    return data


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all tests of this file; the last of them ends it."""
    server = Server(tmp_path_factory.mktemp("life") / "log")
    try:
        server.begin()
        yield server
    finally:
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", b"head comes within 1 s"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"head comes within 1 s"),
        (HEAD + b"content-length: 5000\r\n\r\n{", b"body comes within 1 s"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n", b"body comes within 1 s"),
    ],
    ids=["nothing", "half a head", "half a body", "half of the chunks"],
)
def test_a_connection_that_says_nothing_more_is_closed(server, data, words):
    idle = [server.connect(data) for _ in range(20)]
    assert all(words in rest(connection) for connection in idle)


def test_an_answer_that_nobody_reads_is_given_up_and_a_stream_stays(server):
    stream = server.connect(b"GET /gradio_api/heartbeat/life HTTP/1.1\r\nHost: x\r\n\r\n")
    deaf = [server.connect(b"GET /config HTTP/1.1\r\nHost: x\r\n\r\n" * 50) for _ in range(3)]
    before = json.loads(server.read("/healthz"))["open_files"]["used"]
    until = time.monotonic() + 15
    while time.monotonic() < until:
        after = json.loads(server.read("/healthz"))["open_files"]["used"]
        if after <= before - len(deaf):
            break
        time.sleep(0.2)
    assert after <= before - len(deaf)
    assert b"ALIVE" in stream.recv(10_000)
    stream.settimeout(0.2)
    with pytest.raises(TimeoutError):  # it is open, and quiet
        stream.recv(10_000)
    for connection in (stream, *deaf):
        connection.close()


def test_one_address_has_so_many_connections(server):
    crowd = [server.connect() for _ in range(int(LIMITS["FEATVIS_CONNECTIONS"]) + 5)]
    assert b"at most 150 connections" in rest(crowd.pop())
    for connection in crowd:
        connection.close()


def test_a_websocket_is_not_opened(server):
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nconnection: upgrade, close\r\n"
    asked = head + b"upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA==\r\n"
    assert rest(server.connect(asked + b"\r\n")).startswith(b"HTTP/1.1 200 ")


def test_health_tells_the_owner_what_is_used_and_strangers_no_path(server):
    report = json.loads(server.read("/healthz"))
    assert report["answer"]["seconds"] < 5
    assert report["threads"] > 1
    used, limit = report["open_files"].values()
    assert 0 < used < limit
    assert limit == min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65_536)
    assert report["memory_mb"] == {}
    text = server.read("/healthz") + server.read("/status")
    assert str(ROOT).encode() not in text
    assert b"/tmp" not in text


def test_a_server_ends_under_load(server):
    """The last test of this server."""
    ascent = json.dumps({"steps": 512, "size": 512})
    streams = [
        server.call("maximize", "bundled:scenes-vit", "scene-1", f"{n}", "", -1, "", ascent)
        for n in range(60)
    ]
    until = time.monotonic() + 20
    while json.loads(server.read("/healthz"))["jobs"]["running"] < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
    begin = time.monotonic()
    os.kill(server.pid, signal.SIGTERM)
    assert server.process.wait(2 * SOON) == 0
    assert time.monotonic() - begin < SOON
    for connection in streams:
        connection.close()
    log = server.log.read_text()
    assert "the server ends" in log
    assert "Traceback" not in log


def test_all_jobs_are_cancelled_at_the_end():
    def endless(job):
        while True:
            job.check()
            time.sleep(0.01)

    jobs = [work.Work(endless) for _ in range(3)]
    work.cancel_all()
    for job in jobs:
        with pytest.raises(errors.Cancelled):
            job.result()


ENDLESS = """
import sys, threading, time
from types import SimpleNamespace
from app.web import signals
signals.GRACE = 1.0
threading.Thread(target=lambda: [time.sleep(9) for _ in range(9)]).start()  # not a daemon
stop = signals.Stop()
stop.install()
print("installed", flush=True)
if "late" in sys.argv:
    time.sleep(60)
hanging = lambda verbose: time.sleep(60)
stop.serving = True
print("serving", flush=True)
stop.wait(SimpleNamespace(server=None, close=hanging))
"""


@pytest.mark.parametrize(
    ("argument", "signs", "code", "least", "most"),
    [
        ("", [signal.SIGINT], 130, 0.9, SOON),
        ("", [signal.SIGTERM], 0, 0.9, SOON),
        ("", [signal.SIGINT, signal.SIGINT], 130, 0.0, 0.9),
        ("late", [signal.SIGTERM], 0, 0.0, 0.9),
    ],
    ids=["Ctrl+C", "SIGTERM", "Ctrl+C twice", "before it serves"],
)
def test_a_server_that_hangs_ends_all_the_same(argument, signs, code, least, most):
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, argument], cwd=ROOT, env=ENV, stdout=subprocess.PIPE
    )
    with process:
        process.stdout.readline()
        if not argument:
            process.stdout.readline()
        begin = time.monotonic()
        for sign in signs:
            process.send_signal(sign)
            time.sleep(0.3)
        assert process.wait(20) == code
        assert least <= time.monotonic() - begin <= most + 0.5


@pytest.mark.parametrize(
    ("options", "variables", "code", "words"),
    [
        (["--port", "{taken}"], {}, 1, "port {taken} of 127.0.0.1 is in use"),
        ([], {"GRADIO_SERVER_PORT": "{taken}"}, 1, "the ports {taken} to {taken} of"),
        (["--host", "192.0.2.1"], {}, 1, "no address '192.0.2.1'"),
        (["--port", "65536"], {}, 2, "--port is a number from 0"),
        ([], {"GRADIO_SERVER_PORT": "seven"}, 2, "GRADIO_SERVER_PORT is a whole number"),
        ([], {"GRADIO_NUM_PORTS": "-1"}, 2, "GRADIO_NUM_PORTS is a whole number"),
        ([], {"GRADIO_SERVER_NAME": "192.0.2.1"}, 1, "no address '192.0.2.1'"),
    ],
    ids=["used", "all used", "host", "number", "variable", "count", "name"],
)
def test_a_port_that_cannot_be_had_is_one_sentence(
    options, variables, code, words, capfd, monkeypatch
):
    from app.cli import main

    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        monkeypatch.setenv("GRADIO_NUM_PORTS", "1")
        monkeypatch.setenv("GRADIO_SERVER_PORT", str(free_port()))
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(taken=taken))
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        assert main(["serve", *(option.format(taken=taken) for option in options)]) == code
        assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    out, error = capfd.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    assert words.format(taken=taken) in error


def test_without_a_port_the_next_free_one_is_taken(monkeypatch):
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setenv("GRADIO_SERVER_PORT", str(taken))
        assert taken < ports.available("127.0.0.1", None) <= taken + 100
    assert ports.available("127.0.0.1", taken) == taken
    assert ports.available("localhost", 0) > 1023


def test_a_port_of_the_system_is_told_apart():
    error = PermissionError(errno.EACCES, "Permission denied")
    assert ports.reason("127.0.0.1", 80, error).startswith("port 80 is not open to this user")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EMFILE, "too many files open"),
        (errno.ENFILE, "too many files open"),
        (errno.ENOMEM, "not enough memory"),
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "may not use its own files"),
        (errno.EACCES, "may not use its own files"),
        (errno.EIO, "the disk of this server fails"),
    ],
)
def test_errors_of_the_system_have_a_sentence(code, words, monkeypatch):
    monkeypatch.setattr(errors, "LATEST", {})
    monkeypatch.setattr(errors, "_free", lambda error: None)  # which takes its time
    plain = OSError(code, os.strerror(code), "/secret/file")
    wrapped = RuntimeError("it failed")
    wrapped.__cause__ = plain
    for error in (plain, wrapped, ValueError(f"Too bad (os error {code})")):
        assert words in errors.sentence(error)
        assert "secret" not in errors.sentence(error)
    assert all(words in text for text in errors.LATEST)
