"""Outputs: what each kind reads, says and scores; and a kind that is added here alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
import torch
from torch import nn

import featvis
import zoo_adapters
from app.answers.ask import ask_of
from app.answers.prediction import logits_of
from app.answers.run import run
from app.answers.subject import layer_of
from app.files import save
from app.machine.cache import MODELS
from app.pages import choices, evidence, tabs, views
from app.question import title
from app.question.state import State, from_query, to_query
from app.window import changes
from featvis import Classes, Contrast, Embedding, Likeness, WrongRequest
from featvis.output import Output, Prediction, no_class
from featvis.target import Score
from tests.support import tiny

THINGS = Classes(("tabby, tabby cat", "zebra", "cow"), network="farm")


# --- the kinds there are --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "target"),
    [("1", 1), (" Zebra ", 1), ("tab", 0), ("1-2", Contrast(1, 2))],
)
def test_a_class_is_read_from_its_number_and_its_label(text, target):
    assert THINGS.parse(text) == target
    assert THINGS.parse(str(THINGS.parse(text))) == target


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("3", "class 3 of farm: classes go from 0 to 2"),
        ("1-3", "class 3 of farm: classes go from 0 to 2"),
        ("9" * 5000, "classes go from 0 to 2"),
        ("1-1", "a contrast needs two different classes"),
        ("dog", "farm has no class 'dog' among its 3 labels"),
        ("b", "'b' is part of 2 labels, as of tabby, tabby cat (0), zebra (1)"),
    ],
)
def test_what_is_no_class_is_refused_in_a_sentence(text, sentence):
    with pytest.raises(WrongRequest, match=re.escape(sentence)) as refused:
        THINGS.parse(text)
    assert len(str(refused.value)) < 300


def test_classes_without_labels_have_numbers():
    output = Classes((), 3)
    assert output.count == 3
    assert output.parse("2") == 2
    assert output.choices()[-1] == ("class 2 (2)", "2")
    with pytest.raises(WrongRequest, match="classes go from 0 to 2"):
        output.parse("3")
    assert Classes().parse("999") == 999  # of an unknown number


def test_a_prediction_shows_the_explained_class_beside_the_strongest():
    values = torch.arange(8.0)
    output = Classes(tuple("abcdefgh"))
    shown = output.predict(values).answers
    assert [answer.label for answer in shown] == list("hgfed")
    assert [answer.chosen for answer in shown] == [True, False, False, False, False]
    assert sum(answer.share for answer in output.predict(values, Contrast(0, 7)).answers) < 1
    assert [a.label for a in output.predict(values, Contrast(0, 7)).answers if a.chosen] == ["a"]
    assert output.predict(values).words.startswith("h 63.")


def test_a_score_has_its_probability():
    values = torch.randn(4, 3)
    score = THINGS.score(values, 1)
    torch.testing.assert_close(score.values, values[:, 1])
    torch.testing.assert_close(score.probability, values.softmax(1)[:, 1])
    pair = THINGS.score(values, Contrast(1, 2))
    two = values[:, 1:].softmax(1)[:, 0]  # of the one where there are these two
    torch.testing.assert_close(pair.probability, two)
    assert pair.words == "zebra rather than cow"


def test_an_embedding_is_like_a_picture_and_of_no_class():
    output, vector = Embedding(3, network="eye"), torch.tensor([3.0, 4.0, 0.0])
    assert output.choices([("scene-2, a cup", "scene-2")]) == [
        ("norm of the embedding", ""),
        ("likeness to scene-2, a cup", "scene-2"),
    ]
    target = output.parse("scene-2", lambda name: vector)
    assert isinstance(target, Likeness)
    assert str(target) == "scene-2"
    assert float(output.score(vector[None], target).values) == pytest.approx(1)
    assert float(output.score(vector[None], None).values) == 5
    for text in ("3", "3-5"):
        with pytest.raises(WrongRequest, match="eye has no classes"):
            output.parse(text, lambda name: vector)
    with pytest.raises(WrongRequest, match="eye has no classes"):
        output.parse("zebra")
    with pytest.raises(WrongRequest, match="eye has no classes to hold against each other"):
        output.against(target, "3")


# --- a kind that is added here alone --------------------------------------------------------------

SIDES = {"near": slice(12, None), "far": slice(0, 12)}  # rows of the map
NAME = "own:depth"


@dataclass(frozen=True)
class Side:
    """A part of the picture, whose mean depth is explained."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Depth(Output):
    """A map of depth, in a dict, as networks for other tasks give."""

    form = "near|far"

    def read(self, raw):
        """The map (B, H, W)."""
        return raw["depth"][:, 0]

    def predict(self, values, target=None):
        """How deep the picture is."""
        return Prediction(f"{float(values.mean()):.2f} m deep")

    def score(self, values, target):
        """The mean depth of a side; None: of the near one."""
        rows = SIDES[(target or Side("near")).name]
        return Score(values[:, rows].mean((1, 2)), self.words(target), no_class(values))

    def parse(self, text, output_of=lambda name: None):
        """A side by its name."""
        if text not in SIDES:
            raise WrongRequest(f"{self.network} has the sides {', '.join(SIDES)}, and no {text!r}")
        return Side(text)

    def choices(self, pictures=()):
        """The two sides."""
        return [("the near side", ""), ("the far side", "far")]


