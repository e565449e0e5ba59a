"""What the window measures of a map: faithfulness, place, box, sanity."""

from __future__ import annotations

import io
from types import MappingProxyType

import numpy as np
import PIL.Image
import pytest
import torch

from app.answers import trust
from app.answers.ask import ask_of
from app.answers.prediction import SECONDS, logits_of
from app.answers.run import run
from app.files import save
from app.machine.cache import model_of
from app.pages import evidence
from app.question import pictures
from app.question.state import State, from_query, to_query
from zoo_adapters.bundled.scenes import scene

MODEL = "bundled:scenes-resnet"


@pytest.fixture
def state():
    return State(model=MODEL, image="scene-24")


def test_a_map_of_the_class_beats_random_maps_and_points_at_the_object(state):
    made = run(ask_of("cam", state))
    found = trust.faith(made)
    assert found.insertion > found.random_insertion
    assert found.deletion < found.random_deletion
    assert 0 <= min(found.deletion, found.insertion) <= max(found.deletion, found.insertion) <= 1
    place = trust.place(made)
    assert place.on_object
    assert place.iou > 0.3


def test_the_object_on_the_input_is_the_one_in_the_scene(state):
    mask = trust._object(ask_of("cam", state))
    drawn = scene(24, size=pictures.SCENE).object
    assert tuple(mask.shape) == model_of(MODEL).size
    assert float(mask.float().mean()) == pytest.approx(drawn.mean(), abs=0.01)


def test_what_is_not_known_of_a_picture_is_not_said(state):
    others = state.but(target="0"), state.but(target="3-5")
    neuron = run(ask_of("saliency", state.having(explain="neuron")))
    for answer in (*(run(ask_of("cam", other)) for other in others), neuron):
        assert trust.place(answer) is None
    noise = PIL.Image.effect_noise((80, 60), 40).convert("RGB")
    uploaded = state.but(image=pictures.keep(noise))
    assert trust.place(run(ask_of("cam", uploaded))) is None


def test_trust_of_a_neuron_is_measured(state):
    chosen = state.having(explain="neuron").but(layer="layer3", channel=5)
    made = run(ask_of("saliency", chosen))
    found = trust.faith(made)
    assert all(np.isfinite([found.insertion, found.deletion]))
    assert len(trust.stages(made)) == 5


def test_the_sanity_check_leaves_the_network_as_it_is(state):
    model = model_of(MODEL)
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    found = trust.stages(run(ask_of("grad_cam", state)))
    after = model.module.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert found[0].down_to == "fc"
    assert all(abs(float(stage.correlation[0])) <= 1 for stage in found)
    assert "sanity check" in trust.verdict(found)


def test_the_panel_says_what_was_measured(state):
    asked = state.having(trust=True, sanity=True)
    panel = evidence.panel(run(ask_of("cam", asked)))
    text = " ".join(panel.lines)
    assert "random map" in text
    assert "the object" in text
    assert "sanity check" in text
    assert panel.box is not None
    plain = evidence.panel(run(ask_of("cam", state)))
    assert plain.box is None
    assert not plain.strip


def test_a_link_keeps_what_is_measured(state):
    asked = state.having(trust=True, box=True)
    assert from_query(to_query(asked)) == asked
    assert isinstance(from_query(to_query(asked)).params, MappingProxyType)


def test_the_box_is_drawn_and_exported(state):
    pytest.importorskip("gradio")
    only = state.but(methods=("cam",))
    plain, _ = save.picture(only)
    framed, _ = save.picture(only.having(box=True))
    with PIL.Image.open(io.BytesIO(plain)) as a, PIL.Image.open(io.BytesIO(framed)) as b:
        assert a.size == b.size
        assert (np.array(a) != np.array(b)).any()
    with np.load(io.BytesIO(save.arrays(only)[0])) as arrays:
        top, left, bottom, right = arrays["cam.box"]
        values = arrays["cam.values"]
    assert 0 <= top < bottom <= pictures.SCENE
    assert 0 <= left < right <= pictures.SCENE
    row, column = np.unravel_index(values[0].argmax(), values[0].shape)
    cell = pictures.SCENE / values.shape[1]
    assert top <= (row + 0.5) * cell <= bottom
    assert left <= (column + 0.5) * cell <= right


def test_the_estimate_follows_a_pass_that_is_timed_after_the_question(state, monkeypatch):
    monkeypatch.delitem(SECONDS, state.model, raising=False)
    ask = ask_of("occlusion", state)
    assert ask.seconds == 0
    monkeypatch.setitem(SECONDS, state.model, 0.25)
    assert ask.seconds == 0.25 * ask.passes > 2


def test_the_estimate_counts_what_is_measured(state):
    logits_of(state)
    plain, measured, sane = (
        ask_of("saliency", one).seconds
        for one in (state, state.having(trust=True), state.having(sanity=True))
    )
    assert measured > 5 * plain
    assert sane == pytest.approx((1 + 5 + 8) * plain)
