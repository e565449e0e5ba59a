"""Disk: files that are written wholly or not at all, in folders that stay as small as they must."""

from __future__ import annotations

import errno
import os
import uuid
from contextlib import suppress
from pathlib import Path

from featvis import WrongRequest

__all__ = ["make_room", "sentence", "write"]

FULL = (errno.ENOSPC, errno.EDQUOT)
SETTLED = 600  # seconds after which nobody is still writing a part


def write(file: Path, data: bytes, *, sure: bool = False) -> None:
    """Write a file wholly or not at all; `sure`: also when the power fails."""
    part = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("wb") as out:
            out.write(data)
            if sure:
                out.flush()
                os.fsync(out.fileno())
        part.replace(file)
    except OSError as error:
        if error.errno in FULL:
            raise WrongRequest(sentence()) from error
        raise
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def sentence() -> str:
    """What is said where the disk is full."""
    return "the disk is full, so that nothing can be kept; try again later"


def make_room(folder: Path, pattern: str, most: float, kept: Path | None = None) -> None:
    """Remove the oldest files until the rest has at most `most` bytes; never `kept`.

    Parts that a process left behind when it died go, too, and folders in it that become empty.
    """
    found: list[tuple[float, int, Path]] = []
    for path in folder.glob(pattern):
        with suppress(OSError):  # removed by another process
            told = path.stat()
            found.append((told.st_mtime, told.st_size, path))
    newest, total = max((when for when, _, _ in found), default=0.0), 0
    for when, size, path in sorted(found, reverse=True):
        total += size
        part = path.suffix == ".part"
        if (when < newest - SETTLED if part else total > most) and path != kept and path.is_file():
            with suppress(OSError):
                path.unlink()
                if path.parent != folder:
                    path.parent.rmdir()