class DepthNet(nn.Module):
    """A trunk, then a map of depth as large as the picture."""

    def __init__(self):
        super().__init__()
        self.trunk, self.last = tiny.Trunk(), nn.Conv2d(6, 1, 1)
        self.up = nn.Upsample(scale_factor=4, mode="bilinear")

    def forward(self, x):
        return {"depth": self.up(self.last(self.trunk(x))), "extra": x}


@pytest.fixture
def model(monkeypatch):
    torch.manual_seed(0)
    model = zoo_adapters.wrap(
        DepthNet(), name=NAME, mean=(0.5,) * 3, std=(0.25,) * 3, size=(24, 24), output=Depth()
    )
    monkeypatch.setitem(MODELS, NAME, model)
    return model


def test_methods_explain_its_targets(model):
    image = torch.rand(2, 3, 24, 24)
    for name in ("saliency", "smoothgrad", "integrated_gradients", "hires_cam", "occlusion"):
        near, far = (featvis.METHODS[name].run(model, image, Side(side)) for side in SIDES)
        assert (near.target, far.target) == ("near", "far")
        assert not torch.equal(near.values, far.values)
    leaf = image.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(leaf)[:, :12].mean((1, 2)).sum(), leaf)
    torch.testing.assert_close(featvis.saliency(model, image, Side("far")).values, expected)
    curve = featvis.deletion(featvis.Aim(model, Side("far")), image, torch.rand(2, 24, 24), steps=2)
    torch.testing.assert_close(curve.answers[:, 0], torch.ones(2))  # no probability: its own range


def test_the_window_shows_it_and_its_links_carry_its_targets(model):
    state = State(model=NAME, image="scene-2", methods=("hires_cam",))
    assert "m deep" in views.prediction(model, logits_of(state), None)
    assert choices.targets(model) == [("the near side", ""), ("the far side", "far")]
    far = changes.set_class(state, "far")
    assert from_query(to_query(far)) == far
    assert "<b>far</b>" in tabs.draw(far).view
    made = run(ask_of("hires_cam", far))
    assert evidence.score(made.result, made.ask) == f": {float(made.result.score[0]):.3g}"
    assert title.title(far) == "HiResCAM · depth · far"
    with pytest.raises(WrongRequest, match="own:depth has the sides near, far"):
        changes.set_class(state, "left")
    with pytest.raises(WrongRequest, match="no classes to hold against"):
        changes.set_against(far, "near")


def test_pictures_are_made_for_its_layers_and_its_recipe_names_the_target(model):
    state = State(tab="Synthesis", model=NAME, image="scene-2").having(steps=1, size=24)
    (subject,) = run(ask_of("maximize", state)).result.subjects
    assert subject == layer_of(state, model)
    far = State(model=NAME, image="scene-2", methods=("hires_cam",), target="far")
    assert save.recipe(far).calls[0].subject["target"] == "far"
    assert model.output.translate(Side("far"), THINGS) is None
