"""The process that decodes uploads: files of pictures in by one pipe, WebP files out by another.

`decoder_process.py` starts it by this file's path. It imports Pillow and no torch, has limits of
time and memory where the system knows them, and writes no files. It ends when its input does.
"""

from __future__ import annotations

import io
import json
import math
import os
import signal
import struct
import sys
import time
import warnings
from contextlib import suppress
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

DONE, REFUSED, SHORT = b"+", b"-", b"!"  # how an answer begins; the last is short of memory
DRAFT = 1.9  # times the wanted size: a JPEG is decoded no larger than it must be


class Rejection(Exception):
    """A picture that is not decoded; the arguments are the reason and its numbers."""


def main(raster_file: str, *folders: str) -> None:
    """Answer one picture after another."""
    sys.path += folders
    spec = spec_from_file_location("raster", raster_file)
    assert spec is not None
    assert spec.loader is not None
    raster = module_from_spec(spec)
    spec.loader.exec_module(raster)
    _load_decoders()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the server, which ends this
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # no library writes among the answers
    answers.write(DONE)
    answers.flush()
    while size := requests.read(8):
        lengths = struct.unpack(">II", size)
        job, data = json.loads(requests.read(lengths[0])), requests.read(lengths[1])
        _bound(job)
        kind, answer = _answer(job, data, raster)
        answers.write(struct.pack(">cI", kind, len(answer)) + answer)
        answers.flush()
        if kind == SHORT:
            return  # the next one begins with memory that is whole


def _load_decoders() -> None:
    """Import all that decodes now, so that no picture waits for it."""
    import PIL.Image

    PIL.Image.init()
    avif: Any = import_module("PIL.AvifImagePlugin")
    avif.DEFAULT_MAX_THREADS = 1


def _answer(job: dict[str, Any], data: bytes, raster: Any) -> tuple[bytes, bytes]:
    """The WebP file, or why there is none."""
    try:
        return DONE, _decode(job, data, raster)
    except Rejection as error:
        return REFUSED, json.dumps(error.args).encode()
    except MemoryError:
        return SHORT, b""
    except Exception:  # decoders raise anything on a damaged file
        return REFUSED, json.dumps(["damaged"]).encode()


def _decode(job: dict[str, Any], data: bytes, raster: Any) -> bytes:
    import PIL.Image
    import PIL.PngImagePlugin

    PIL.Image.MAX_IMAGE_PIXELS = job["pixels"] or None
    PIL.PngImagePlugin.MAX_TEXT_CHUNK = PIL.PngImagePlugin.MAX_TEXT_MEMORY = job["metadata"]
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
    bomb = PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning
    try:
        picture = PIL.Image.open(io.BytesIO(data), formats=job["formats"])
    except bomb:
        raise Rejection("pixels", 0, 0) from None
    except MemoryError:
        raise
    except Exception:  # likewise
        raise Rejection("unreadable") from None
    with picture:
        if picture.width * picture.height > (job["pixels"] or math.inf):
            raise Rejection("pixels", picture.width, picture.height)
        try:
            _reduce(picture, job["side"])
            return bytes(raster.webp(raster.thumbnail(raster.upright(picture), job["side"])))
        except bomb:
            raise Rejection("pixels", 0, 0) from None


def _reduce(picture: Any, side: int) -> None:
    """Let a JPEG be decoded at a half, a quarter or an eighth of its size."""
    factor = DRAFT * side / max(picture.size)
    if factor < 1:
        picture.draft(None, tuple(math.ceil(factor * length) for length in picture.size))


def _bound(job: dict[str, Any]) -> None:
    """Set the limits of this process anew, as far as the system knows them."""
    try:
        import resource
    except ImportError:  # Windows: the clock of the server remains
        return
    seconds = math.ceil(time.process_time() + job["seconds"]) + 1
    bounds = {"RLIMIT_CPU": seconds, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
    if job["memory"]:
        bounds["RLIMIT_AS"] = job["memory"]
    for name, value in bounds.items():
        with suppress(AttributeError, ValueError, OSError):
            kind = getattr(resource, name)
            resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
