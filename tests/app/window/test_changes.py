"""The session, the changes and the tabs: the window without a browser."""

from __future__ import annotations

import threading
from dataclasses import replace

import PIL.Image
import pytest
import torch

import zoo_adapters
from app.answers import session
from app.files import save
from app.machine import disk
from app.machine.cache import Kept
from app.machine.jobs import Work
from app.pages import tabs
from app.question import pictures
from app.question.labels import class_named
from app.question.state import State
from app.question.tabs import FAMILIES, TABS
from app.window import changes
from featvis import METHODS, WrongRequest

NAMES = zoo_adapters.names("bundled")
pytestmark = pytest.mark.skipif(not NAMES, reason="no bundled network is committed yet")


@pytest.fixture
def state():
    return State(model=NAMES[0], image="scene-24")


def test_the_map_and_the_prediction_are_of_the_same_pass(state):
    logits = session.logits_of(state)
    result = session.run("cam", state).result
    assert int(result.classes) == int(logits.argmax())
    assert torch.equal(result.score[0], logits.max())
    assert float(result.residual) < 1e-5
    other = session.run("cam", state.but(target="3")).result
    assert torch.equal(other.score[0], logits[3])
    both = session.run("cam", state.but(target="3-5")).result
    assert torch.equal(both.score[0], logits[3] - logits[5])


def test_a_result_is_made_once(state):
    assert session.run("saliency", state) is session.run("saliency", state)
    assert session.run("saliency", state.but(target="1")) is not session.run("saliency", state)


@pytest.mark.parametrize("tab", FAMILIES)
def test_every_tab_is_drawn_and_saved(tab, state):
    pytest.importorskip("gradio")
    state = state.but(tab=tab)
    shown = tabs.draw(state)
    assert shown.view
    assert bool(shown.grid) == TABS[tab].has_grid
    assert save.picture(state)[0].startswith(b"\x89PNG")
    assert save.arrays(state)[0].startswith(b"PK")


def test_a_method_that_cannot_be_used_says_why(state, monkeypatch):
    model = session.model_of(state.model)
    without = replace(model, head=None, head_reason="<b>no head</b>")
    monkeypatch.setitem(session.MODELS, state.model, without)
    session.PASSES.clear()
    with pytest.raises(WrongRequest, match="no head"):
        session.run("cam", state)
    assert "&lt;b&gt;no head" in tabs.draw(state).view
    session.PASSES.clear()


def test_a_tab_chooses_a_layer_by_itself_until_one_is_chosen(state):
    model = session.model_of(state.model)
    own = {tab: session.layer_of(state, model, tab) for tab in FAMILIES}
    assert own["Class evidence"] == model.last_layer
    assert model.layer(own["Filters"]).kernel
    chosen = state.but(layer=list(model.layers)[2])
    assert session.layer_of(chosen, model, "Feature maps") == chosen.layer


def test_a_point_of_the_picture_is_a_position_of_the_map(state):
    state = state.but(tab="Feature maps")
    model = session.model_of(state.model)
    h, w = model.layer(session.layer_of(state, model)).size
    for x, y, expected in ((0, 0, (0, 0)), (1, 1, (h - 1, w - 1)), (0.999, 0, (0, w - 1))):
        assert changes.set_point(state, {"x": x, "y": y}).position == expected
    assert changes.set_point(state, {"x": "no"}) is state


def test_changes_give_up_what_no_longer_holds(state):
    chosen = state.but(layer="a", channel=1, position=(0, 0), target="2")
    assert changes.set_model(chosen, "timm:b") == state.but(model="timm:b")
    assert changes.set_picture(chosen, "scene-2").target is None
    assert changes.set_layer(chosen, "").channel is None
    assert changes.set_tab(chosen, "Filters").channel == 1
    assert changes.set_tab(chosen.but(layer=None), "Filters").channel is None


