"""Health: every method tried once on a bundled network, after the first page has been served.

A method that fails here is greyed in the window with the reason; the rest goes on. /healthz and
/status tell it, how soon a visitor is answered, what is kept and used, and what runs out. Memory
is told on a server of one's own alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import torch

import zoo_adapters
from featvis import METHODS, Method, __version__

from ..answers.ask import ask_of
from ..answers.run import run
from ..machine import broken, cache, jobs, lanes, resources
from ..machine.cache import holding
from ..machine.errors import REQUEST, sentence
from ..machine.limits import public
from ..machine.pulse import Answer
from ..question.state import MODEL, State

PATIENCE = 20.0  # seconds that it waits for the first page, and for visitors to finish
FEW = ("steps", "samples", "across", "octaves", "frames")  # of these few suffice to see it work
SLOW = 2.0  # seconds of an answer that should take some hundredths of one
FIRST_PAGE = Event()  # has been served


def begin() -> None:
    """Test in the background."""
    Thread(target=_all, daemon=True, name="self-test").start()


def smallest_questions() -> Iterator[tuple[str, State]]:
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


def report(answer: Answer | None = None) -> dict[str, Any]:
    """The facts about this server; `answer` is that to the light question of pulse.py."""
    facts: dict[str, Any] = {
        "ok": True,
        "status": "ok",
        "version": __version__,
        "answer": (answer or Answer(None))._asdict(),
        "problems": resources.problems(),
        "jobs": {"running": jobs.under_way(), "waiting": _waiting()},
        "threads": resources.threads(),
        "open_files": resources.open_files(),
        "tested": len(broken.CHECKS),
        "waiting": [name for name in METHODS if name not in broken.CHECKS],
        "methods": {name: check._asdict() for name, check in broken.CHECKS.items()},
        "models": {
            str(name): f"{4e-6 * model.parameters:.1f} MB"
            for name, model in list(cache.MODELS.items())
        },
        "memory_mb": {} if public() else resources.memory_mb(),
        "hub": broken.hub_missing() or "answers",
    }
    status = _status(answer, facts["problems"])
    return facts | {"ok": status != "down", "status": status}


def _status(answer: Answer | None, problems: list[str]) -> str:
    """Down: nobody is answered, or no method works. Degraded: a part of it does not work."""
    bad = [name for name, check in broken.CHECKS.items() if not check.ok]
    if (answer and answer.seconds is None) or (bad and len(bad) == len(METHODS)):
        return "down"
    if answer and answer.seconds is not None and answer.seconds > SLOW:
        return "slow"
    return "degraded" if bad or problems else "ok"


def _waiting() -> int:
    """Long jobs that wait for their turn."""
    return sum(not job.done() and not job.running() for job in [*lanes.QUEUE])


def _network(method: Method) -> str:
    """A bundled network that can do it, the usual one first."""
    names = [MODEL, *(name for name in zoo_adapters.names("bundled") if name != MODEL)]
    for name in names:
        with suppress(Exception):
            if method.missing(cache.model_of(name)) is None:
                return name
    return MODEL


def _all() -> None:
    """Test the methods, one after another, each when no visitor waits."""
    REQUEST.set("self-test")
    FIRST_PAGE.wait(PATIENCE)
    broken.hub_missing()
    for name, state in smallest_questions():
        until = time.monotonic() + PATIENCE
        while jobs.under_way() and time.monotonic() < until:
            time.sleep(0.2)
        broken.CHECKS[name] = _tried(name, state)


def _tried(name: str, state: State) -> broken.Check:
    begin = time.perf_counter()
    try:
        with holding():
            ask = ask_of(name, state)
            cache.RESULTS.drop(ask.key)  # computed now, whether or not it is kept
            values = run(ask).result.values
        wrong = "" if values.numel() and bool(torch.isfinite(values).all()) else "it is no number"
    except Exception as error:
        wrong = sentence(error)
    return broken.Check(
        ok=not wrong,
        reason=wrong,
        seconds=round(time.perf_counter() - begin, 3),
        model=state.model,
    )
