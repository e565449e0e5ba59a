"""Resources: memory, threads, open files and disks that the process uses, and which run out."""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from zoo_adapters.weights import memory

from . import disk, errors

MOST = 65_536  # open files; a system may allow a billion, which some programs close one by one
SCARCE = 100  # MB of a disk, or open files, of which fewer are said
LATELY = 600.0  # seconds in which a fault of the system is told


def _own_number() -> int:
    """The number of this process in /proc, which may show the processes of an outer namespace."""
    try:
        return int(Path("/proc/self").readlink().name)
    except OSError:  # a system without /proc
        return os.getpid()


PROCESS = psutil.Process(_own_number())


def raise_open_files() -> None:
    """Let this process open as many files as the system allows it."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def open_files() -> dict[str, int | None]:
    """How many files are open, and how many may be."""
    count = limit = None
    with suppress(ImportError, OSError):
        import resource

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        limit = None if soft == resource.RLIM_INFINITY else soft
    try:
        count = PROCESS.num_fds()
    except AttributeError:  # Windows counts other things
        pass
    except OSError:  # not one more can be opened
        count = limit
    return {"used": count, "limit": limit}


def threads() -> int:
    """Threads of the process, those of torch among them; of Python alone where no file can open."""
    try:
        return PROCESS.num_threads()
    except OSError:
        return threading.active_count()


def memory_mb() -> dict[str, int | None]:
    """Megabytes that this process uses, and that are free."""
    free, resident = memory(), None
    with suppress(OSError):  # not one more file can be opened
        resident = PROCESS.memory_info().rss // 10**6
    return {"used": resident, "free": None if free is None else free // 10**6}


def problems() -> list[str]:
    """Sentences about resources that run out or failed lately; no path is in them."""
    files = open_files()
    sentences: list[str] = [*disk.problems(), *_full_disks()]
    if files["limit"] and files["used"] is not None and files["limit"] - files["used"] < SCARCE:
        sentences.append(f"{files['used']} of {files['limit']} files that may be open are open")
    now = time.monotonic()
    sentences += [
        f"{words} ({now - when:.0f} s ago)"
        for words, when in [*errors.LATEST.items()]
        if now - when < LATELY
    ]
    return [errors.mask(text) for text in sentences]


def _full_disks() -> list[str]:
    sentences = []
    for name, store in (("uploads", disk.uploads()), ("pictures made", disk.page_files())):
        with suppress(OSError):
            free = shutil.disk_usage(store.folder).free // 10**6
            if free < SCARCE:
                sentences.append(f"the disk of the {name} has {free} MB left")
    return sentences
