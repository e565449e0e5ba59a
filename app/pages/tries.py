"""Tries: what each tab begins with, so that one click shows something worth seeing."""

from __future__ import annotations

from html import escape
from typing import Any

from ..machine import values
from ..question.state import State, from_query
from ..question.tabs import TABS


def offered(tab: str) -> str:
    """What can be tried in a tab, as buttons."""
    made = "".join(
        f'<button data-try="{i}">{escape(title)}</button>'
        for i, (title, _) in enumerate(TABS[tab].examples)
    )
    return f'<div class="fv-try" role="group" aria-label="Examples"><span>Try</span>{made}</div>'


def tried(tab: str, state: State, data: dict[str, Any]) -> State:
    """The state of an example that was clicked."""
    number, examples = values.pick(data, "try"), TABS[tab].examples
    if number not in map(str, range(len(examples))):
        return state
    return from_query(f"tab={tab}&{examples[int(number)][1]}")
