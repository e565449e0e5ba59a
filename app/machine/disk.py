"""Disk: the two stores of files, of what visitors send and of what they see, in private folders."""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
import time
from collections import OrderedDict
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from threading import Thread

from featvis import WrongRequest

from .disk_store import SETTLED, Store
from .limits import limits

LOG = logging.getLogger("featvis")
GROUP: ContextVar[str] = ContextVar("group", default="-")  # the upload that a file is made from
FILE = re.compile(r"(?:-|[0-9a-f]{16})/[0-9a-f]{64}/\w[\w.+-]{0,99}", re.ASCII)
SAFE = re.compile(r"[^\w.+-]", re.ASCII)
DELETED: OrderedDict[str, None] = OrderedDict()  # uploads, the last of them
REMEMBERED = 10_000
SWEEP = 60.0  # seconds between two looks at Gradio's own files
SWEEPS = 60  # of them between two looks at the stores
_problems: list[str] = []


@lru_cache(maxsize=1)
def uploads() -> Store:
    """The pictures that visitors sent."""
    here = limits()
    folder = _private_folder(Path(tempfile.gettempdir()) / "featvis-pictures", "uploads")
    return Store(folder, 1e6 * here.stored_mb, 1e6 * here.stored_each_mb, days=here.stored_days)


@lru_cache(maxsize=1)
def page_files() -> Store:
    """The files that the window and the API show."""
    here = limits()
    folder = _private_folder(_gradio() / "featvis", "pictures made")
    return Store(folder, 1e6 * here.served_mb, 1e6 * here.served_each_mb, days=here.stored_days)


def file_url(data: bytes, name: str) -> str:
    """Keep a file that is shown; its address within the window."""
    return f"gradio_api/file={file_key(data, name)}"


def file_key(data: bytes, name: str) -> str:
    """Keep a file that is shown; its key, GROUP/SHA256/NAME."""
    group, stem = GROUP.get(), SAFE.sub("_", name).lstrip("+.-") or "file"
    stem = stem if len(stem) <= 80 else f"{stem[:70]}{Path(stem).suffix[:8]}"
    key = f"{group}/{hashlib.sha256(data).hexdigest()}/{stem}"
    assert FILE.fullmatch(key), key
    page_files().put(key, data)
    if group in DELETED:  # while this was made
        page_files().drop(f"{group}/")
        raise gone()
    return key


def gone() -> WrongRequest:
    """That a picture was deleted, or never was here."""
    return WrongRequest("the picture of this link is no longer here; choose another one")


def file_at(key: str) -> Path | None:
    """The place of a file that is shown, by its key; None of anything else."""
    return page_files().find(key) if FILE.fullmatch(key) else None


def file_bytes(key: str) -> bytes | None:
    """The content of a file that is shown, by its key."""
    return page_files().read(key) if FILE.fullmatch(key) else None


def owners(name: str) -> set[str]:
    """The addresses that sent an upload; those before the server began are not known."""
    file = uploads().files.get(f"{name}.webp")
    return set(file.owners) if file else set()


def delete(name: str) -> bool:
    """Delete an upload and all files made from it; are they gone?"""
    DELETED[name] = None
    while len(DELETED) > REMEMBERED:
        DELETED.popitem(last=False)
    gone = uploads().drop(f"{name}.webp")
    return page_files().drop(f"{name}/") and gone


def allow(name: str) -> None:
    """An upload that was deleted is sent again."""
    DELETED.pop(name, None)


# --- folders --------------------------------------------------------------------------------------


def problems() -> list[str]:
    """Sentences about the folders that cannot be used."""
    return [*_problems]


def prepare() -> None:
    """Make the folders ready before the window is built, and keep them small from now on."""
    os.environ["GRADIO_TEMP_DIR"] = str(_gradio())
    uploads()
    page_files()
    Thread(target=_sweep, daemon=True, name="sweep").start()


def _gradio() -> Path:
    """Gradio's folder for files; another one where its own cannot be used."""
    if chosen := os.environ.get("GRADIO_TEMP_DIR"):
        return Path(chosen)
    return _private_folder(Path(tempfile.gettempdir()) / "gradio", "the window's files")


def _private_folder(wanted: Path, content: str) -> Path:
    """The folder where it is nobody else's and can be written, or a new one for this process."""
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = _reason(wanted)
    except OSError as error:
        reason = f"cannot be written ({type(error).__name__})"
    if not reason:
        return wanted
    folder = Path(tempfile.mkdtemp(prefix="featvis-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    LOG.error("%s %s; %s are kept in %s until the server ends", wanted, reason, content, folder)
    _problems.append(f"the folder of {content} {reason}; they are kept until the server ends")
    return folder


def _reason(folder: Path) -> str:
    """Why a folder cannot be used, or ""."""
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode):
        return "is a link or a file"
    if hasattr(os, "geteuid") and info.st_uid != os.geteuid():
        return "belongs to another user"
    if info.st_mode & 0o077 and os.name == "posix":
        folder.chmod(0o700)
    with tempfile.TemporaryFile(dir=folder):
        return ""


def _sweep() -> None:
    """Keep the stores within their bounds, and whatever Gradio writes beside them."""
    root = Path(os.environ["GRADIO_TEMP_DIR"])
    for count in range(1, 2**62):
        time.sleep(SWEEP)
        try:
            make_room(root, "*/*", 1e6 * limits().served_mb or 1e18)
            if count % SWEEPS == 0:
                uploads().sweep()
                page_files().sweep()
        except Exception:
            LOG.exception("the folders could not be swept")


def make_room(folder: Path, pattern: str, most: float, kept: Path | None = None) -> None:
    """Remove the oldest files until the rest has at most `most` bytes; never `kept`.

    Parts that a process left behind when it died go, too, and folders in it that become empty.
    """
    entries: list[tuple[float, int, Path]] = []
    for path in folder.glob(pattern):
        with suppress(OSError):  # removed by another process
            info = path.stat()
            entries.append((info.st_mtime, info.st_size, path))
    newest, total = max((when for when, _, _ in entries), default=0.0), 0
    for when, size, path in sorted(entries, reverse=True):
        total += size
        part = path.suffix == ".part"
        if (when < newest - SETTLED if part else total > most) and path != kept and path.is_file():
            with suppress(OSError):
                path.unlink()
                if path.parent != folder:
                    path.parent.rmdir()
