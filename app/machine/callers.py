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
from urllib.parse import parse_qs, urlsplit

from .disk_store import OWNER
from .jobs import Work

JOBS: defaultdict[str, set[Caller]] = defaultdict(set)  # of an event or a session
LOCK = Lock()


@contextmanager
def asked_by(request: Any) -> Iterator[None]:
    """Within: work belongs to the address that a request came from."""
    client = getattr(request, "client", None)
    token = OWNER.set(str(getattr(client, "host", None) or ""))
    try:
        yield
    finally:
        OWNER.reset(token)


def address_of(request: Any) -> str:
    """The query of the page that a request came from, as its browser tells it."""
    headers = getattr(request, "headers", None) or {}
    return urlsplit(str(headers.get("referer", ""))).query


class Caller:
    """Somebody who waits for work, perhaps with others; to leave twice counts once."""

    def __init__(self, work: Work[Any]) -> None:
        self.work, self.has_left = work, False

    def leave(self) -> None:
        """Wait no longer: the work stops if nobody else waits for it."""
        if not self.has_left:
            self.has_left = True
            self.work.leave()


@contextmanager
def listened_to(work: Work[Any], *streams: str | None) -> Iterator[None]:
    """Within, a caller waits for `work`: until one of these streams, events or sessions, closes."""
    names = {name for name in streams if name}
    caller = Caller(work)
    with LOCK:
        for name in names:
            JOBS[name].add(caller)
    try:
        yield
    finally:
        with LOCK:
            for name in names:
                JOBS[name].discard(caller)
                if not JOBS[name]:
                    del JOBS[name]
        caller.leave()


def _closed(stream: str) -> None:
    with LOCK:
        callers = [*JOBS.get(stream, ())]
    for caller in callers:
        caller.leave()


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


def session_of(scope: Any) -> str:
    """The session whose answers a request listens to."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return query.get("session_hash", [""])[0]


def _stream(scope: Any) -> str:
    """The event or the session of a stream of answers; "" of other requests."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return ""
    path = scope["path"]
    if path.endswith("/queue/data"):
        return session_of(scope)
    return path.rpartition("/")[2] if "/call/" in path else ""