def test_wrong_values_are_refused_in_a_sentence(state):
    model = session.model_of(state.model)
    maps = state.but(tab="Feature maps", layer=model.last_layer)
    with pytest.raises(WrongRequest, match="channels go from 0"):
        changes.set_channel(maps, 99999)
    with pytest.raises(WrongRequest, match="channels go from 0"):
        tabs.draw(maps.but(channel=99999))
    with pytest.raises(WrongRequest, match="has no layer"):
        changes.set_layer(state, "no.layer")
    with pytest.raises(WrongRequest, match="classes go from 0"):
        changes.set_class(state, "99999")
    with pytest.raises(WrongRequest, match="at least one"):
        changes.set_methods(state, ["feature_maps"])
    with pytest.raises(WrongRequest, match="sort is one of"):
        tabs.draw(maps.having(sort="upside down"))
    with pytest.raises(WrongRequest, match="there is no method"):
        session.run("no_method", state)


def test_channels_go_round(state):
    state = state.but(tab="Feature maps")
    assert changes.step_channel(1)(state).channel == 0
    last = changes.step_channel(-1)(state.but(channel=0)).channel
    assert changes.step_channel(1)(state.but(channel=last)).channel == 0


def test_a_class_is_found_by_a_part_of_its_label(state):
    model = session.model_of(state.model)
    assert model.labels[class_named(model, "Lightho")] == "lighthouse"
    with pytest.raises(WrongRequest, match="is part of"):
        class_named(model, "a")


def test_an_upload_is_kept_small_and_found_again(tmp_path, monkeypatch):
    store = disk.Store(tmp_path, 0, 0)
    monkeypatch.setattr(disk, "uploads", lambda: store)
    name = pictures.keep(PIL.Image.effect_noise((3000, 1000), 50))
    assert pictures.get(name).size == (1024, 341)
    assert pictures.keep(PIL.Image.effect_noise((8, 8), 50)) != name
    with pytest.raises(WrongRequest, match="not a picture"):
        pictures.keep(b"no picture")
    with pytest.raises(WrongRequest, match="no longer here"):
        pictures.get("0123456789abcdef")


def test_what_is_asked_for_twice_is_made_once_and_old_things_go():
    kept, made = Kept(2), []

    def make():
        made.append(1)
        gate.wait(1)
        return len(made)

    gate = threading.Event()
    asked = [threading.Thread(target=kept.get_or, args=("a", make)) for _ in range(3)]
    for thread in asked:
        thread.start()
    gate.set()
    for thread in asked:
        thread.join()
    assert made == [1]
    kept.get_or("b", lambda: 2)
    kept.get_or("c", lambda: 3)
    assert list(kept) == ["b", "c"]
    assert not kept.making


def test_work_says_what_it_does_and_raises_what_was_raised():
    gate = threading.Event()

    def slow(work):
        work.say("Thinking")
        work.progress(25_000_000, 100_000_000, "weights")
        gate.wait(5)
        raise WrongRequest("no")

    work = Work(slow)
    words = next(work.waits())
    gate.set()
    assert words.startswith("Downloading weights, 25 of 100 MB")
    assert work.share == 0.25
    with pytest.raises(WrongRequest, match="no"):
        work.result()


def test_every_family_has_a_tab_and_every_method_is_in_one():
    assert {m.name for tab in FAMILIES for m in TABS[tab].methods} == set(METHODS)


def test_what_is_shown_twice_before_it_is_taken_is_shown_whole():
    """A cold page shows its subject and its first result at nearly the same time."""

    def quick(work):
        work.show({"subject": 1, "view": "old"})
        work.show({"view": "new"})
        return "done"

    work = Work(quick)
    assert work.result() == "done"
    assert work.take() == {"subject": 1, "view": "new"}
    assert work.take() == {}


def test_what_is_kept_is_bounded_by_its_weight_but_for_the_last():
    kept = Kept(10, lambda made: made, 10)
    for name, weight in (("a", 4), ("b", 4), ("c", 4)):
        kept.get_or(name, lambda weight=weight: weight)
    assert list(kept) == ["b", "c"]
    kept.get_or("d", lambda: 50)
    assert list(kept) == ["d"]
