"""A store: files in a folder of its own, bounded in bytes in all, in bytes per owner, and in days.

Its index is in memory: the folder is read when the store begins, and now and then, for other
processes may use it too. Files whose owner is not known any more belong to "".
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from featvis import WrongRequest

OWNER: ContextVar[str] = ContextVar("owner", default="")  # the address of whoever asks
FULL = (errno.ENOSPC, errno.EDQUOT)
KEY = re.compile(r"(?:[\w-][\w.+-]*/){0,2}\w[\w.+-]*", re.ASCII)
BLOCK = 4096  # bytes that a file takes besides its content
SETTLED = 600.0  # seconds after which nobody is still writing a part
FRESH = 600.0  # seconds after which the next use is written to the file
DAY = 86400.0


def write(file: Path, data: bytes, *, sure: bool = False) -> None:
    """Write a file as `write_whole` does; a visitor hears in a sentence that the disk is full."""
    try:
        write_whole(file, data, sure=sure)
    except OSError as error:
        if error.errno in FULL:
            raise WrongRequest(sentence()) from error
        raise


def write_whole(file: Path, data: bytes, *, sure: bool = False) -> None:
    """Write a file wholly or not at all; `sure`: also when the power fails."""
    part = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("wb") as out:
            out.write(data)
            if sure:
                out.flush()
                os.fsync(out.fileno())
        part.replace(file)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def sentence() -> str:
    """The message where the disk is full."""
    return "the disk is full, so that nothing can be kept; try again later"


@dataclass
class _File:
    size: int
    used: float
    owners: set[str] = field(default_factory=set)


class Store:
    """Files by keys such as "a/b.webp"; those used least recently make room for others.

    An owner over its share loses its own files first; over the total, the owner with the most
    bytes does. A file that several put counts for each of them, and goes with the last. "" has no
    share. 0 is no bound.
    """

    def __init__(self, folder: Path, total: float, each: float, *, days: float = 0) -> None:
        self.folder, self.total, self.each, self.days = folder, total, each, days
        self.files: dict[str, _File] = {}
        self.order: dict[str, OrderedDict[str, None]] = {}  # keys of each owner, the oldest first
        self.size, self.owned, self.lock = 0, Counter[str](), RLock()
        self.sweep()

    def put(self, key: str, data: bytes) -> Path:
        """Keep a file for the owner at hand; its place."""
        path, owner = self._path(key), OWNER.get()
        with self.lock:
            if self._is_there(path, len(data)):
                self._add(key, len(data), 0.0, owner)
                self._use(key, path)
                self._shrink(owner, key)
                return path
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.folder / f"{uuid.uuid4().hex}.part"
        try:
            write(part, data)
            with self.lock:  # no other thread removes the file or its folder meanwhile
                self._move(part, path)
                self._add(key, len(data), time.time(), owner)
                self._shrink(owner, key)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        return path

    def _move(self, part: Path, path: Path) -> None:
        for attempt in range(2):  # another process may remove the folder when it is empty
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                part.replace(path)
                return
            except (FileExistsError, FileNotFoundError):
                if attempt:
                    raise

    def read(self, key: str) -> bytes | None:
        """The bytes of a file, or None where there is none; an error of the system is raised."""
        path = self.find(key)
        if path is not None:
            with suppress(FileNotFoundError):  # another process removed it
                return path.read_bytes()
        return None

    def find(self, key: str) -> Path | None:
        """The place of a file that is used now, or None."""
        path = self._path(key)
        with self.lock:
            try:
                info = path.lstat()
            except FileNotFoundError:
                self._forget(key)
                return None
            if not stat.S_ISREG(info.st_mode) or self._is_old(info.st_mtime):
                return None
            if key not in self.files:  # of another process
                self._add(key, info.st_size, info.st_mtime, "")
            self._use(key, path)
            return path

    def drop(self, prefix: str) -> bool:
        """Remove a file, or a folder with all that is in it; is everything gone?"""
        place = self._path(prefix.rstrip("/"))
        with self.lock:
            for key in [key for key in self.files if key.startswith(prefix)]:
                self._remove(key)
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                with suppress(OSError):
                    place.unlink(missing_ok=True)
            return not place.exists()

    def sweep(self) -> None:
        """Read the folder again, and remove from it whatever is too old, too much, or half."""
        on_disk = dict(self._walk())
        with self.lock:
            for key in self.files.keys() - on_disk.keys():
                if not (self.folder / key).exists():  # else it came after the folder was read
                    self._forget(key)
            for key, info in sorted(on_disk.items(), key=lambda item: item[1].st_mtime):
                if key not in self.files:
                    self._add(key, info.st_size, info.st_mtime, "")
            for key in [key for key, file in self.files.items() if self._is_old(file.used)]:
                self._remove(key)
            self._shrink("", "")

    def _walk(self) -> Iterator[tuple[str, os.stat_result]]:
        now = time.time()
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):  # another process removed it
                    info = path.lstat()
                    if path.suffix != ".part":
                        yield path.relative_to(self.folder).as_posix(), info
                    elif now - info.st_mtime > SETTLED:
                        path.unlink()

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a key of a store")
        return self.folder / key

    def _is_there(self, path: Path, size: int) -> bool:
        """Is the file whole? What lost its power may be shorter."""
        try:
            return path.lstat().st_size == size
        except FileNotFoundError:
            return False

    def _is_old(self, used: float) -> bool:
        return bool(self.days) and time.time() - used > DAY * self.days

    # --- the index, under the lock ---

    def _add(self, key: str, size: int, used: float, owner: str) -> None:
        """Note a file, or one more owner of it."""
        file = self.files.setdefault(key, _File(size, used))
        if not file.owners:
            self.size += size + BLOCK
        if owner not in file.owners:
            file.owners.add(owner)
            self.owned[owner] += file.size + BLOCK
            self.order.setdefault(owner, OrderedDict())[key] = None

    def _use(self, key: str, path: Path) -> None:
        """Make a file the last to go, here and, now and then, for the next process."""
        file, now = self.files[key], time.time()
        for owner in file.owners:
            self.order[owner].move_to_end(key)
        if now - file.used > FRESH:
            file.used = now
            with suppress(OSError):
                os.utime(path)

    def _forget(self, key: str) -> None:
        file = self.files.pop(key, None)
        if file is not None:
            self.size -= file.size + BLOCK
            for owner in file.owners:
                self._disown(owner, key, file)

    def _disown(self, owner: str, key: str, file: _File) -> None:
        self.owned[owner] -= file.size + BLOCK
        del self.order[owner][key]
        if not self.order[owner]:
            del self.order[owner], self.owned[owner]

    def _remove(self, key: str) -> None:
        self._forget(key)
        path = self.folder / key
        with suppress(OSError):
            path.unlink(missing_ok=True)
            while (path := path.parent) != self.folder:
                path.rmdir()

    def _shrink(self, owner: str, spared: str) -> None:
        while owner and 0 < self.each < self.owned[owner] and self._lose(owner, spared):
            pass
        while 0 < self.total < self.size:
            most = sorted(self.order, key=lambda name: -self.owned[name])
            if not any(self._lose(name, spared) for name in most):
                return

    def _lose(self, owner: str, spared: str) -> bool:
        """The owner loses its oldest file; is there one?"""
        key = next((key for key in self.order.get(owner, ()) if key != spared), None)
        if key is None:
            return False
        file = self.files[key]
        if len(file.owners) == 1:
            self._remove(key)
        else:
            file.owners.discard(owner)
            self._disown(owner, key, file)
        return True
