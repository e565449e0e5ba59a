"""The window of a network without classes: what it explains is its embedding."""

from __future__ import annotations

import pytest
import timm

import zoo_adapters
from app.answers.ask import ask_of
from app.answers.prediction import logits_of
from app.answers.run import run
from app.answers.subject import layer_of
from app.machine.cache import MODELS, model_of
from app.pages import choices, tabs, views
from app.question.state import State
from app.window import changes
from featvis import Embedding, WrongRequest

pytest.importorskip("gradio")
NAME = "own:headless"


@pytest.fixture(autouse=True)
def state(monkeypatch):
    module = timm.create_model("resnet18", num_classes=0)
    model = zoo_adapters.wrap(
        module, name=NAME, mean=(0.5,) * 3, std=(0.25,) * 3, size=(64, 64), embeds=True
    )
    assert isinstance(model.output, Embedding)
    monkeypatch.setitem(MODELS, NAME, model)
    return State(model=NAME, image="scene-24", methods=("grad_cam", "saliency"))


def test_the_norm_and_a_likeness_are_explained(state):
    norm = tabs.draw(state).view
    assert "norm of the embedding" in norm.lower()
    like = changes.set_class(state, "scene-2")
    assert like.target == "scene-2"
    assert "likeness to scene-2" in tabs.draw(like).view.lower()
    assert float(run(ask_of("grad_cam", like)).result.score) <= 1


def test_its_choices_are_pictures_and_no_classes(state):
    model = model_of(NAME)
    offered = choices.targets(model)
    assert offered[0] == ("norm of the embedding", "")
    assert "scene-2" in dict(offered).values()
    assert len(offered) < 20
    assert "no classes" in views.prediction(model, logits_of(state), None)
    with pytest.raises(WrongRequest, match="no classes"):
        changes.set_against(state, "3")


def test_cam_says_why_not_and_trust_is_measured_on_the_score(state):
    assert "cannot be shown" in tabs.draw(state.but(methods=("cam",))).view
    assert "random map" in tabs.draw(state.but(methods=("saliency",)).having(trust=True)).view


def test_a_picture_is_made_for_a_layer(state):
    short = state.but(methods=()).having(steps=2)
    shown = tabs.draw(changes.set_tab(short, "Synthesis").having(steps=2))
    layer = layer_of(short.but(tab="Synthesis"), model_of(NAME))
    assert layer in shown.view
