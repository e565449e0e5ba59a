"""Sessions: the pages that Gradio keeps for each address, and in all; the oldest go first.

One that is dropped is built again from the page's link; one whose answer is still being made stays.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

from ..machine.limits import limits
from .replies import Refusal

EVENTS = 16  # actions of one page under way: the next one takes the place of the one before


class Sessions:
    """Whose each session is, in the order of their last use."""

    def __init__(self, blocks: Any) -> None:
        self.blocks = blocks
        self.owners: OrderedDict[str, str] = OrderedDict()

    def use(self, session: str, who: str) -> None:
        """An address uses a session: others of it go where it has more than it may."""
        if session in self.owners:
            self.owners.move_to_end(session)
            return
        here = limits()
        own = [name for name, owner in self.owners.items() if owner == who]
        if len(own) >= here.sessions_each > 0 and not self._drop_idle(own):
            raise Refusal(
                f"at most {here.sessions_each} pages or calls work at the same time: wait for one",
                429,
                wait=1,
            )
        if len(self.owners) >= here.sessions > 0 and not self._drop_of_the_largest():
            raise Refusal("the server is full: try again in a minute", 503, wait=60)
        self.owners[session] = who

    def is_waiting(self, session: str) -> bool:
        """Are there, or will there be, messages for a session?"""
        return session in self.blocks._queue.pending_messages_per_session

    def check_events(self, session: str) -> None:
        """Refuse another event of a page of which many are under way already."""
        if len(self.blocks._queue.pending_event_ids_session.get(session, ())) >= EVENTS:
            raise Refusal(
                f"at most {EVENTS} actions of a page are worked on at the same time: wait for one",
                429,
                wait=1,
            )

    def _drop_of_the_largest(self) -> bool:
        """Drop the oldest idle session of the address that has most of them, or of the next."""
        for who, _ in Counter(self.owners.values()).most_common():
            if self._drop_idle([name for name, owner in self.owners.items() if owner == who]):
                return True
        return False

    def _drop_idle(self, sessions: list[str]) -> bool:
        idle = next((name for name in sessions if not self._busy(name)), None)
        if idle is not None:
            self.drop(idle)
        return idle is not None

    def _busy(self, session: str) -> bool:
        queue = self.blocks._queue
        events = queue.pending_event_ids_session.get(session, ())
        return any(event in queue.event_ids_to_events for event in events)

    def drop(self, session: str) -> None:
        """Forget a session, and all that Gradio keeps of it."""
        self.owners.pop(session, None)
        holder, queue = self.blocks.state_holder, self.blocks._queue
        with holder.lock:
            holder.session_data.pop(session, None)
            holder.time_last_used.pop(session, None)
        queue.pending_messages_per_session.pop(session, None)
        queue.pending_event_ids_session.pop(session, None)

    def of_event(self, event: str) -> str:
        """The session of a call that was begun without one."""
        queue = self.blocks._queue
        if known := queue.event_ids_to_events.get(event):
            return str(known.session_hash)
        sessions = queue.pending_event_ids_session.items()
        return next((name for name, events in sessions if event in events), "")
