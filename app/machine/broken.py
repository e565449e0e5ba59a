"""Broken: the methods that failed when this server started, and whether the hub can be asked."""

from __future__ import annotations

import time
from threading import Thread
from typing import Any, NamedTuple

from featvis import METHODS
from zoo_adapters.hub import unreachable

FRESH = 300.0  # seconds that an answer about the hub is used again


class Check(NamedTuple):
    """How a method did."""

    ok: bool
    reason: str  # why it did not work; "" where it did
    seconds: float
    model: str


CHECKS: dict[str, Check] = {}
_hub: dict[str, Any] = {"asked": None, "reason": None}


def failures() -> dict[str, str]:
    """Why methods are not offered, in a sentence, by their names."""
    return {
        name: f"{METHODS[name].title} failed when this server started: {check.reason}"
        for name, check in list(CHECKS.items())
        if not check.ok
    }


def hub_missing() -> str | None:
    """Why the hub cannot be asked, in a sentence, or None; as it was lately."""
    now = time.monotonic()
    if _hub["asked"] is None or now - _hub["asked"] > FRESH:
        _hub["asked"] = now
        Thread(target=lambda: _hub.update(reason=unreachable()), daemon=True).start()
    reason: str | None = _hub["reason"]
    return reason
