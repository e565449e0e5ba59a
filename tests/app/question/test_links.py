"""Links: whatever is written into one, the window opens; uploads are kept, but not for ever."""

from __future__ import annotations

import random

import PIL.Image
import pytest

from app.machine import disk, disk_store
from app.pages import tabs
from app.question import pictures
from app.question.state import State, from_query, to_query
from app.question.tabs import TABS
from app.window.changes import set_point
from app.window.visit import simpler_states
from featvis import WrongRequest

STATE = State(
    model="bundled:scenes-resnet", others=("bundled:scenes-vit",), image="scene-3", channel=7,
    layer="layer3", position=(2, 5), target="3-5", seed=4, methods=("cam", "saliency"),
).having(maps="shared", samples=3)  # fmt: skip
JUNK = (
    "%00", "%ff", "&", "=", "?", "#", "\0", "\U0001f600", "../", "<script>", "1e309", "-1", "NaN",
    "\u0663", "{}", "[]", "'", '"', ";", "99999999999",
)  # fmt: skip


def mutated(query, draw):
    """A link after one to five accidents: cut, doubled, swapped, or with junk in it."""
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(query) + 1)
        kind = draw.randrange(4)
        if kind == 0:
            query = query[:at] + draw.choice(JUNK) + query[at:]
        elif kind == 1:
            query = query[:at] + query[at + draw.randint(1, 9) :]
        elif kind == 2:
            query += "&" + query[at:]
        else:
            parts = query.split("&")
            draw.shuffle(parts)
            query = "&".join(parts)
    return query


def test_any_link_is_a_state_and_its_own_link_is_the_same_state():
    draw, several = random.Random(0), 0
    for tab in list(TABS) * 150:
        state = from_query(mutated(to_query(STATE.but(tab=tab)), draw))
        assert state.tab in TABS
        assert from_query(to_query(state)) == state
        several += bool(state.others)
    assert several > 100  # with several networks


def test_a_mutated_link_is_shown_as_far_as_it_can_be():
    """What the window does when it opens: the first of ever simpler states that can be drawn."""
    draw = random.Random(1)
    for _ in range(12):
        asked = from_query(mutated(to_query(STATE), draw)).but(methods=("cam",))
        for state in simpler_states(asked):
            try:
                assert tabs.draw(state.but(tab="Class evidence")).view
                break
            except WrongRequest:
                continue
        else:
            raise AssertionError(to_query(asked))


def test_the_oldest_uploads_make_room_for_new_ones(tmp_path, monkeypatch):
    store = disk_store.Store(tmp_path, 0, 0)
    monkeypatch.setattr(disk, "uploads", lambda: store)
    names = [pictures.keep(PIL.Image.effect_noise((200, 200), 40 + i)) for i in range(4)]
    store.total = store.size
    names.append(pictures.keep(PIL.Image.effect_noise((200, 200), 30)))
    assert {path.stem for path in tmp_path.glob("*.webp")} == {*names[1:]}
    with pytest.raises(WrongRequest, match="no longer here"):
        pictures.get(names[0])


def test_a_point_that_is_none_changes_nothing():
    for data in ({}, {"x": "a", "y": 1}, {"x": None, "y": 0}):
        assert set_point(STATE, data) is STATE


def test_a_link_of_very_many_values_is_cut_and_opens():
    state = from_query(to_query(STATE) + "&x=1" * 5000 + "&ch=9")
    assert state == STATE
