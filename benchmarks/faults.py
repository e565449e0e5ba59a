"""Faults: thousands of hostile pictures, links and API calls, and what becomes of them.

Each is answered, or refused with a sentence that says nothing of the inside. The process that
takes them is this one: its memory is compared before, when every tab has been shown of each bundled
network so that all that is kept of networks and indexes is there, and after.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import logging
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from featvis import WrongRequest

__all__ = ["SMALL", "main", "memory", "outcome", "wrong"]

# A server on which nothing takes long, so that many requests can be made.
SMALL = {"PUBLIC": "1", "STEPS": "2", "SIZE": "64", "SAMPLES": "2", "BATCH": "8", "PICTURES": "2"}
DRAWN = 20  # one link of so many is drawn, too: the rest are read and written
HERE = re.escape(str(Path(__file__).parents[1]))  # where this checkout lies
LEAKS = re.compile(rf"Traceback|File \"|site-packages| at 0x|/tmp/|/home/|{HERE}|/root/|\.py\b")
UNEXPECTED = "this could not be computed"
LENGTH = 4000  # letters of a sentence; what a list of names needs


class _Heard(logging.Handler):
    """Errors that are written to the log: one row of several tells its own and the rest goes on."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.errors.append(f"{type(error).__name__}: {error}" if error else record.getMessage())


def outcome(kind: str, number: int) -> str:
    """What one hostile input gives: "answered", or the sentence that refuses it."""
    from app.faults import LOG, sentence

    heard = _Heard()
    LOG.addHandler(heard)
    try:
        DOORS[kind](number)
        return f"{UNEXPECTED}, in a part: {heard.errors[0]}" if heard.errors else "answered"
    except Exception as error:
        return sentence(error)
    finally:
        LOG.removeHandler(heard)


def wrong(said: str) -> str:
    """What is wrong with a refusal; "" where nothing is."""
    if said.startswith(UNEXPECTED):
        return "unexpected"
    if found := LEAKS.search(said):
        return f"tells {found[0]!r}"
    return "is too long" if len(said) > LENGTH else ""


def _picture(number: int) -> None:
    from app import pictures
    from benchmarks import hostile

    kept = pictures.get(pictures.keep(hostile.picture(number)))
    assert kept.mode == "RGB"
    assert max(kept.size) <= pictures.LARGEST


def _link(number: int) -> None:
    from app import tabs
    from app.state import from_query, to_query
    from app.work import Work
    from benchmarks import hostile

    state = from_query(hostile.link(number))
    assert from_query(to_query(state)) == state, "a link that is read is not the one written"
    if number % DRAWN == 0:
        Work(lambda work: tabs.draw(state, work.say)).result()


def _call(number: int) -> None:
    from app import api
    from app.work import Work
    from benchmarks import hostile

    name, given = hostile.call(number)
    function: Callable[..., Any] = getattr(api, name)
    made = Work(lambda _: function(**given)).result()
    if isinstance(made, dict):
        made = {k: v for k, v in made.items() if not isinstance(v, tuple)}
    json.dumps(made, allow_nan=False)  # what JSON has no word for cannot be sent


DOORS: dict[str, Callable[[int], None]] = {"picture": _picture, "link": _link, "call": _call}


def memory() -> float:
    """MB of this process after all that can be given back is."""
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def main(arguments: Sequence[str] = ()) -> None:
    """Print a table of the kinds: how many, answered, refused, wrong; memory; the slowest."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks faults")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--kinds", nargs="+", choices=DOORS, default=list(DOORS))
    options = parser.parse_args(arguments)
    os.environ.update({f"FEATVIS_{name}": value for name, value in SMALL.items()})
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = f"{folder}/gradio"
        os.environ["TMPDIR"] = tempfile.tempdir = folder  # of the uploads
        from app import serve

        serve.guard()
        _run(options.count, options.kinds)


def _used() -> None:
    """Show what the server has, as visitors would: each tab of each bundled network."""
    import zoo_adapters
    from app import tabs
    from app.state import TABS, from_query
    from app.work import Work

    for name in zoo_adapters.names("bundled"):
        for tab in TABS:
            state = from_query(f"tab={tab}&m={name}")
            try:
                Work(lambda work, state=state: tabs.draw(state, work.say)).result()
            except WrongRequest:  # a network without a head has no class activation map
                continue


def _run(count: int, kinds: Sequence[str]) -> None:
    begin = time.monotonic()
    _used()
    before = memory()
    print(f"{before:.0f} MB before, after {time.monotonic() - begin:.0f} s of use\n", flush=True)
    fates: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    slowest = dict.fromkeys(kinds, (0.0, 0))
    reasons: Counter[str] = Counter()
    sizes: list[float] = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        begin = time.process_time()
        said = outcome(kind, number)
        spent = time.process_time() - begin
        slowest[kind] = max(slowest[kind], (spent, number))
        problem = wrong(said)
        fate = "wrong" if problem else "answered" if said == "answered" else "refused"
        fates[kind][fate] += 1
        if problem:
            reasons[f"{kind} {number} {problem}: {said[:150]}"] += 1
        if (number + 1) % (count // 10) == 0:
            sizes.append(memory())
    print("| kind | sent | answered | refused in a sentence | wrong | most processor time, s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for kind, found in fates.items():
        print(f"| {kind} | {found.total()} | {found['answered']} | {found['refused']} | "
              f"{found['wrong']} | {slowest[kind][0]:.2f} (of {slowest[kind][1]}) |")  # fmt: skip
    print(f"memory after each tenth, MB: {', '.join(f'{size:.0f}' for size in sizes)}; "
          f"the last is {sizes[-1] / before:.3f} times that before, "
          f"{sizes[-1] / sizes[0]:.3f} times the first")  # fmt: skip
    for reason in reasons:
        print("  wrong:", reason)
