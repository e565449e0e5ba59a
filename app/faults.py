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

from . import stores
from .limits import public

__all__ = ["REQUEST", "Cancelled", "log_requests", "new_request", "sentence"]

LOG = logging.getLogger("featvis")
REQUEST: ContextVar[str] = ContextVar("request", default="-")
OUT = re.compile(r"out of memory|can't allocate memory|cannot allocate memory", re.IGNORECASE)
PATH = re.compile(r"(?<![\w:/.-])(?:/|[A-Za-z]:\\)[\w.@+-]+(?:[/\\][\w.@+-]+)+")
TOKEN = re.compile(r"\bhf_\w{8,}")


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
        return _masked(str(error)) if public() else str(error)
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


def _masked(text: str) -> str:
    return TOKEN.sub("hf_...", PATH.sub("a file of this server", text))


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
