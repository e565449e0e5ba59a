"""Disk: files that are written wholly or not at all, in folders that stay as small as they must.

Files that the page shows have keys, GROUP/SHA256/NAME; where they lie is said to nobody.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
import uuid
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path

from featvis import WrongRequest

__all__ = ["FILES", "KEY", "OWNER", "file_at", "file_url", "make_room", "sentence", "write"]

FULL = (errno.ENOSPC, errno.EDQUOT)
FILES = Path(tempfile.gettempdir()) / "featvis-files"
KEY = re.compile(r"(?:-|[0-9a-f]{16})/[0-9a-f]{64}/[\w-][\w.-]{0,99}", re.ASCII)
OWNER: ContextVar[str] = ContextVar("OWNER", default="")  # the address of whoever asked
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


def file_url(data: bytes, name: str) -> str:
    """The address, relative to the page, of a file that holds these bytes."""
    key = f"-/{hashlib.sha256(data).hexdigest()}/{name}"
    file = FILES / key
    try:
        os.utime(file)  # made before, and used again: among the last to go
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, data)
    return f"gradio_api/file={key}"


def file_at(key: str) -> Path | None:
    """The file of a key, if it is one."""
    file = FILES / key
    return file if KEY.fullmatch(key) and file.is_file() else None


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
