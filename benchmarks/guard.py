"""The guard: ends a server that takes more memory than an attack may cost, before it takes all."""

from __future__ import annotations

from threading import Event, Thread
from typing import Any

from .server import Server

__all__ = ["Guard"]

PAUSE = 0.05  # seconds between two looks


class Guard:
    """`with Guard(server, 300) as guard:` and afterwards `guard.tripped`."""

    def __init__(self, server: Server, megabytes: float) -> None:
        self.server, self.most = server, server.memory() + megabytes
        self.tripped, self.over = False, Event()
        self.thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Guard:
        self.thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.over.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.over.wait(PAUSE):
            if self.server.memory() > self.most:
                self.tripped = True
                self.server.end()
                return
