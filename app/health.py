"""Health: every method tried once on a bundled network, after the first page has been served.

A method that fails here is greyed in the window with the reason; the rest goes on. What was found,
which networks are kept and how much memory is used is told at /healthz and /status.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import torch

import zoo_adapters
from featvis import METHODS, Method
from zoo_adapters.hub import unreachable
from zoo_adapters.weights import memory

from . import stores, work
from .faults import REQUEST, sentence
from .kept import holding
from .state import MODEL, State

__all__ = ["CHECKS", "FIRST_PAGE", "Check", "begin", "failed", "hub_missing", "report", "tests"]

PATIENCE = 20.0  # seconds that it waits for the first page, and for visitors to finish
FEW = ("steps", "samples", "across", "octaves", "frames")  # of these few suffice to see it work
FRESH = 300.0  # seconds that an answer about the hub is used again
FIRST_PAGE = Event()  # has been served


class Check(NamedTuple):
    """How a method did."""

    ok: bool
    reason: str  # why it did not work; "" where it did
    seconds: float
    model: str


CHECKS: dict[str, Check] = {}
_hub: dict[str, Any] = {"asked": None, "reason": None}


def begin() -> None:
    """Test in the background."""
    Thread(target=_all, daemon=True, name="self-test").start()


def failed(name: str) -> str | None:
    """Why a method is not offered, or None."""
    check = CHECKS.get(name)
    if check is None or check.ok:
        return None
    return f"{METHODS[name].title} failed when this server started: {check.reason}"


def tests() -> Iterator[tuple[str, State]]:
    """Each method, and a state that asks it for as little as it can do."""
    for method in METHODS.values():
        name = _network(method)
        few = {
            param.name: max(2, int(param.range.low))
            for param in method.params
            if param.name in FEW and param.range and param.range.high >= 2
        }
        yield (
            method.name,
            State(tab=method.family, model=name, methods=(method.name,)).having(**few),
        )


def report() -> dict[str, Any]:
    """What is known: "ok", "degraded" where a method failed, "down" where none works."""
    left = [name for name in METHODS if name not in CHECKS]
    bad = [name for name, check in CHECKS.items() if not check.ok]
    down = bool(CHECKS) and not left and len(bad) == len(CHECKS)
    kept = list(stores.MODELS.items())
    return {
        "ok": not down,
        "status": "down" if down else "degraded" if bad else "ok",
        "version": _version(),
        "tested": len(CHECKS),
        "waiting": left,
        "methods": {name: check._asdict() for name, check in CHECKS.items()},
        "models": {str(name): f"{4e-6 * model.parameters:.1f} MB" for name, model in kept},
        "memory_mb": _memory(),
        "hub": hub_missing() or "answers",
    }


def hub_missing() -> str | None:
    """Why the hub cannot be asked, in a sentence, or None; as it was lately."""
    now = time.monotonic()
    if _hub["asked"] is None or now - _hub["asked"] > FRESH:
        _hub["asked"] = now
        Thread(target=lambda: _hub.update(reason=unreachable()), daemon=True).start()
    reason: str | None = _hub["reason"]
    return reason


def _network(method: Method) -> str:
    """A bundled network that can do it, the usual one first."""
    names = [MODEL, *(name for name in zoo_adapters.names("bundled") if name != MODEL)]
    for name in names:
        with suppress(Exception):
            if method.missing(stores.model_of(name)) is None:
                return name
    return MODEL


def _all() -> None:
    """Test the methods, one after another, each when no visitor waits."""
    REQUEST.set("self-test")
    FIRST_PAGE.wait(PATIENCE)
    hub_missing()
    for name, state in tests():
        until = time.monotonic() + PATIENCE
        while work.under_way() and time.monotonic() < until:
            time.sleep(0.2)
        CHECKS[name] = _tried(name, state)


def _tried(name: str, state: State) -> Check:
    from . import session  # which asks us what failed

    begin = time.perf_counter()
    try:
        with holding():
            stores.RESULTS.drop(session.key_of(METHODS[name], state))  # made anew, not found
            values = session.run(name, state).result.values
        wrong = "" if values.numel() and bool(torch.isfinite(values).all()) else "it is no number"
    except Exception as error:
        wrong = sentence(error)
    return Check(not wrong, wrong, round(time.perf_counter() - begin, 3), state.model)


def _version() -> str:
    try:
        return version("featvis")
    except PackageNotFoundError:
        return "source"


def _memory() -> Mapping[str, int | None]:
    """Megabytes that this process uses, and that are free."""
    free, used = memory(), None
    with suppress(OSError, ValueError, AttributeError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        used = pages * os.sysconf("SC_PAGE_SIZE") // 10**6
    return {"used": used, "free": None if free is None else free // 10**6}
