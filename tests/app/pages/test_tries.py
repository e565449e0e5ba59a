"""Every tab begins with an example that works with one click."""

from __future__ import annotations

import pytest

from app.pages import tabs, tries
from app.question.state import State
from app.question.tabs import TABS
from tests.support.untranslated import in_state, require_korean

ALL = [(tab, i) for tab in TABS for i in range(len(TABS[tab].examples))]


def test_every_tab_has_one():
    assert all(tab.examples for tab in TABS.values())
    assert all(f'data-try="{i}"' in tries.offered(tab) for tab, i in ALL)


@pytest.mark.parametrize(("tab", "number"), ALL)
def test_each_example_is_drawn_and_translated(tab, number, monkeypatch):
    state = tries.tried(tab, State(), {"try": str(number)})
    assert state.tab == tab
    drawn = []
    draw = tabs.draw
    monkeypatch.setattr(tabs, "draw", lambda *given: drawn.append(draw(*given)) or drawn[-1])
    made = TABS[tab].makes_pictures or state.display("columns") == "synthesis"
    missing = in_state(state.having(steps=1, size=64, octaves=1) if made else state)
    assert any(sign in drawn[0].view + drawn[0].grid for sign in ("<img", "fv-tiles", "fv-grid"))
    assert "fv-off" not in drawn[0].view or tab == "Compare"  # a transformer has no CAM
    require_korean(missing)


@pytest.mark.parametrize("wrong", [{}, {"try": "99"}, {"try": "-1"}, {"try": None}, {"try": "²"}])
def test_a_wrong_one_changes_nothing(wrong):
    state = State(tab="Filters", channel=3)
    assert tries.tried("Filters", state, wrong) is state
