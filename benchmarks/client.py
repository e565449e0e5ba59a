"""A server in a process of its own, and visitors of it, who speak HTTP as the page does."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

__all__ = ["Answer", "Server", "Visitor", "served"]

ROOT = Path(__file__).parent.parent
PATIENCE = 300.0  # seconds until a request counts as lost


class Answer(NamedTuple):
    """What became of a request: "answered", "refused" (with a sentence), or "lost"."""

    fate: str
    seconds: float
    value: Any = None  # what was answered, or the sentence
    first: float = 0.0  # seconds until something was shown


class Server(NamedTuple):
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def memory(self, what: str = "VmRSS") -> float:
        """MB of the process: VmRSS now, VmHWM at most so far."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(rf"{what}:\s+(\d+) kB", text)[0]) / 1000

    def slim(self) -> float:
        """MB of the process that it cannot give back: see `trimmed` in app/memory.py."""
        self.process.send_signal(signal.SIGUSR1)
        time.sleep(1)
        return self.memory()


@contextmanager
def served(log: Path, **variables: str) -> Iterator[Server]:
    """A public server on loopback, which believes what address a visitor says it has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "FEATVIS_PUBLIC": "1", "FEATVIS_TRUST_PROXY": "1", **variables}
    command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, log)
        yield Server(url, process, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()[-500:]}")
        try:
            httpx.get(f"{url}/config", timeout=5).raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError("the server does not answer")


class Visitor:
    """One browser: an address, a session, and the events of the window by what is used."""

    def __init__(self, server: str, number: int, config: dict[str, Any] | None = None) -> None:
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self.http = httpx.AsyncClient(
            base_url=f"{server}/gradio_api", headers={"x-forwarded-for": address}, timeout=PATIENCE
        )
        self.session = secrets.token_hex(6)
        self.shown: dict[int, Any] = {}  # what the page shows, by the place in the answer
        self.config = config or {}

    async def use(self, element: str, event: str, *values: Any, **data: Any) -> Answer:
        """Use a component of the window, by its elem_id or label; `data` is of a click."""
        places = {
            part["id"]: {part["props"].get("elem_id"), part["props"].get("label")}
            for part in self.config["components"]
        }
        for told in self.config["dependencies"]:
            for target, name in told["targets"]:
                if name == event and (element in places.get(target, ()) or element == event):
                    return await self.send(told["id"], list(values), data)
        raise LookupError(f"the window has no {element} with {event}")

    async def send(self, number: int, values: list[Any], data: Any, query: str = "") -> Answer:
        """One event, as the page sends it, until its answer is complete."""
        begin, first, last = time.monotonic(), 0.0, None
        given = {"data": [None, *values], "fn_index": number, "session_hash": self.session,
                 "event_data": data or None, "trigger_id": None}  # fmt: skip
        try:
            joined = await self.http.post(f"/queue/join?{query}", json=given)
            if joined.status_code != 200:
                return _told(joined, begin)
            mine = joined.json()["event_id"]
            path = f"/queue/data?session_hash={self.session}"
            async with self.http.stream("GET", path) as stream:
                async for line in stream.aiter_lines():
                    if not line.startswith("data:"):
                        continue
                    said = json.loads(line[5:])
                    if said.get("event_id") not in (mine, None):
                        continue
                    if said["msg"] in ("process_generating", "process_completed"):
                        last = _patched(last, said["output"].get("data"), said["msg"])
                        first = first or time.monotonic() - begin
                    if said["msg"] == "process_completed":
                        spent = time.monotonic() - begin
                        if not said["success"]:
                            return Answer("refused", spent, said["output"].get("error"))
                        return Answer("answered", spent, last, first)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            return Answer("lost", time.monotonic() - begin, repr(error))
        return Answer("lost", time.monotonic() - begin, "the stream ended")

    async def call(self, name: str, *values: Any) -> Answer:
        """One call of the API."""
        begin, event = time.monotonic(), ""
        try:
            joined = await self.http.post(f"/call/{name}", json={"data": list(values)})
            if joined.status_code != 200:
                return _told(joined, begin)
            path = f"/call/{name}/{joined.json()['event_id']}"
            async with self.http.stream("GET", path) as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("event:"):
                        event = line[6:].strip()
                    elif line.startswith("data:") and event in ("complete", "error"):
                        said, spent = json.loads(line[5:]), time.monotonic() - begin
                        if event == "error":
                            return Answer("refused", spent, said)
                        return Answer("answered", spent, said, spent)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            return Answer("lost", time.monotonic() - begin, repr(error))
        return Answer("lost", time.monotonic() - begin, "the stream ended")


def _told(answer: httpx.Response, begin: float) -> Answer:
    """A request that was not taken: with a sentence it is refused."""
    spent = time.monotonic() - begin
    try:
        said = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return Answer("lost", spent, f"status {answer.status_code}")
    return Answer("refused", spent, said)


def _patched(last: Any, new: Any, kind: str) -> Any:
    """An answer with what changed in it: Gradio sends the first one whole, then differences."""
    if last is None or kind == "process_completed" or not isinstance(new, list):
        return new
    return [
        _edited(old, edits)
        if isinstance(edits, list) and all(isinstance(e, list) and len(e) == 3 for e in edits)
        else edits
        for old, edits in zip(last, new, strict=False)
    ]


def _edited(old: Any, edits: list[Any]) -> Any:
    for action, path, value in edits:
        if action == "replace" and not path:
            old = value
        elif action == "append" and isinstance(old, str):
            old += value
    return old
