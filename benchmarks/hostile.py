"""Hostile: thousands of requests to a live public server, and what becomes of each.

They are drawn from the list of routes, events, endpoints and arguments of the running app, not
from a list of attacks. Each must be answered or refused in a sentence. A tripwire inside the
server counts the files, addresses and programs that no request may reach; a listener on loopback
counts who comes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import httpx

import zoo_adapters
from app.question.tabs import TABS

from . import hostile_pictures
from .client import Answer, Visitor
from .doors import Door, doors, knock, places
from .guard import Guard
from .leaks import problem
from .lures import SHAPES, addresses, listen, lures, plant
from .server import ROOT, Server, serve
from .strangers import Request, draw

__all__ = ["SMALL", "Report", "doors_of", "fuzz", "main"]

# A server on which nothing takes long, so that many requests can be sent from few addresses.
SESSIONS = 150  # open pages that are kept, as on any public server
SMALL = {
    "FEATVIS_STEPS": "8", "FEATVIS_SIZE": "96", "FEATVIS_SAMPLES": "4", "FEATVIS_BATCH": "8",
    "FEATVIS_PICTURES": "4", "FEATVIS_REQUESTS": "100000", "FEATVIS_STORED_MB": "20",
    "FEATVIS_SERVED_MB": "40", "FEATVIS_SESSIONS": str(SESSIONS),
}  # fmt: skip
EACH = 50  # requests of one visitor
PATIENCE = 30.0  # seconds until a request counts as lost
SHORT = 1.0  # seconds that a stream without an end is listened to
MOST = 400.0  # MB that the server may grow before it is ended
BROKEN = "Traceback (most recent call last)"


class Report:
    """The outcomes of the requests, by their kind."""

    def __init__(self) -> None:
        self.fates: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.slowest: defaultdict[str, float] = defaultdict(float)
        self.problems: list[str] = []

    def add(self, request: Request, answer: Answer, spent: float, echo: Collection[str]) -> None:
        """Judge one answer; `echo`: all that its page has sent, which the answer may repeat."""
        fault = problem(answer, *echo)
        self.fates[request.kind]["wrong" if fault else answer.fate] += 1
        self.slowest[request.kind] = max(self.slowest[request.kind], spent)
        if fault:
            door = request.door.name if request.door else f"{request.method} {request.path[:80]}"
            self.problems.append(
                f"{request.kind} {door} {str(request.values)[:120]}: {fault[:200]}"
            )

    def __str__(self) -> str:
        rows = [
            "| kind | sent | answered | refused in a sentence | wrong | most processor time, s |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for kind, fates in sorted(self.fates.items()):
            rows.append(
                f"| {kind} | {fates.total()} | {fates['answered']} | {fates['refused']} | "
                f"{fates['wrong']} | {self.slowest[kind]:.2f} |"
            )
        return "\n".join(rows)


def main(arguments: Sequence[str] = ()) -> None:
    """Print a table of the kinds, and what the server did besides."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks hostile")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--product", action="store_true",
                        help="each lure in each shape in each argument")  # fmt: skip
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout to serve")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, listen() as listener:
        folder = Path(name)
        plant(folder / "planted")
        with serve(folder, options.root.resolve(), **SMALL) as server:
            known, values = doors_of(server), [*lures(folder / "planted", options.root)]
            values += addresses(listener.port)
            if options.product:
                requests = _product(known, values)
            else:
                from .routes import routes  # Gradio takes seconds

                requests = draw(options.count, options.seed, known, routes(), values)
            asyncio.run(_use(server))
            good = _measure(server, requests, listener.requests)
    sys.exit(0 if good else 1)


def _measure(server: Server, requests: Sequence[Request], visits: list[str]) -> bool:
    """Send them and print; is all well?"""
    server.arm()
    before, begin = server.memory(), time.monotonic()
    with Guard(server, MOST) as guard:
        report = asyncio.run(fuzz(server, requests, progress=True))
    after, log = server.memory(), server.log
    disk, violations = sum(server.files().values()) / 1e6, server.violations()
    kinds = Counter(line.partition(" ")[0] for line in violations)
    bound = sum(float(SMALL[f"FEATVIS_{name}_MB"]) for name in ("STORED", "SERVED"))
    print(report)
    print(f"\n{len(requests)} requests in {time.monotonic() - begin:.0f} s: files read "
          f"{kinds['open']}, addresses fetched {kinds['connect'] + kinds['resolve']} (the "
          f"listener heard {len(visits)}), programs started {kinds['start']}, "
          f"tracebacks {log.count(BROKEN)}; "
          f"memory {before:.0f} MB before, {after:.0f} after ({after / before:.3f} times); disk "
          f"{disk:.1f} MB of {bound:.0f}; ended for its memory: "
          f"{'yes' if guard.tripped else 'no'}")  # fmt: skip
    for line in [*violations[:30], *dict.fromkeys(report.problems)][:80]:
        print("  wrong:", line)
    return not (violations or report.problems or visits or BROKEN in log or guard.tripped
                or disk > bound or after > 1.1 * before)  # fmt: skip


