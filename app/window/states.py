"""States of sessions as Gradio keeps them, without a copy of all components' properties.

Gradio copies them for its deep links, which this server does not have. Without the copy a session
takes a fraction of the memory, and a new one hardly holds up the event loop.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gradio.state_holder import SessionState, StateHolder


class _Source(NamedTuple):
    """The part of the Blocks that a session needs."""

    default_config: Any
    blocks: tuple[int, ...] = ()  # components whose properties are copied


class LightState(SessionState):
    """The state of one session."""

    def __init__(self, blocks: Any) -> None:
        super().__init__(_Source(blocks.default_config))
        self.blocks_config.config_for_block = lambda *_: {}


class Holder(StateHolder):
    """The states of all sessions."""

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = LightState(self.blocks)
        return super().__getitem__(session_id)


def install(app: Any) -> None:
    """Let a Gradio app keep light states."""
    app.state_holder = Holder()
    app.state_holder.set_blocks(app.get_blocks())
