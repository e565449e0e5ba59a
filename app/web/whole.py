"""Whole pages: an HTML answer is gathered and changed before it is sent on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any


async def changed(
    app: Callable[..., Awaitable[None]],
    scope: Any,
    receive: Any,
    send: Any,
    change: Callable[[bytes], bytes],
    *headers: tuple[bytes, bytes],
) -> None:
    """What `app` answers, with `headers` more; HTML as `change` gives it."""
    begun: list[Any] = []
    body = b""

    async def gathered(message: Any) -> None:
        nonlocal body
        if message["type"] == "http.response.start":
            begun.append(message)
            return
        body += message.get("body", b"")
        if message.get("more_body"):
            return
        start = begun.pop()
        html = any(
            name.lower() == b"content-type" and value.startswith(b"text/html")
            for name, value in start["headers"]
        )
        made = change(body) if body and html else body
        kept = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        # an answer to HEAD has no body, and does not say how long it would be
        length = [(b"content-length", str(len(made)).encode())] if made else []
        await send({**start, "headers": [*kept, *headers, *length]})
        await send({"type": "http.response.body", "body": made})

    await app(scope, receive, gathered)
