"""The process that decodes, seen from the server: asked, timed, killed, and started anew."""

from __future__ import annotations

import json
import logging
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Lock, Timer
from typing import Any

from zoo_adapters import raster

from . import decoder_program
from .decoder_program import DONE, REFUSED, SHORT

LOG = logging.getLogger("featvis")
TRIES = 3  # one of them may be killed as it starts, and one as it decodes
START = 30.0  # seconds until a process is ready
LONGEST = 64_000_000  # bytes of an answer
# No more of the environment than it takes to start: the rest may hold secrets.
HANDED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TEMP")


class Ended(Exception):
    """The process ended before it answered."""


class Slow(Exception):
    """The process was killed: it took too long."""


class Unavailable(Exception):
    """No process can be started."""


class Process:
    """One process, started when it is needed and whenever the last one ended."""

    def __init__(self) -> None:
        self.popen: subprocess.Popen[bytes] | None = None
        self.lock = Lock()

    def ask(self, job: dict[str, Any], data: bytes) -> tuple[bytes, bytes]:
        """How the answer begins, and its rest; asked again if something else ends the process."""
        with self.lock:
            for _ in range(TRIES - 1):
                try:
                    return self._ask(job, data)
                except Ended:
                    LOG.warning("a process that decodes ended; it is started again")
            return self._ask(job, data)

    def warm(self) -> None:
        """Start the process if it does not run."""
        with self.lock, suppress(Unavailable, Ended):
            self._ensure()

    def end(self) -> None:
        """End the process."""
        with self.lock:
            self._end()

    def _ask(self, job: dict[str, Any], data: bytes) -> tuple[bytes, bytes]:
        popen, text = self._ensure(), json.dumps(job).encode()
        with self._deadline(popen, job["seconds"]):
            _write(popen, struct.pack(">II", len(text), len(data)), text, data)
            kind, length = struct.unpack(">cI", _read(popen, 5))
            if kind not in (DONE, REFUSED, SHORT) or length > LONGEST:
                raise Ended
            answer = _read(popen, length)
        if kind == SHORT:
            self._end()
        return kind, answer

    def _ensure(self) -> subprocess.Popen[bytes]:
        """The process, ready to be asked."""
        if self.popen is not None and self.popen.poll() is None:
            return self.popen
        self._end()
        popen = None
        try:
            popen = self.popen = _start()
            with self._deadline(popen, START):
                _read(popen, 1)
        except (OSError, Ended, Slow) as error:
            if isinstance(error, Ended) and popen is not None and popen.wait() < 0:
                raise  # killed, and not for what it is
            LOG.exception("uploads cannot be decoded")
            raise Unavailable from error
        return popen

    @contextmanager
    def _deadline(self, popen: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
        """Within: kill the process after so many seconds, and end it where anything goes wrong."""
        rang = Event()

        def ring() -> None:
            rang.set()
            popen.kill()

        clock = Timer(seconds, ring)
        clock.daemon = True
        clock.start()
        try:
            yield
        except BaseException:
            clock.cancel()
            clock.join()
            self._end()
            if rang.is_set():
                raise Slow from None
            raise
        clock.cancel()
        clock.join()
        if rang.is_set():  # after the answer came
            self._end()

    def _end(self) -> None:
        popen, self.popen = self.popen, None
        if popen is None:
            return
        popen.kill()
        popen.wait()
        for pipe in (popen.stdin, popen.stdout):
            with suppress(OSError):  # it holds bytes that nobody reads any more
                if pipe is not None:
                    pipe.close()


def _start() -> subprocess.Popen[bytes]:
    """Start the program with nothing but Pillow, numpy and the file that converts."""
    specs = [find_spec(name) for name in ("PIL", "numpy")]
    folders = dict.fromkeys(str(Path(str(s.origin)).parents[1]) for s in specs if s is not None)
    command = [sys.executable, "-I", decoder_program.__file__, str(raster.__file__), *folders]
    environment = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**environment, "OPENBLAS_NUM_THREADS": "1"},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _write(popen: subprocess.Popen[bytes], *parts: bytes) -> None:
    assert popen.stdin is not None
    try:
        for part in parts:
            popen.stdin.write(part)
        popen.stdin.flush()
    except (OSError, ValueError) as error:
        raise Ended from error


def _read(popen: subprocess.Popen[bytes], length: int) -> bytes:
    assert popen.stdout is not None
    data = popen.stdout.read(length)
    if len(data) < length:
        raise Ended
    return data
