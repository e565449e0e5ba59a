"""The attacker: one address that does its worst, each kind of it as often as it is let.

`python -m benchmarks.attacker ADDRESS` until it is ended; `benchmarks.load` starts it beside its
visitors.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx

from . import hostile_pictures
from .client import Visitor, file_object

__all__ = ["NUMBER", "main"]

NUMBER = 30_000  # of the visitor that it is
SOURCE = "127.0.3.1" if sys.platform == "linux" else None  # where it connects from
MODEL = "bundled:scenes-resnet"
PAUSE = 0.05  # seconds between two of a kind: it is refused far more often than it is heard
SILENT = 200  # connections that say nothing more
AT_ONCE = 20  # events and calls of a kind
LONG = {"query": "?tab=Synthesis&layer=layer4&ch=5&p.steps=400", "kind": "picture"}


def main(url: str) -> None:
    """Attack until this process is ended; its own work comes after that of the server."""
    if hasattr(os, "nice"):
        os.nice(15)  # an attacker's processor is not the server's
    with suppress(KeyboardInterrupt):
        asyncio.run(_attack(url))


async def _attack(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        config = (await http.get("/config")).json()
    visitor = Visitor(url, NUMBER, config, 60, SOURCE)
    pictures = [
        hostile_pictures.many_scans(400), hostile_pictures.many_frames(2000),
        hostile_pictures.profile(100), hostile_pictures.noise(1, 4_800_000),
    ]  # fmt: skip
    await visitor.use("load", "load")
    kinds: list[Callable[[], Awaitable[Any]]] = [
        lambda: _upload(visitor, random.choice(pictures)),
        lambda: visitor.call("run", "maximize", MODEL, "scene-24", "", "layer4", 1, "",
                             json.dumps({"steps": 400, "seed": 7})),
        lambda: _page(visitor),
        lambda: visitor.ask(_saving(config), "save", LONG),
        lambda: visitor.call("models", "", " ".join(["q"] * 100_000)),
        lambda: _files(visitor),
        lambda: visitor.http.post("/process_recording", files={"file": ("a", bytes(4_000_000))}),
        lambda: visitor.http.get(f"/deep_link?session_hash={visitor.session}"),
    ]  # fmt: skip
    await asyncio.gather(_silent(url), *map(_again, kinds * (AT_ONCE // 4)))


async def _again(request: Callable[[], Awaitable[Any]]) -> None:
    while True:
        with suppress(httpx.HTTPError, OSError, LookupError, ValueError):
            await request()
        await asyncio.sleep(PAUSE)


async def _upload(visitor: Visitor, data: bytes) -> None:
    answer = await visitor.upload(data)
    if answer.fate == "answered":
        await visitor.use("fv-picture", "input", file_object(str(answer.value)))


async def _page(visitor: Visitor) -> None:
    """A page whose own long work runs, and whose buttons are clicked all the same."""
    page = Visitor(visitor.server, NUMBER, visitor.config, 60, SOURCE)
    query = f"tab=Synthesis&m={MODEL}&layer=layer4&ch={random.randrange(400)}&p.steps=400"
    load, button = page.event("load", "load"), page.event("fv-next", "click")
    clicks = [page.send(button, []) for _ in range(AT_ONCE)]
    await asyncio.gather(page.send(load, [], query=query), *clicks)
    await page.http.aclose()


async def _files(visitor: Visitor) -> None:
    """Files, of which nobody counts how many are read."""
    for path in ("/", "/config", "/gradio_api/info", "/status", "/healthz"):
        await visitor.http.get(visitor.server + path)


async def _silent(url: str) -> None:
    """Connections that stop in the middle of a request; a closed one is opened again."""
    address, sockets = urlsplit(url), []
    while True:
        sockets = [one for one in sockets if one.fileno() >= 0 and _is_open(one)]
        for _ in range(SILENT - len(sockets)):
            with suppress(OSError):
                one = socket.create_connection(
                    (address.hostname, address.port), 5, (SOURCE, 0) if SOURCE else None
                )
                one.sendall(b"POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nX: ")
                one.setblocking(False)
                sockets.append(one)
        await asyncio.sleep(1)


def _is_open(one: socket.socket) -> bool:
    try:
        return one.recv(1000) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _saving(config: dict[str, Any]) -> int:
    """The component that saves what a page shows."""
    return next(part["id"] for part in config["components"] if part["props"].get("server_fns"))


if __name__ == "__main__":
    main(sys.argv[1])
