"""Faults: what a visitor is told of an error, and what the log keeps of it.

A wrong request says its own sentence. Anything else is logged with the number of the request, and
the visitor is told that number: no path, token or traceback leaves the server.
"""

from __future__ import annotations

import gc
import logging
import re
import traceback
import uuid
from contextvars import ContextVar

import torch

from featvis import WrongRequest

from . import disk, stores
from .limits import public

__all__ = ["REQUEST", "Cancelled", "log_requests", "mask", "new_request", "sentence"]

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
    if isinstance(error, OSError) and error.errno in disk.FULL:
        LOG.error("the disk is full", exc_info=error)
        return disk.sentence()
    if ran_out(error):
        LOG.warning("out of memory: %s", str(error).partition("\n")[0])
        _free(error)
        return (
            "there is not enough memory for this; what was kept has been freed: try it again, or "
            "with a smaller network, a smaller size or fewer pictures at once"
        )
    LOG.error("a request failed", exc_info=error)
    return (
        f"this could not be computed ({type(error).__name__}); the log has it under {REQUEST.get()}"
    )


def ran_out(error: BaseException) -> bool:
    """Did memory run out? Torch says it in words, by a RuntimeError."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or (
        isinstance(error, RuntimeError) and bool(OUT.search(str(error)))
    )


def _free(error: BaseException) -> None:
    """Drop the arrays that the failed work holds, and all that no other job uses."""
    traceback.clear_frames(error.__traceback__)
    stores.free()
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
