"""Connections: those that say nothing, or read nothing, are closed, and each address has so many.

The protocol of uvicorn, with a look once a second at each open connection. The head of a request
must be complete in time, its body must come at a pace, and the client must read the answer.
Streams of answers may stay open: while the server has nothing to say, nobody is late.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from typing import Any

from ..machine.limits import limits
from .visitors import address

EVERY = 1.0  # seconds between two looks
PACE = 16_000  # bytes of a body that a second more is given for
LONG = 10  # times `read_seconds`: the most for one write, however slowly a client reads it
SPARE = 200  # open files that are not for connections
REASONS = {408: b"Request Timeout", 503: b"Service Unavailable"}


class Patience:
    """The deadlines of a connection, for a class that comes before a protocol of uvicorn."""

    def connection_made(self, transport: Any) -> None:
        """Count the connection, and wait for the head of a request."""
        super().connection_made(transport)
        self.watch, self.peer = _watch(self), _peer(self.client)
        now = self.watch.clock
        self.head: float | None = now  # since when a head is waited for
        self.request: Any = None  # the one whose body is counted
        self.body, self.received = now, 0  # since when it comes, and how much of it came
        self.unread, self.stuck = 0, now  # bytes that the client has not read, and since when
        self.full: float | None = None  # since when the buffer is full
        self.watch.peers[self.peer] += 1
        if words := self._crowd():
            self._refuse(503, words)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        super().connection_lost(exc)
        self.watch.peers[self.peer] -= 1
        if self.watch.peers[self.peer] <= 0:
            del self.watch.peers[self.peer]

    def data_received(self, data: bytes) -> None:
        """Pieces of a request."""
        if self.head is None and not self._under_way():
            self.head = self.watch.clock  # of the next request on this connection
        self.received += len(data)
        super().data_received(data)
        self._note()

    def pause_writing(self) -> None:
        """The client reads more slowly than the server writes."""
        super().pause_writing()
        self.full = self.watch.clock

    def resume_writing(self) -> None:
        """The client has read most of it."""
        super().resume_writing()
        self.full = None

    def look(self, now: float) -> None:
        """End the connection if it is late."""
        self._note()
        here = limits()
        if self._is_stuck(now, here.read_seconds):
            self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self.head is not None and now - self.head > here.header_seconds > 0:
            self._refuse(408, f"a request's head comes within {here.header_seconds:g} s")
        elif self._is_slow(now, here.body_seconds):
            self._refuse(408, f"a request's body comes within {here.body_seconds:g} s")

    def _crowd(self) -> str:
        """Why one more connection is too many, or ""."""
        here = limits()
        if here.connections and not _proxied() and self.watch.peers[self.peer] > here.connections:
            return f"one address has at most {here.connections} connections here"
        most = min(here.connections_all or 10**9, _room())
        return "too many visitors are here; try again later" if len(self.connections) > most else ""

    def _under_way(self) -> bool:
        """Is a request worked on?"""
        cycle = getattr(self, "cycle", None)
        return cycle is not None and not cycle.response_complete

    def _note(self) -> None:
        """Begin to count anew where the next request has begun."""
        cycle = getattr(self, "cycle", None)
        if cycle is not self.request:
            self.request, self.head = cycle, None
            self.body, self.received = self.watch.clock, 0

    def _is_slow(self, now: float, most: float) -> bool:
        """Does the body of the request come too slowly? The server itself may not want it yet."""
        if not self._under_way() or not self.request.more_body or not most:
            return False
        if self.flow.read_paused or getattr(self.request, "waiting_for_100_continue", False):
            self.body += EVERY
        return now - self.body > most + self.received / PACE

    def _is_stuck(self, now: float, most: float) -> bool:
        """Has the client stopped reading, or does it read too slowly?"""
        size = self.transport.get_write_buffer_size()
        if not size or size < self.unread:
            self.stuck = now
        self.unread = size
        late = now - self.stuck > most or (self.full is not None and now - self.full > LONG * most)
        return bool(size and most and late)

    def _refuse(self, code: int, words: str) -> None:
        """Say why, if nothing was said yet, and end the connection."""
        cycle = getattr(self, "cycle", None)
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%s"
                % (code, REASONS[code], len(words), words.encode("ascii"))
            )
        self.transport.close()

    def _should_upgrade(self) -> bool:
        """No page of featvis uses a websocket: the wish for one is passed over."""
        return False

    def _unsupported_upgrade_warning(self) -> None:
        """No line in the log: strangers could fill it."""


def install() -> None:
    """Let the servers that begin from now on have this patience."""
    from uvicorn.protocols.http import auto

    if not issubclass(auto.AutoHTTPProtocol, Patience):
        auto.AutoHTTPProtocol = type("Connection", (Patience, auto.AutoHTTPProtocol), {})
        logging.getLogger("uvicorn.error").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """A visitor who is gone before the request is complete leaves no traceback in the log."""
    return not (record.exc_info and type(record.exc_info[1]).__name__ == "ClientDisconnect")


class Watch:
    """The connections of one server, at which it looks once a second while its loop runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        self.loop, self.connections = loop, connections
        self.peers: Counter[str] = Counter()  # open connections of each address
        self.clock = 0.0  # seconds in which its loop ran
        loop.call_later(EVERY, self.look)

    def look(self) -> None:
        """Look at each. Time in which the server itself was late is nobody's fault."""
        self.loop.call_later(EVERY, self.look)
        self.clock += EVERY
        for connection in [*self.connections]:
            connection.look(self.clock)


def _watch(protocol: Any) -> Watch:
    """The one of the server; it begins with the first connection."""
    state = protocol.server_state
    if not hasattr(state, "watch"):
        state.watch = Watch(protocol.loop, protocol.connections)
    return state.watch


def _proxied() -> bool:
    """Do all connections come from a proxy, so that its address says nothing?"""
    trusted = os.environ.get("FEATVIS_TRUST_PROXY", "")
    return bool(os.environ.get("SPACE_ID")) or (trusted.isdecimal() and int(trusted) > 0)


def _peer(client: Any) -> str:
    """The address at the other end, IPv6 by its network."""
    return address({"client": client, "headers": []}) if client else ""


def _room() -> int:
    """How many connections the open files of this process allow."""
    try:
        import resource
    except ImportError:  # Windows counts none
        return 10**9
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 10**9 if soft == resource.RLIM_INFINITY else max(soft - SPARE, soft // 2)
