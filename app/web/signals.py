"""Signals: how the server ends, within seconds, whatever is under way.

The handlers are set by the command itself: a process with the number 1, as in a container, hears
no signal without one. Threads that compute cannot be stopped in the middle of a batch, and the
interpreter would wait for them, or abort under them; so the process leaves without it. Files are
written whole (see disk.py), so that none is cut.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from ..machine.jobs import cancel_all

LOG = logging.getLogger("featvis")
CODES = {"SIGTERM": 0, "SIGINT": 130, "SIGBREAK": 130}  # exit codes; the last is of Windows
ANSWERS = 1.5  # seconds in which answers that are nearly ready still go out
GRACE = 3.0  # seconds until the process ends in any case
OFTEN = 0.1  # seconds between two looks whether a signal came


class Stop:
    """Waits for the signal that ends the server."""

    def __init__(self) -> None:
        self.code: int | None = None  # of the exit, once a signal has asked for it
        self.serving = False

    def install(self) -> None:
        """Hear the signals from now on."""
        if threading.current_thread() is threading.main_thread():
            for name in CODES:
                if number := getattr(signal, name, None):
                    signal.signal(number, self._handle)

    def _handle(self, number: int, _: FrameType | None) -> None:
        code = CODES[signal.Signals(number).name]
        again = self.code is not None and number == signal.SIGINT
        if again or not self.serving:  # asked twice, or nobody is served yet
            leave(code)
        if self.code is None:
            self.code = code

    def wait(self, blocks: Any) -> NoReturn:
        """Serve until a signal comes; then close the server and leave."""
        self.serving = True
        while self.code is None:
            time.sleep(OFTEN)
        with suppress(RuntimeError):  # of a system that gives no more threads
            deadline = threading.Timer(GRACE, leave, (self.code,))
            deadline.daemon = True
            deadline.start()
        _close(blocks)
        leave(self.code)


def leave(code: int) -> NoReturn:
    """End the process now, whatever its threads do."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # closed, or in the middle of a line
            stream.flush()
    for child in multiprocessing.active_children():
        with suppress(Exception):
            child.kill()
    os._exit(code)


def _close(blocks: Any) -> None:
    """Take no more requests, cancel the jobs, and end the streams."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # of each that is cut
    LOG.info("the server ends")
    if server := blocks.server:
        server.config.timeout_graceful_shutdown = ANSWERS
        server.should_exit = True
    cancel_all()
    with suppress(Exception):  # what fails now keeps nobody here
        blocks.close(verbose=False)
