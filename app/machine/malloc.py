"""The heap: what is freed goes back to the system, so that a server becomes small again.

glibc keeps an area for every thread that allocates, and in each what was freed at its end.
"""

from __future__ import annotations

import ctypes
import time
from threading import Lock
from typing import Any

M_ARENA_MAX, ARENAS = -8, 2  # of malloc.h; more are for threads that allocate without Python's lock
OFTEN = 20.0  # seconds between two times: it takes some 20 ms
LOCK = Lock()
_last = [0.0]


def _libc() -> Any:
    """The C library, where it is glibc."""
    try:
        libc = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows
        return None
    return libc if hasattr(libc, "malloc_trim") else None


def keep_small() -> None:
    """Have few areas; before there are threads."""
    if (libc := _libc()) is not None:
        libc.mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """When nothing is worked on: return what is free, unless that was done a moment ago.

    Beside other jobs it would take from them what they are about to use again.
    """
    with LOCK:
        now = time.monotonic()
        if now - _last[0] < OFTEN:
            return
        _last[0] = now
    if (libc := _libc()) is not None:
        libc.malloc_trim(0)
