"""Counterparts: the channels of another network that do what one does."""

from __future__ import annotations

import re

import numpy as np
import pytest

from app.answers import indexed, kinship
from app.answers.ask import ask_of
from app.answers.run import run
from app.pages import tabs
from app.pages.counterparts import Neuron, counterparts, made_for
from app.question.state import State
from app.window import changes
from featvis import WrongRequest, render

pytestmark = pytest.mark.slow
ONE, TWO = "bundled:scenes-resnet", "bundled:scenes-alexnet"
QUICK = {"steps": 2, "size": 64}  # of a picture that is made


def test_counterparts_are_listed_and_lead_to_their_network():
    state = State(tab="Channel", model=ONE, others=(TWO,), layer="layer3", channel=7)
    shown = tabs.draw(state)
    places = re.findall(rf'data-pick="there:{TWO}\|([^|"]+)\|(\d+)"', shown.view)
    assert len(places) == 4
    layer, channel = places[0]
    there = changes.set_shown(state, {"pick": f"there:{TWO}|{layer}|{channel}"})
    assert (there.model, there.layer, there.channel) == (TWO, layer, int(channel))
    assert there.others == (ONE,)
    assert changes.set_shown(state, {"pick": "there:timm:other|x|1"}) == state


def test_pictures_are_made_for_a_channel_and_its_counterparts(monkeypatch):
    state = State(tab="Channel", model=ONE, others=(TWO,), layer="layer4", channel=52)
    state = state.having(picture=True, **QUICK)
    own = Neuron(ONE, "layer4", 52)
    *_, made = made_for(state, own, lambda words: None)
    assert len(made) == 5
    assert next(iter(made)) == own
    assert {neuron.model for neuron in made} == {ONE, TWO}
    for neuron, picture in made.items():
        alone = run(ask_of("maximize", State(tab="Synthesis", **vars(neuron)).having(**QUICK)))
        assert np.array_equal(np.array(picture), render.pictures(alone.result)[0].numpy())
    view = tabs.draw(state).view
    strips = re.findall(r"--n:(\d+)% (\d+)%", view[view.index("Its counterparts") :])
    assert strips[:2] == [("100", "200"), ("400", "200")]  # patches above, pictures below

    def failing(ask):
        raise WrongRequest("nothing excites it")

    monkeypatch.setattr("app.pages.counterparts.run", failing)
    *_, made = made_for(state, own, lambda words: None)
    assert set(made.values()) == {"nothing excites it"}
    monkeypatch.undo()
    assert "nothing excites it" in counterparts(state, own, lambda words: None, made)


def test_an_index_that_cannot_be_read_is_said_where_counterparts_were(monkeypatch):
    index_of = indexed.index_of

    def refused(state):
        if state.model == TWO:
            raise WrongRequest("the index is of other weights")
        return index_of(state)

    state = State(tab="Channel", model=ONE, others=(TWO,), layer="layer4", channel=52)
    monkeypatch.setattr(kinship, "layers_of", lambda state, model: ("features",))
    monkeypatch.setattr(indexed, "index_of", refused)
    said = counterparts(state, Neuron(ONE, "layer4", 52), lambda words: None, {})
    assert "The index is of other weights" in said


def test_the_counterparts_of_a_part_detector_detect_that_part():
    """The best detector of a part in one network is matched by one of its detectors in another."""
    one, two = (indexed.index_of(State(model=name)) for name in (ONE, TWO))
    best = max(
        ((index_part(one, layer, c), layer, c) for layer in one.layers
         for c in range(one.channels(layer))), key=lambda found: found[0][1],
    )  # fmt: skip
    (part, overlap), layer, channel = best
    assert overlap > 0.25
    state = State(model=ONE, layer=layer, channel=channel)
    found = kinship.counterparts_of(state, TWO, layer, channel, lambda words: None)
    parts = [name for f in found for name, iou in two.parts(f.layer, f.channel)[:2] if iou > 0.1]
    assert part in parts


def index_part(index, layer, channel):
    name, iou = index.parts(layer, channel)[0]
    return name, iou
