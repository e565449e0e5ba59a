"""Decoder: an uploaded file -> a small WebP file, made by another process that may be killed.

The header is checked here, and the rest is decoded by a process that imports no torch, has limits
of time and memory, and is started anew when it ends. What it holds is one picture of one visitor.
"""

from __future__ import annotations

import atexit
import json
import math
import sys
from threading import Thread
from typing import Any

from featvis import WrongRequest

from . import headers
from .decoder_process import LONGEST, Ended, Process, Slow, Unavailable
from .decoder_program import DONE, SHORT
from .disk_store import OWNER
from .limits import FORMATS, limits
from .turns import Busy, Turns

FIXED, PER_PIXEL = 300_000_000, 40  # bytes of address space: of a process, and for each pixel
PROCESSES = (Process(), Process())
TURNS = Turns([*PROCESSES])
atexit.register(lambda: close())


def decode(data: bytes, side: int) -> bytes:
    """The picture of an upload as WebP, no side longer than `side`, without metadata."""
    header = _check_header(data)
    try:
        with TURNS.one(OWNER.get(), limits().decodes or sys.maxsize) as process:
            kind, answer = process.ask(_job(side, header), data)
    except Busy:
        raise WrongRequest("many pictures are being decoded; try again in a moment") from None
    except Slow:
        raise WrongRequest(
            f"this picture takes more than {_seconds():g} s to decode; save it again as an "
            "ordinary JPEG or PNG"
        ) from None
    except Unavailable:
        raise WrongRequest("pictures cannot be decoded here now; try again later") from None
    except Ended:
        raise WrongRequest(
            "this picture could not be decoded; save it again as PNG or JPEG"
        ) from None
    if kind == DONE:
        return answer
    if kind == SHORT:
        raise WrongRequest(
            "this picture takes more memory to decode than is allowed here; save it smaller"
        )
    raise _refusal(*json.loads(answer))


def warm() -> None:
    """Start the processes, so that nobody waits for them."""
    for process in PROCESSES:
        Thread(target=process.warm, daemon=True).start()


def close() -> None:
    """End the processes; another picture starts them again."""
    for process in PROCESSES:
        process.end()


def _job(side: int, header: headers.Header) -> dict[str, Any]:
    pixels = int(1e6 * limits().upload_mpx)
    count = header.width * header.height or pixels
    return {
        "side": side,
        "formats": FORMATS,
        "pixels": pixels,
        "metadata": _metadata(),
        "seconds": _seconds(),
        "memory": FIXED + PER_PIXEL * count if count else 0,
    }


def _metadata() -> int:
    return int(1e6 * limits().metadata_mb) or LONGEST


def _seconds() -> float:
    return limits().decode_seconds or 3600.0


# --- refusals -------------------------------------------------------------------------------------


def _check_header(data: bytes) -> headers.Header:
    """The header of a file, or a refusal where it is too large in any way."""
    here, bound = limits(), _metadata()
    if len(data) > (1e6 * here.upload_mb or math.inf):
        raise WrongRequest(
            f"the picture's file has {len(data) / 1e6:.1f} MB, and at most {here.upload_mb:g} are "
            "taken; save it smaller"
        )
    header = headers.read(data, bound)
    if not header.format:
        raise _refusal("unreadable")
    if header.width * header.height > (1e6 * here.upload_mpx or math.inf):
        raise _refusal("pixels", header.width, header.height)
    if header.scans > (here.scans or math.inf):
        raise WrongRequest(
            f"this JPEG has {header.scans} scans, and at most {here.scans} are read; save it again "
            "as an ordinary JPEG"
        )
    if header.metadata > bound:
        raise WrongRequest(
            f"the picture carries more than {bound / 1e6:g} MB of text or color profile; save it "
            "without them"
        )
    return header


def _refusal(reason: str, *numbers: int) -> WrongRequest:
    """The sentence of a reason."""
    if reason == "unreadable":
        known = ", ".join(FORMATS[:-1])
        return WrongRequest(
            f"this is not a picture that can be read; save it as {known} or {FORMATS[-1]}"
        )
    if reason == "pixels" and any(numbers):
        width, height = numbers
        return WrongRequest(
            f"the picture has {width} x {height} pixels; at most {limits().upload_mpx:g} million "
            "are read: make it smaller first"
        )
    if reason == "pixels":
        return WrongRequest(
            f"this is too large to read: at most {limits().upload_mpx:g} million pixels are; make "
            "it smaller first"
        )
    return WrongRequest("this is damaged and cannot be read to its end; save it again")