def doors_of(server: Server) -> list[Door]:
    """All doors of a running server."""
    answers = [
        httpx.get(f"{server.url}{path}", timeout=30) for path in ("/config", "/gradio_api/info")
    ]
    return doors(*(answer.json() for answer in answers))


async def _use(server: Server) -> None:
    """Show all that the server has, as visitors would, so that what it loads once is there."""
    config = httpx.get(f"{server.url}/config", timeout=30).json()
    for number, model in enumerate(zoo_adapters.names("bundled")):
        visitor = Visitor(server.url, 2**20 + number, config, PATIENCE)
        for tab in TABS:
            event = visitor.event("load", "load")
            await visitor.send(event, [], query=f"tab={tab.replace(' ', '+')}&m={model}")
        await visitor.http.aclose()
    for number in range(SESSIONS):  # as many open pages as are kept
        visitor = Visitor(server.url, 2**21 + number, config, PATIENCE)
        await visitor.send(visitor.event("load", "load"), [])
        await visitor.http.aclose()


async def fuzz(server: Server, requests: Sequence[Request], progress: bool = False) -> Report:
    """Send requests one after another, of many visitors."""
    report = Report()
    config = httpx.get(f"{server.url}/config", timeout=30).json()
    visitor = Visitor(server.url, 0, config, PATIENCE)
    echo: set[str] = set()
    for number, request in enumerate(requests):
        if number % EACH == 0:
            await visitor.http.aclose()
            visitor = Visitor(server.url, 2**18 + number // EACH, config, PATIENCE)
            await visitor.use("load", "load")
            echo.clear()
        echo.update(filter(None, request.echo))
        begin = server.processor()
        answer = await _send(visitor, request)
        report.add(request, answer, server.processor() - begin, echo)
        if server.process.poll() is not None:
            report.problems.append(f"the server ended after {request}"[:300])
            break
        if progress and number % 500 == 499:
            print(f"{number + 1} of {len(requests)}, {server.memory():.0f} MB", file=sys.stderr)
    await visitor.http.aclose()
    return report


async def _send(visitor: Visitor, request: Request) -> Answer:
    if request.door is not None:
        return await knock(visitor, request.door, request.values or {})
    if request.kind == "link":
        return await visitor.send(visitor.event("load", "load"), [], query=request.path)
    begin = time.monotonic()
    try:
        response, text = await _plain(visitor, request)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        if isinstance(error, httpx.InvalidURL | UnicodeError | httpx.UnsupportedProtocol):
            return Answer("refused", 0.0, "the client does not send this")
        return Answer("lost", time.monotonic() - begin, repr(error))
    return _judge(response, text, time.monotonic() - begin)


def _judge(response: httpx.Response, text: str, spent: float) -> Answer:
    """An answer is good, or a sentence; a page, a script or a picture is not read."""
    if response.status_code < 400:
        own = "json" in response.headers.get("content-type", "")
        config = len(text) > 50_000
        return Answer("answered", spent, text if own and not config else "")
    if response.request.method == "HEAD" and response.status_code < 500:
        return Answer("refused", spent, "an answer to HEAD has no body")
    try:
        words: Any = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        words = text if 0 < len(text) < 500 and "<" not in text else None
    if response.status_code >= 500 or not isinstance(words, str):
        return Answer("lost", spent, f"status {response.status_code}: {text[:200]}")
    return Answer("refused", spent, words)


async def _plain(visitor: Visitor, request: Request) -> tuple[httpx.Response, str]:
    """One request that is neither of the page nor of the API; a stream is heard for a second."""
    root = str(visitor.http.base_url).partition("/gradio_api")[0]
    files: Any = None
    path, method, content = request.path, request.method, request.body or None
    if request.kind == "upload":
        picture = hostile_pictures.picture(request.number)
        files = [("files", (request.name, picture)) for _ in range(request.files)]
        path, method, content = "/gradio_api/upload", "POST", None
    headers = {"content-type": "application/json"} if content else {}
    stream = visitor.http.stream(method, root + path, content=content, files=files, headers=headers)
    body = bytearray()
    async with stream as response:
        endless = "event-stream" in response.headers.get("content-type", "")

        async def read() -> None:
            async for part in response.aiter_bytes():
                body.extend(part)

        try:
            await asyncio.wait_for(read(), SHORT if endless else PATIENCE)
        except asyncio.TimeoutError:
            if not endless:
                raise httpx.ReadTimeout("the answer has no end") from None
    response._content = bytes(body)
    return response, body.decode(errors="replace")


def _product(known: Sequence[Door], values: Sequence[Any]) -> list[Request]:
    """Each lure and its twin, in each shape, in each argument."""
    return [
        Request({"call": "endpoint"}.get(door.kind, door.kind), door, {place: shape(value)},
                echo=(value,))
        for door in known for place in places(door) for lure in values
        for shape in SHAPES.values() for value in (lure.value, lure.twin) if value
    ]  # fmt: skip
