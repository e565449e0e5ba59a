"""Callers: who waits for a job of the API; it stops when nobody does any more.

An answer of the API comes over a stream that its caller listens to, for one event or for all of a
session. Gradio drops the events of a stream that is closed which still wait; those under way would
go on to their end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from urllib.parse import parse_qs

from .work import Work

__all__ = ["Callers", "listened_to"]

JOBS: defaultdict[str, set[Work[Any]]] = defaultdict(set)  # of an event or a session
LOCK = Lock()


@contextmanager
def listened_to(work: Work[Any], *streams: str | None) -> Iterator[None]:
    """`work` is cancelled when one of these streams, events or sessions, is closed."""
    names = {name for name in streams if name}
    with LOCK:
        for name in names:
            JOBS[name].add(work)
    try:
        yield
    finally:
        with LOCK:
            for name in names:
                JOBS[name].discard(work)
                if not JOBS[name]:
                    del JOBS[name]


def _closed(stream: str) -> None:
    with LOCK:
        jobs = [*JOBS.get(stream, ())]
    for work in jobs:
        work.cancel()


class Callers:
    """Watches the streams of answers: one that is closed before its end is not listened to."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        stream = _stream(scope)
        if not stream:
            await self.app(scope, receive, send)
            return
        ended = False

        async def sent(message: Any) -> None:
            nonlocal ended
            ended = ended or (
                message["type"] == "http.response.body" and not message.get("more_body")
            )
            await send(message)

        async def received() -> Any:
            message = await receive()
            if message["type"] == "http.disconnect" and not ended:
                _closed(stream)
            return message

        await self.app(scope, received, sent)


def _stream(scope: Any) -> str:
    """The event or the session of a stream of answers; "" of other requests."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return ""
    path = scope["path"]
    if path.endswith("/queue/data"):
        return parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
    return path.rpartition("/")[2] if "/call/" in path else ""
