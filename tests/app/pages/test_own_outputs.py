"""The window of networks that end in an activation: what it predicts and what it says of it."""

from __future__ import annotations

import re
from html import unescape

import pytest
import torch

from app.answers.ask import ask_of
from app.answers.prediction import logits_of
from app.answers.run import run
from app.cli import commands
from app.machine.cache import MODELS, model_of
from app.pages import tabs, views
from app.question.state import State
from featvis import WrongRequest
from tests.support.own import own
from tests.support.untranslated import in_html, require_korean
from zoo_adapters import Facts

pytest.importorskip("gradio")
LABELS = ("cat", "dog", "cow", "hen")
KINDS = {  # what the network gives, classes, the probabilities, what the window says of it
    "sigmoid": (lambda p: p.z.sigmoid(), 4, torch.sigmoid, "values before the final sigmoid"),
    "softmax": (lambda p: p.z.softmax(1), 4, lambda z: z.softmax(0), "before the final softmax"),
    "log-softmax": (lambda p: p.z.log_softmax(1), 4, lambda z: z.softmax(0), "final log-softmax"),
    "tanh": (lambda p: p.z.tanh(), 4, None, "values before the final tanh"),
    "average": (lambda p: (p.z.sigmoid() + p.a.sigmoid()) / 2, 4, lambda z: z, "are probabilities"),
    "rating": (lambda p: 1 + 4 * p.z.sigmoid(), 4, None, "neither logits nor probabilities"),
    "single": (lambda p: p.z[:, 0].sigmoid(), 1, torch.sigmoid, "values before the final sigmoid"),
    "both": (
        lambda p: (p.z.sigmoid(), p.a.sigmoid()),
        4,
        torch.sigmoid,
        "before the final sigmoid; output 0 (B, 4) is taken",
    ),
    "several": (lambda p: (p.z, p.a), 4, lambda z: z.softmax(0), "output 0 (B, 4) is taken"),
}


@pytest.fixture(params=KINDS)
def case(request, monkeypatch):
    """A kind of output, and the state that shows it."""
    ending, classes, shares, words = KINDS[request.param]
    labels = LABELS[:classes]
    model = own(ending, classes, name=f"own:{request.param}", labels=labels)
    return shares, words, state_of(model, monkeypatch).but(methods=("cam", "saliency"))


def state_of(model, monkeypatch):
    """A state of a network, as if it were loaded."""
    monkeypatch.setitem(MODELS, model.name, model)
    return State(model=model.name, image="scene-24", methods=("saliency",))


def test_the_prediction_is_in_the_networks_own_probabilities(case):
    shares, _, state = case
    model, scores = model_of(state.model), logits_of(state)
    html = views.prediction(model, scores, None)
    shown = re.findall(r'data-pick="(\d+)".*?<em>(.*?)</em>', html)
    assert [int(number) for number, _ in shown] == scores.argsort(descending=True).tolist()
    values = scores if shares is None else 100 * shares(scores)
    for number, text in shown:
        value = float(values[int(number)])
        expected = f"{value:.3g}" if shares is None else f"{value:.1f} %"
        assert unescape(text) == (expected if shares is None or value >= 0.1 else "< 0.1 %")


def test_what_is_explained_is_said(case, monkeypatch, capsys):
    shares, words, state = case
    model = model_of(state.model)
    html = unescape(views.facts(model, Facts(state.model, "own", "outputs")))
    assert words.lower() in html.lower()
    title = "score" if shares is None else None
    assert title is None or f": {title} " in views.prediction(model, logits_of(state), None)
    monkeypatch.setattr(commands.own_weights, "load", lambda *_, **__: model)
    commands.show(type("Options", (), {"model": state.model, "random": False})())
    assert words in capsys.readouterr().out


def test_every_sentence_has_korean(case):
    _, _, state = case
    model = model_of(state.model)
    html = views.facts(model, Facts(state.model, "own", "outputs"))
    html += views.prediction(model, logits_of(state), None)
    require_korean(in_html(html, {*LABELS, "not", "output"}))


def test_its_tabs_are_drawn(case):
    _, _, state = case
    view = tabs.draw(state).view
    assert "Saliency" in view
    assert run(ask_of("saliency", state)).result.values.abs().max() > 0
    for other in ("Synthesis", "Filters"):
        assert tabs.draw(state.but(tab=other, methods=()).having(steps=2)).view


SHAPED = {
    "map": (lambda p: p.m, "12 x 6 x 10"),
    "tokens": (lambda p: p.m.flatten(2).transpose(1, 2), "60 x 12"),
    "table": (lambda p: p.z.view(-1, 2, 2), "2 x 2"),
}


@pytest.mark.parametrize("name", SHAPED)
def test_a_network_without_scores_says_what_it_gives(name, monkeypatch):
    ending, size = SHAPED[name]
    model = own(ending, name=f"own:{name}")
    state = state_of(model, monkeypatch)
    html = views.prediction(model, logits_of(state), None)
    assert f"its output for a picture is {size}" in html
    html += views.facts(model, Facts(state.model, "own", "outputs"))
    require_korean(in_html(html))
    with pytest.raises(WrongRequest, match="explain a neuron"):
        tabs.draw(state)
    require_korean(in_html(tabs.draw(state.having(explain="neuron")).view, {"trunk"}))
