"""Visits: one for each open page, with its state and the work that the page waits for.

Only the event loop touches a visit, so that no handler ever waits for a lock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import zoo_adapters
from featvis import WrongRequest

from ..machine.jobs import Work
from ..question.state import State, start

Updates = AsyncIterator[dict[Any, Any]]
Change = Callable[..., State]


class Visit:
    """One open page."""

    def __init__(self) -> None:
        self.state: State | None = None  # what the page shows, or the link that it opens with
        self.controls: State | None = None  # the state whose controls the page was sent last
        self.results: State | None = None  # the last one of which it was sent everything
        self.query = ""  # of the link that the page was opened with
        self.work: Work[Any] | None = None  # what the page waits for
        self.parked: Work[Any] | None = None  # a long job that goes on after the page left it
        self.pending: list[Change] = []  # changes whose states the page was not sent yet
        self.notice = ""  # what was last said and still stands
        self.language = "en"  # of the page; what is said here is English until it leaves

    def __deepcopy__(self, _: Any) -> Visit:
        return Visit()

    def begin(self, work: Work[Any], change: Change) -> None:
        """Let the page wait for `work`, and no longer for the work before.

        A long job goes on, so that its result is there for whoever comes back to it.
        """
        before, self.work = self.work, work
        self.pending.append(change)
        if before is None:
            return
        if before.is_long and not before.optional:
            self.end_parked()
            self.parked = before
        else:
            before.cancel()

    def leave(self, work: Work[Any] | None) -> bool:
        """Stop waiting for `work`; was the page still waiting for it?"""
        if work is None or self.work is not work:
            return False
        self.work = None
        return True

    def commit(self, state: State) -> None:
        """Note that the page was sent a state."""
        self.state = self.controls = state
        self.pending.clear()

    def end_parked(self) -> None:
        """Stop the job that the page left: a new one of the same page must not wait for it."""
        if self.parked is not None:
            self.parked.cancel()
        self.parked = None


def simpler_states(asked: State) -> Iterator[State]:
    """The state of a link, then what is left of it without its finer choices, then the start."""
    yield asked
    yield asked.but(channel=None, position=None, params=start().params)
    yield asked.but(layer=None, channel=None, position=None, target=None, params=start().params)
    yield start().but(model=asked.model)
    yield start()
    for name in zoo_adapters.names("bundled"):
        yield start().but(model=name)


def state_after(base: State | None, earlier: tuple[Change, ...], change: Change) -> State:
    """The state after a change, and after those before it that the page has not shown yet."""
    for previous in earlier:
        with suppress(WrongRequest):  # nobody waits for its refusal any more
            base = previous(base)
    return change(base)
