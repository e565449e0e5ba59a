"""Coroutines in tests: a browser test before them leaves a running loop in the main thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

__all__ = ["apart", "awaited"]


def apart(function, *arguments):
    """What a function gives in a thread of its own, where no loop runs."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


def awaited(coroutine):
    """What a coroutine gives."""
    return apart(asyncio.run, coroutine)
