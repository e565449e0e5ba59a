"""The session, the changes and the tabs: the window without a browser."""

from __future__ import annotations

from dataclasses import replace

import PIL.Image
import pytest
import torch

import zoo_adapters
from app.answers.ask import ask_of
from app.answers.prediction import logits_of
from app.answers.run import run
from app.answers.subject import layer_of
from app.files import save
from app.machine import disk, disk_store
from app.machine.cache import MODELS, PASSES, model_of
from app.pages import tabs
from app.question import pictures
from app.question.state import State
from app.question.tabs import FAMILIES, TABS
from app.window import changes
from featvis import METHODS, WrongRequest

NAMES = zoo_adapters.names("bundled")


@pytest.fixture
def state():
    return State(model=NAMES[0], image="scene-24")


def test_the_map_and_the_prediction_are_of_the_same_pass(state):
    logits = logits_of(state)
    result = run(ask_of("cam", state)).result
    assert int(result.classes) == int(logits.argmax())
    assert torch.equal(result.score[0], logits.max())
    assert float(result.residual) < 1e-5
    other = run(ask_of("cam", state.but(target="3"))).result
    assert torch.equal(other.score[0], logits[3])
    both = run(ask_of("cam", state.but(target="3-5"))).result
    assert torch.equal(both.score[0], logits[3] - logits[5])


def test_a_result_is_made_once(state):
    assert run(ask_of("saliency", state)).result is run(ask_of("saliency", state)).result
    other = run(ask_of("saliency", state.but(target="1")))
    assert other.result is not run(ask_of("saliency", state)).result


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
    model = model_of(state.model)
    without = replace(model, head=None, head_reason="<b>no head</b>")
    monkeypatch.setitem(MODELS, state.model, without)
    PASSES.clear()
    with pytest.raises(WrongRequest, match="no head"):
        run(ask_of("cam", state))
    assert "&lt;b&gt;no head" in tabs.draw(state).view
    PASSES.clear()


def test_a_tab_chooses_a_layer_by_itself_until_one_is_chosen(state):
    model = model_of(state.model)
    own = {tab: layer_of(state, model, tab) for tab in FAMILIES}
    assert own["Class evidence"] == model.last_layer
    assert model.layer(own["Filters"]).kernel
    chosen = state.but(layer=list(model.layers)[2])
    assert layer_of(chosen, model, "Feature maps") == chosen.layer


def test_a_point_of_the_picture_is_a_position_of_the_map(state):
    state = state.but(tab="Feature maps")
    model = model_of(state.model)
    h, w = model.layer(layer_of(state, model)).size
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
    model = model_of(state.model)
    maps = state.but(tab="Feature maps", layer=model.last_layer)
    with pytest.raises(WrongRequest, match="channels go from 0"):
        changes.set_channel(maps, 99999)
    with pytest.raises(WrongRequest, match="channels go from 0"):
        tabs.draw(maps.but(channel=99999))
    with pytest.raises(WrongRequest, match="has no layer"):
        changes.set_layer(state, "no.layer")
    with pytest.raises(WrongRequest, match="classes go from 0"):
        changes.set_class(state, "99999")
    with pytest.raises(WrongRequest, match="of another kind"):
        changes.set_methods(state, ["feature_maps"])
    with pytest.raises(WrongRequest, match="at least one"):
        changes.set_methods(state, [])
    with pytest.raises(WrongRequest, match="sort is one of"):
        tabs.draw(maps.having(sort="upside down"))
    with pytest.raises(WrongRequest, match="there is no method"):
        run(ask_of("no_method", state))


def test_channels_go_round(state):
    state = state.but(tab="Feature maps")
    assert changes.step_channel(1)(state).channel == 0
    last = changes.step_channel(-1)(state.but(channel=0)).channel
    assert changes.step_channel(1)(state.but(channel=last)).channel == 0


def test_a_class_is_found_by_a_part_of_its_label(state):
    model = model_of(state.model)
    assert model.labels[model.output.parse("Lightho")] == "lighthouse"
    with pytest.raises(WrongRequest, match="is part of"):
        model.output.parse("a")


def test_an_upload_is_kept_small_and_found_again(tmp_path, monkeypatch):
    store = disk_store.Store(tmp_path, 0, 0)
    monkeypatch.setattr(disk, "uploads", lambda: store)
    name = pictures.keep(PIL.Image.effect_noise((3000, 1000), 50))
    assert pictures.get(name).size == (1024, 341)
    assert pictures.keep(PIL.Image.effect_noise((8, 8), 50)) != name
    with pytest.raises(WrongRequest, match="not a picture"):
        pictures.keep(b"no picture")
    with pytest.raises(WrongRequest, match="no longer here"):
        pictures.get("0123456789abcdef")


def test_every_family_has_a_tab_and_every_method_is_in_one():
    assert {m.name for tab in FAMILIES for m in TABS[tab].methods} == set(METHODS)
