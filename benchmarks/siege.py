"""Siege: minutes of attacks of our own invention, beside visitors who use the window.

What is sent here is in no list of known attacks: it bends HTTP, JSON, sessions and the server's own
generosity. `docs/security.md` says what was invented, and what became of it.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from app.question.pictures import EXAMPLES

from . import hostile_pictures
from .client import Visitor
from .leaks import problem
from .load import middle
from .server import Server, serve

__all__ = ["main"]

VISITORS = 4
READS = 2.0  # seconds that a visitor looks at an answer
FIRST = 50_000  # number of the first attacker; each invention has an address of its own
MARKUP = "<img src=x onerror=alert(1)>"
BUNDLED = [f"bundled:scenes-{name}" for name in ("resnet", "alexnet", "convnext", "vit")]


def main(arguments: Sequence[str] = ()) -> None:
    """Print what each invention was answered, what visitors felt, and what was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks siege")
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server:
        asyncio.run(_besiege(server, 60 * options.minutes))


async def _besiege(server: Server, seconds: float) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        config = (await http.get("/config")).json()
    visitors = [Visitor(server.url, number, config) for number in range(VISITORS)]
    owned = [(await v.upload(hostile_pictures.noise(n, 20_000))).value for n, v in
             enumerate(visitors)]  # fmt: skip
    await _use(visitors, 15)  # until all is loaded that a visit needs
    peace = await _use(visitors, 60)
    before = server.memory()
    server.arm()
    fates: dict[str, Counter[str]] = {}
    attacks = [asyncio.create_task(_repeat(name, invention, server, config, n, fates, owned))
               for n, (name, invention) in enumerate(INVENTIONS.items())]  # fmt: skip
    war = await _use(visitors, seconds)
    for attack in attacks:
        attack.cancel()
    ends = await asyncio.gather(*attacks, return_exceptions=True)
    await asyncio.sleep(10)
    statuses = [
        (await visitor.http.get(f"/file={name}")).status_code
        for visitor, name in zip(visitors, owned, strict=True)
    ]
    _report(server, fates, peace, war, before, statuses)
    for name, end in zip(INVENTIONS, ends, strict=True):
        if not isinstance(end, asyncio.CancelledError):  # one of its answers was wrong
            print(f"  wrong: {name} ended early: {end!r}"[:600])


