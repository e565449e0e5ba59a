"""Trace: calls between the files of app/ while a tab is drawn, on all threads of the server.

The server runs in this process. A page that shows feature maps opens the tab Class evidence, whose
three maps were not computed before; each call of a function in one file of app/ by a function in
another is counted, from the request to the last piece of the page.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from .client import Visitor

__all__ = ["RESOLVED", "Crossing", "Crossings", "main", "trace_tab"]

APP = str(Path(__file__).parents[1] / "app")
OPENED = "tab=Feature+maps&m=bundled:scenes-resnet&img=scene-{}"
SCENES = 2, 30  # the first one is drawn before anything is counted
CAN_WAIT = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
# What is resolved of a question -> the function that does it, by its file.
RESOLVED = {
    "subject": ("answers/subject.py", "Subject.arguments"),
    "parameters": ("machine/limits.py", "allowed_params"),
    "model": ("machine/cache.py", "model_of"),
}


class Crossing(NamedTuple):
    """A call from one file of app/ into another."""

    caller: str
    callee: str
    function: str


class Crossings:
    """Counts the crossings of all threads that start within, while `counting` is set."""

    def __init__(self) -> None:
        self.counts: Counter[Crossing] = Counter()
        self.suspended: dict[int, FrameType] = {}  # generators and coroutines that have begun
        self.counting = False

    def __enter__(self) -> Crossings:
        threading.setprofile(self._count)
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        self.counting = False
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]

    def _count(self, frame: FrameType, event: str, _: Any) -> None:
        if not self.counting or event != "call":
            return
        if frame.f_code.co_flags & CAN_WAIT:  # going on is no new call
            if self.suspended.get(id(frame)) is frame:
                return
            self.suspended[id(frame)] = frame
        back = frame.f_back
        while back is not None and back.f_code.co_filename == functools.__file__:
            back = back.f_back  # a cached property is called by whoever asks for it
        if back is None:
            return
        callee, caller = frame.f_code.co_filename, back.f_code.co_filename
        if callee != caller and callee.startswith(APP) and caller.startswith(APP):
            name = frame.f_code.co_qualname if sys.version_info >= (3, 11) else frame.f_code.co_name
            files = caller[len(APP) + 1 :], callee[len(APP) + 1 :]
            self.counts[Crossing(*files, name)] += 1

    def calls(self, file: str, function: str) -> int:
        """How often a function was called from other files."""
        return sum(
            count
            for crossing, count in self.counts.items()
            if (crossing.callee, crossing.function) == (file, function)
        )


def main(_: Sequence[str] = ()) -> None:
    """Print the crossings by the file that is called, and what is resolved how often."""
    crossings = trace_tab()
    by_file = Counter[str]()
    for crossing, count in crossings.counts.items():
        by_file[crossing.callee] += count
    print("| file of app/ | calls from other files |")
    print("| --- | ---: |")
    for file, count in by_file.most_common():
        print(f"| {file} | {count} |")
    print(f"| all | {by_file.total()} |")
    for name, place in RESOLVED.items():
        print(f"{name}: resolved {crossings.calls(*place)} times")


def trace_tab(launch: Callable[[], tuple[Any, str]] | None = None) -> Crossings:
    """The crossings of one change of tab; `launch` starts the server where none is given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Crossings() as crossings:
            if launch is None:
                from app.web.serve import launch
            blocks, url = launch()
            try:
                asyncio.run(_change_tab(url.rstrip("/"), blocks.config, crossings))
            finally:
                blocks.close()
    return crossings


async def _change_tab(url: str, config: dict[str, Any], crossings: Crossings) -> None:
    for number, scene in enumerate(SCENES):
        visitor = Visitor(url, number, config)
        load, tab = visitor.event("load", "load"), visitor.event("Class evidence", "select")
        await visitor.send(load, [], query=OPENED.format(scene))
        crossings.counting = number == len(SCENES) - 1
        answer = await visitor.send(tab, [True])
        crossings.counting = False
        await visitor.http.aclose()
        if answer.fate != "answered":
            raise RuntimeError(f"the tab was not drawn: {answer.value}")
