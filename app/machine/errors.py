"""Faults: what a visitor is told of an error, and what the log keeps of it.

A wrong request says its own sentence. Anything else is logged with the number of the request, and
the visitor is told that number: no path, token or traceback leaves the server.
"""

from __future__ import annotations

import errno
import gc
import logging
import re
import time
import traceback
import uuid
from contextvars import ContextVar

import torch

from featvis import WrongRequest

from . import cache, disk_store
from .limits import public

LOG = logging.getLogger("featvis")
REQUEST: ContextVar[str] = ContextVar("request", default="-")
OUT = re.compile(r"out of memory|can't allocate memory|cannot allocate memory", re.IGNORECASE)
LONGEST = 1500  # letters of a sentence
HIDDEN = "a file of this server"
# Whatever begins as a path of any system does, to its end: that of its quotes, or the last of its
# parts; a blank within a path is one if a slash follows before the next blank.
START = r"(?:file:/*|~[\w.-]*[/\\]|(?<![\w/.:-])/|[A-Za-z]:[/\\]|\\\\)"
QUOTED = re.compile(
    rf"(?P<quote>['\"`])(?!https?:)(?:[\w-]+:)*(?:{START}|/).*?(?P=quote)", re.IGNORECASE
)
PART = r"[^\s'\"`,;:()<>|/\\]"
PATH = re.compile(
    rf"(?:(?<=\w:)/(?!/)|(?<![A-Za-z]){START}){PART}+(?:[/\\]+{PART}*|[ ]{PART}+[/\\]{PART}*)*"
    r"(?<![.?!])",
    re.IGNORECASE,
)
SECRETS = (  # what is hidden, and what of it stays
    (re.compile(r"\bhf_\w{8,}"), "hf_..."),
    (re.compile(r"\b(bearer|basic) [\w.~+/=-]{8,}", re.IGNORECASE), r"\1 ..."),
    (re.compile(r"\b(\w*(?:token|secret|passw(?:or)?d|api_?key)\w*[=:] ?)[^\s&;,'\"]+",
                re.IGNORECASE), r"\1..."),
    (re.compile(r"(?<=://)[^\s/@]+@"), "...@"),
)  # fmt: skip
BUSY = "this server has too many files open; try again in a minute"
LOCKED = "this server may not use its own files; whoever runs it finds the reason in the log"
BROKEN = "the disk of this server fails; whoever runs it finds the reason in the log"
# Errors of the system by their number, and the sentence for a visitor.
SYSTEM = {
    errno.EMFILE: BUSY,
    errno.ENFILE: BUSY,
    errno.EROFS: LOCKED,
    errno.EACCES: LOCKED,
    errno.EPERM: LOCKED,
    errno.EIO: BROKEN,
    **dict.fromkeys(disk_store.FULL, disk_store.sentence()),
}
CODE = re.compile(r"\(os error (\d+)\)")  # in messages of libraries in Rust
LATEST: dict[str, float] = {}  # when a visitor last heard each of those sentences


class Cancelled(Exception):
    """Whoever asked for the work does not want it any more."""


def new_request() -> str:
    """The number of a request, short enough to be told by word of mouth."""
    return uuid.uuid4().hex[:8]


def sentence(error: BaseException) -> str:
    """What a visitor is told; memory that ran out is freed."""
    if isinstance(error, Cancelled):
        return "Cancelled; what you see is the last result"
    if isinstance(error, WrongRequest):
        text = str(error)
        text = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"  # of what was asked
        return mask(text) if public() else text
    if ran_out(error):
        LOG.warning("out of memory: %s", str(error).partition("\n")[0])
        _free(error)
        return (
            "there is not enough memory for this; what was kept has been freed: try it again, or "
            "with a smaller network, a smaller size or fewer pictures at once"
        )
    words = SYSTEM.get(system_error(error) or 0)
    if words:
        LATEST[words] = time.monotonic()
        LOG.error("the system refuses: %s", words, exc_info=error)
        return words
    LOG.error("a request failed", exc_info=error)
    return (
        f"this could not be computed ({type(error).__name__}); the log has it under {REQUEST.get()}"
    )


def ran_out(error: BaseException) -> bool:
    """Did memory run out? Torch says it in words, by a RuntimeError."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return (
        isinstance(error, kinds)
        or (isinstance(error, RuntimeError) and bool(OUT.search(str(error))))
        or system_error(error) == errno.ENOMEM
    )


def system_error(error: BaseException | None) -> int | None:
    """The number of the system's error that is behind this one, if there is one."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (*SYSTEM, errno.ENOMEM):
            return error.errno
        if number := CODE.search(str(error)):
            return int(number[1])
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _free(error: BaseException) -> None:
    """Drop the arrays that the failed work holds, and all that no other job uses."""
    traceback.clear_frames(error.__traceback__)
    cache.free()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def mask(text: str) -> str:
    """A sentence without the paths and the secrets of this machine."""
    text = PATH.sub(HIDDEN, QUOTED.sub(HIDDEN, text))
    for pattern, left in SECRETS:
        text = pattern.sub(left, text)
    return text


def log_requests() -> None:
    """Write the log to the terminal, each line with the number of its request."""

    def numbered(record: logging.LogRecord) -> bool:
        record.request = REQUEST.get()
        return True

    handler = logging.StreamHandler()
    handler.addFilter(numbered)
    form = "%(asctime)s %(levelname)s [%(request)s] %(message)s"
    handler.setFormatter(logging.Formatter(form))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