def _report(
    server: Server,
    fates: dict[str, Counter[str]],
    peace: Any,
    war: Any,
    before: float,
    statuses: Any,
) -> None:
    print("| invention | sent | answered | refused | closed |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, count in fates.items():
        print(f"| {name} | {count.total()} | {count['answered']} | {count['refused']} | "
              f"{count['closed']} |")  # fmt: skip
    for name, (times, lost) in (("before", peace), ("during", war)):
        print(f"visitors {name}: {len(times)} light answers, {middle(times)} s (p50 / p95), "
              f"{lost} lost")  # fmt: skip
    tracebacks = server.log.count("Traceback (most recent call last)")
    disk = sum(server.files().values()) / 1e6
    print(f"memory {before:.0f} MB before, {server.memory():.0f} after; {disk:.0f} MB on disk; "
          f"{tracebacks} tracebacks; uploads of visitors still there: {statuses.count(200)} of "
          f"{len(statuses)}; tripwire: {server.violations() or 'nothing'}")  # fmt: skip


async def _use(visitors: list[Visitor], seconds: float) -> tuple[list[float], int]:
    """Light answers of visitors who look at pictures, and how many were lost or wrong."""
    end, times, lost = time.monotonic() + seconds, [], 0

    async def visit(visitor: Visitor, chance: random.Random) -> None:
        nonlocal lost
        await visitor.use("load", "load")
        while time.monotonic() < end:
            answer = await visitor.use("fv-examples", "select", pick=chance.choice(EXAMPLES))
            if answer.fate == "answered":
                times.append(answer.first)
            else:
                lost += 1
            await asyncio.sleep(chance.expovariate(1 / READS))

    await asyncio.gather(*(visit(v, random.Random(n)) for n, v in enumerate(visitors)))
    return times, lost


async def _repeat(
    name: str, invention: Invention, server: Server, config: Any, number: int,
    fates: dict[str, Counter[str]], owned: list[str],
) -> None:  # fmt: skip
    """One invention, again and again, by an address of its own."""
    visitor = Visitor(server.url, FIRST + number, config, 30)
    count = fates.setdefault(name, Counter())
    chance = random.Random(name)
    while True:
        try:
            count[await invention(visitor, chance, owned)] += 1
        except (httpx.HTTPError, OSError, asyncio.TimeoutError, EOFError):
            count["closed"] += 1
        await asyncio.sleep(0.02)


def _fate(response: httpx.Response) -> str:
    if response.status_code < 400:
        return "answered"
    text = response.text
    assert len(text) < 4000, text[:200]
    assert "Traceback" not in text, text[:500]
    return "refused"


async def _raw(visitor: Visitor, *parts: bytes) -> str:
    """Bytes on a connection of their own; the first line that comes back."""
    address = urlsplit(visitor.server)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        line = await asyncio.wait_for(reader.readline(), 15)
        await asyncio.wait_for(reader.read(100_000), 15)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return "closed" if not line else "answered" if b" 200" in line else "refused"


def _head(visitor: Visitor, line: str, *more: str) -> bytes:
    lines = [line, "Host: a", f"X-Forwarded-For: {visitor.address}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _smuggle(visitor: Visitor, chance: random.Random, _: list[str]) -> str:
    """Two lengths, a length beside chunks, chunks of one byte, absolute targets, other versions."""
    post = "POST /gradio_api/queue/join HTTP/1.1"
    lines = [
        [_head(visitor, post, "Content-Length: 2", "Content-Length: 50"), b"{}GET /config"],
        [_head(visitor, post, "Content-Length: 2", "Transfer-Encoding: chunked"), b"0\r\n\r\n{}"],
        [_head(visitor, post, "Transfer-Encoding: chunked"), b"1\r\n{\r\n" * 3000],
        [_head(visitor, post, "Transfer-Encoding: chunked"), b"ffffffffffffffff\r\n{}"],
        [_head(visitor, "GET http://169.254.169.254/latest HTTP/1.1")],
        [_head(visitor, "GET /gradio_api/../../etc/passwd HTTP/1.1")],
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
        [_head(visitor, "GET /assets/a.js HTTP/1.1") * 500],
        [_head(visitor, "POST /gradio_api/upload HTTP/1.1", "Expect: 100-continue",
               "Content-Length: 4000000")],
        [_head(visitor, "GET /gradio_api/heartbeat/x HTTP/1.1", "Upgrade: websocket",
               "Connection: upgrade")],
        [_head(visitor, "GET / HTTP/1.1", *(f"X-{n}: {'y' * 90}" for n in range(900)))],
    ]  # fmt: skip
    return await _raw(visitor, *chance.choice(lines))


async def _encode(visitor: Visitor, chance: random.Random, _: list[str]) -> str:
    """Bodies that say the same in another way: keys twice, escaped, other encodings, packed."""
    event = visitor.event("fv-picture", "input")
    session = f'"session_hash": "{visitor.session}"'
    body = f'{{"data": [null, {{"\\u0070ath": "/etc/hostname"}}], "fn_index": {event}, {session}}}'
    twice = f'{{"data": [], "data": [null, {{"url": "http://127.0.0.1"}}], "fn_index": {event}}}'
    bodies = [
        body.encode(), twice.encode(), body.encode("utf-16"), b"\xef\xbb\xbf" + body.encode(),
        gzip.compress(b"[" * 1_000_000), b"[" * 60_000, b'{"a":' * 10_000, b"\xff\xfe{",
        json.dumps({"__proto__": {"path": "/x"}, "data": [[[{"path": ["/x"]}]]]}).encode(),
    ]  # fmt: skip
    headers = {"content-type": "application/json"}
    if chance.random() < 0.3:
        headers["content-encoding"] = chance.choice(("gzip", "br", "deflate"))
    return _fate(
        await visitor.http.post("/queue/join", content=chance.choice(bodies), headers=headers)
    )


async def _steal(visitor: Visitor, chance: random.Random, owned: list[str]) -> str:
    """Delete what others sent, cancel what they wait for, listen to their sessions."""
    kind = chance.randrange(3)
    if kind == 0:
        answer = await visitor.call("delete", chance.choice(owned))
        assert answer.fate != "answered", "another's upload was deleted"
        return "refused"
    if kind == 1:
        body = {"session_hash": f"{chance.randrange(16**12):012x}", "fn_index": 1,
                "event_id": f"{chance.randrange(16**32):032x}"}  # fmt: skip
        return _fate(await visitor.post("/cancel", body))
    async with visitor.http.stream("GET", f"/queue/data?session_hash={chance.randrange(9)}") as one:
        await one.aread()
        return _fate(one)


async def _page(visitor: Visitor, chance: random.Random, _: list[str]) -> str:
    """Pages, which are written for each request, as fast as they come."""
    path = chance.choice(("/", "/config", "/gradio_api/info", "/status", "/?lang=ko"))
    return _fate(await visitor.http.get(visitor.server + path))


async def _deaf(visitor: Visitor, chance: random.Random, _: list[str]) -> str:
    """Ask for large answers and never read them."""
    address = urlsplit(visitor.server)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    del reader
    writer.write(_head(visitor, "GET /config HTTP/1.1") * 30)
    with suppress(OSError, asyncio.TimeoutError):
        await asyncio.wait_for(writer.drain(), 2)
        await asyncio.sleep(20)
    writer.close()
    return "closed"


async def _crowd(visitor: Visitor, chance: random.Random, _: list[str]) -> str:
    """Many small pictures, to push out those of others."""
    answer = await visitor.upload(hostile_pictures.noise(chance.randrange(10**9), 300_000))
    return answer.fate if answer.fate != "lost" else "closed"


async def _draw(visitor: Visitor, chance: random.Random, _: list[str]) -> str:
    """Scenes that nobody saw, on another network each time: nothing is ever kept for long."""
    image = f"scene-{chance.randrange(10**6)}"
    answer = await visitor.call("run", "cam", chance.choice(BUNDLED), image, "", "", -1, "", "{}")
    assert not problem(answer), problem(answer)
    return answer.fate


async def _mark(visitor: Visitor, chance: random.Random, _: list[str]) -> str:
    """Markup in every word of a link: none may come back as markup."""
    keys = ("m", "layer", "cls", "img", "tab", "p.pair", "method", "title", "lang")
    query = "&".join(f"{key}={MARKUP}" for key in chance.sample(keys, 4))
    event = visitor.event("load", "load")
    answer = await visitor.send(event, [], query=query.replace("<", "%3C").replace(">", "%3E"))
    assert MARKUP not in json.dumps(answer.value), "markup came back as it was sent"
    page = await visitor.http.get(f"{visitor.server}/?{query}")
    assert MARKUP not in page.text, "markup came back in the page"
    return answer.fate if answer.fate != "lost" else "closed"


async def _rebuild(visitor: Visitor, chance: random.Random, _: list[str]) -> str:
    """An event of a new session each time, with a page's address of 8 KB to be rebuilt from."""
    referer = f"{visitor.server}/?" + "&".join(f"m=bundled:scenes-{n}" for n in range(400))
    body = {"data": [None], "fn_index": visitor.event("fv-next", "click"),
            "session_hash": f"s{chance.randrange(10**9)}"}  # fmt: skip
    response = await visitor.http.post("/queue/join", json=body, headers={"referer": referer})
    return _fate(response)


async def _leave(visitor: Visitor, chance: random.Random, _: list[str]) -> str:
    """Long jobs, each of them given up at once, before anybody could hear of it."""
    parameters = json.dumps({"steps": 300, "seed": chance.randrange(10**6)})
    values = ["deepdream", BUNDLED[0], "scene-2", "", "layer4", -1, "", parameters]
    response = await visitor.post("/call/run", {"data": values})
    return _fate(response)


Invention = Callable[[Visitor, random.Random, list[str]], Awaitable[str]]
INVENTIONS: dict[str, Invention] = {
    "requests that bend HTTP": _smuggle,
    "bodies in other words": _encode,
    "what is another's": _steal,
    "pages without a pause": _page,
    "answers that nobody reads": _deaf,
    "pictures that crowd out others": _crowd,
    "scenes that nobody saw": _draw,
    "markup in links": _mark,
    "visits to be rebuilt": _rebuild,
    "long jobs given up at once": _leave,
}
