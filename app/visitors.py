"""Visitors: how often one may ask, and how much one may send; before a request is even read.

A token bucket for each address: as many requests as a minute has may come at once, and they are
given back evenly. What only looks, such as files and the page, is not counted.
"""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address, ip_network
from typing import Any

from .limits import limits

__all__ = ["Buckets", "Visitors", "address"]

COUNTED = ("queue/join", "/call/", "/run/", "/api/", "/upload", "component_server", "/mcp")
MOST = 10_000  # addresses that are remembered
BESIDE = 1_000_000  # bytes of a request beside an upload

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Buckets:
    """For each address, how many requests it has left and when that was so."""

    def __init__(self) -> None:
        self.left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, who: str, now: float, a_minute: int) -> float:
        """Take one request of an address; seconds until it has one, 0 where it had."""
        left, since = self.left.pop(who, (float(a_minute), now))
        left = min(float(a_minute), left + (now - since) * a_minute / 60)
        self.left[who] = (left - 1 if left >= 1 else left, now)
        if len(self.left) > MOST:
            self.left.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) * 60 / a_minute


class Visitors:
    """Refuses, in a sentence, what comes too often or is too large."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app, self.buckets = app, Buckets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        a_minute, path = limits().requests, scope["path"]
        if a_minute and any(part in path for part in COUNTED):
            wait = self.buckets.wait(address(scope), time.monotonic(), a_minute)
            if wait:
                words = f"at most {a_minute} requests a minute: wait {max(1, round(wait))} s"
                return await _refuse(send, 429, words, round(wait) + 1)
        most = int(1e6 * limits().upload_mb) + BESIDE if limits().upload_mb else 0
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if most and told.isdigit() and int(told) > most:
            return await _refuse(send, 413, f"a request has at most {most / 1e6:g} MB", 0)
        return await self.app(scope, _counted(receive, most) if most else receive, send)


def address(scope: Scope) -> str:
    """Who asks: an IPv4 address, or the network that one household has of IPv6.

    What a proxy says is believed on a Space, and where FEATVIS_TRUST_PROXY tells how many proxies
    are before this server: then the address that the first of them saw, counted from the right.
    """
    who = (scope.get("client") or ("",))[0]
    said = dict(scope["headers"]).get(b"x-forwarded-for", b"").decode("latin-1").split(",")
    trusted = os.environ.get("FEATVIS_TRUST_PROXY", "")
    if trusted.isdecimal() and 0 < int(trusted) <= len(said):
        who = said[-int(trusted)].strip() or who
    elif os.environ.get("SPACE_ID") and not trusted:
        who = said[0].strip() or who
    try:
        known = ip_address(who)
    except ValueError:
        return who[:50]
    return str(known) if known.version == 4 else str(ip_network(f"{known}/64", strict=False))


def _counted(receive: Receive, most: int) -> Receive:
    """The same, but a body without an announced length ends where it becomes too long."""
    seen = 0

    async def counted() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > most else message

    return counted


async def _refuse(send: Send, code: int, words: str, wait: int) -> None:
    """An answer of one sentence, as Gradio's page and its client show it."""
    body = json.dumps({"detail": words}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers += [(b"retry-after", b"%d" % wait)] if wait else []
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
