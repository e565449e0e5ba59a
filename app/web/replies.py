"""Replies: a sentence, a text or bytes that the server sends by itself, without Gradio."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Send

from featvis import WrongRequest

Pair = tuple[bytes, bytes]


class Refusal(WrongRequest):
    """A request that is not passed on: the sentence, and the status of the answer."""

    def __init__(self, words: str, code: int = 400, wait: float = 0) -> None:
        super().__init__(words)
        self.code, self.wait = code, wait


async def answer(send: Send, code: int, kind: str, body: bytes, *headers: Pair) -> None:
    """One whole answer."""
    first = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": code, "headers": first})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, refusal: Refusal, words: str, plain: bool = False) -> None:
    """A sentence, as Gradio's page and its clients show it: `plain` for uploads."""
    wait = [(b"retry-after", b"%d" % (refusal.wait + 1))] if refusal.wait else []
    body = words if plain else json.dumps({"detail": words}, ensure_ascii=False)
    kind = "text/plain; charset=utf-8" if plain else "application/json"
    await answer(send, refusal.code, kind, body.encode(), (b"cache-control", b"no-store"), *wait)


async def stream(send: Send) -> Callable[[Any], Awaitable[None]]:
    """Begin a stream of events; the function that sends one."""
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def event(data: Any, last: bool = False) -> None:
        body = f"data: {json.dumps(data)}\n\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": not last})

    return event
