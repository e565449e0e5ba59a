"""Indexes of units before their bound: what is ranked, told and refused; and ties."""

from __future__ import annotations

import json
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

import zoo_adapters
from app.answers import indexed, kinship
from app.answers.prediction import image_of
from app.answers.subject import strongest_channel
from app.cli import commands
from app.files import save
from app.index import build, by_channel, open_index, pool, source_of
from app.index.records import Ties
from app.machine.cache import MODELS, RESULTS
from app.pages import tabs
from app.question.state import State
from app.web import api
from app.words import translate
from featvis import WrongRequest
from featvis.measures.kinship import Pair, counterparts
from featvis.probe import pooled
from featvis.record import record_units
from tests.support import small

NAME = "timm:test_resnet.r160_in1k"  # a name that the window takes
COUNT = 40


def network(name: str = NAME, last: type[nn.Module] = nn.ReLU6):
    """A stage that ends in a ReLU6 in place, whose last channel is always the same."""
    module = small.network().module
    stage = nn.Sequential(module[2], last() if last is nn.Identity else last(inplace=True))
    stage[0].weight.mul_(30)
    stage[0].weight[-1], stage[0].bias[-1] = 0, 9.5
    parts = {"stem": module[0], "relu": module[1], "stage": stage, "pool": module[4]}
    module = nn.Sequential(OrderedDict(**parts, flatten=module[5], fc=module[6]))
    return zoo_adapters.wrap(module, name=name, mean=(0.5,) * 3, std=(0.25,) * 3, size=(24, 24))


@pytest.fixture
def model(folder):
    made = network()
    MODELS[NAME] = made
    yield made
    MODELS.pop(NAME)
    RESULTS.clear()


@pytest.fixture
def index(folder, model):
    build(model, source_of(f"folder:{folder}"), batch=4, shard=8)
    return open_index(model)


def literal(folder, model):
    """Name of each readable picture -> what the stage's convolution gives, read one by one."""
    stem, stage, found = model.module.stem, model.module.stage, {}
    for number in range(COUNT):
        name = f"class-{number % 3}/{number:03}.png"
        values = model.normalize(zoo_adapters.read_image(folder / name, model).values)
        with torch.no_grad():
            found[name] = stage[0](stem(values).relu())[0]
    return found


def test_pictures_are_ranked_and_counted_before_the_bound(index, folder, model):
    maps = literal(folder, model)
    assert index.manifest.bounds == {"stage": "ReLU6"}
    saturated = 0
    for channel in range(7):
        best = sorted(((-float(m[channel].max()), n) for n, m in maps.items()))[:9]
        hits = index.top("stage", channel)
        assert [hit.image for hit in hits] == [name for _, name in best]
        assert [hit.value for hit in hits] == pytest.approx([-v for v, _ in best], rel=1e-5)
        for hit in hits:
            assert float(maps[hit.image][channel][hit.position]) == pytest.approx(hit.value)
        every = torch.stack([m[channel] for m in maps.values()])
        assert index.stats("stage", channel).mean == pytest.approx(float(every.mean()), rel=1e-4)
        weak = index.bottom("stage", channel)[0].value
        assert weak == pytest.approx(float(every.min()), rel=1e-5)
        saturated += best[-1][0] <= -6
        assert index.ties("stage", channel) is None
    assert saturated >= 5, "most lists are to be of saturated pictures"


def test_what_ties_is_counted_and_is_no_run_of_the_first(index, folder, model):
    found = index.ties("stage", 7)
    assert found == Ties(COUNT, 9.5)
    assert index.ties("stage", 7, 3) == found
    assert index.ties("stage", 7, COUNT) == found  # nine are kept
    shown = [hit.image for hit in index.top("stage", 7)]
    assert shown != index.names[:9]
    place = folder.parent / "again"
    again = build(model, source_of(f"folder:{folder}"), batch=7, shard=9, folder=place)
    other = type(index)(again, index.manifest)
    assert [hit.image for hit in other.top("stage", 7)] == shown
    del index.arrays[f"{index.number('stage')}.top.ties"]  # as if they had not been counted
    assert index.ties("stage", 7) is None


def test_an_index_of_other_values_is_refused(index, model):
    file = index.folder / "manifest.json"
    told = json.loads(file.read_text())
    told.pop("bounds")
    file.write_text(json.dumps(told))
    with pytest.raises(
        WrongRequest,
        match=r"ranks stage by the values that it passes on, and this version of featvis by those "
        r"before ReLU6; build it again with: featvis index build --model timm:test_resnet",
    ) as caught:
        open_index(model)
    assert "ReLU6 이전의 값으로 매깁니다" in translate.said(str(caught.value), "ko")
    told["bounds"] = {"stage": "ReLU6", "stem": "Tanh"}
    file.write_text(json.dumps(told))
    with pytest.raises(WrongRequest, match=r"ranks stem by the values before Tanh, and this"):
        open_index(model)


def test_an_index_of_a_network_without_bounds_needs_to_say_nothing(folder):
    free = small.network()
    build(free, source_of(f"folder:{folder}"), batch=4, shard=8)
    index = open_index(free)
    assert index.manifest.bounds == {}
    file = index.folder / "manifest.json"
    told = json.loads(file.read_text())
    told.pop("bounds")
    file.write_text(json.dumps(told))
    assert open_index(free).count == COUNT


def test_the_channel_page_says_how_it_measures_and_what_ties(index, model):
    state = State(tab="Channel", model=NAME, image="scene-2", layer="stage", channel=2)
    peak = float(record_units(model, image_of(state).values, "stage")["stage"][0, 2].max())
    assert peak > 6
    view = tabs.draw(state).view
    assert "measured before <b>ReLU6</b>, which makes strong values equal" in view
    assert f"<b>{peak:.3g}</b> at most in your picture" in view
    assert f"<b>{index.percentile('stage', 2, peak):.0f} %</b>" in view
    assert "tie at" not in view
    tied = tabs.draw(state.but(channel=7)).view
    assert "40 of 40 pictures tie at 9.5, of which a sample is shown" in tied
    for words in (view, tied):
        korean = translate.html(words, "ko")
        assert "이전의 값으로 측정합니다" in korean
        assert "measured before" not in korean
        assert "tie at" not in korean
    free = tabs.draw(state.but(layer="stem")).view
    assert "measured before" not in free


def test_guided_strokes_of_saturated_patches_are_there(index):
    state = State(tab="Channel", model=NAME, image="scene-2", layer="stage", channel=2)
    for sight in indexed.sights(state, index, "stage", 2, 9):
        assert sight.hit.value > 6
        assert len(np.unique(np.asarray(sight.guided))) > 8
    assert save.picture(state)


def test_the_strongest_channel_is_that_before_the_bound(index, model):
    state = State(tab="Channel", model=NAME, image="scene-2", layer="stage")
    units = record_units(model, image_of(state).values, "stage")["stage"][0]
    assert strongest_channel(state) == int(units.amax((1, 2)).argmax())
    assert f"channel {strongest_channel(state)}<" in tabs.draw(state).view


def test_the_api_and_the_command_say_it_too(index, capsys):
    found = api.channel(NAME, "stage", 7)
    assert found["before"] == "ReLU6"
    assert found["ties"] == {"count": COUNT, "value": 9.5}
    assert api.channel(NAME, "stem", 1)["before"] == ""
    assert api.channel(NAME, "stage", 1)["ties"] == {}


def test_the_command_says_it_too(index, capsys, monkeypatch):
    monkeypatch.setattr(zoo_adapters, "load", lambda name, **_: network())
    assert commands.main(["index", "query", NAME, "--layer", "stage", "--channel", "7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "stage before ReLU6, channel 7, over 40 pictures"
    assert "strongest: 40 tie at 9.5" in lines
    assert commands.main(["index", "info", NAME]) == 0
    assert "stage · 8 ch · 6x6 · before ReLU6" in capsys.readouterr().out


def test_neighbours_by_a_channel_are_told_apart_beyond_the_bound(index, folder, model):
    maps = literal(folder, model)
    name = index.top("stage", 2)[4].image
    seen = pooled(model, zoo_adapters.read_image(folder / name, model), ["stage"])["stage"]
    value = float(maps[name][2].max())
    wanted = sorted(maps, key=lambda other: abs(float(maps[other][2].max()) - value))[:3]
    found = by_channel(pool(index, model, "stage"), seen, 2, 3)
    assert [one.image for one in found] == wanted
    assert value > 6


def test_counterparts_go_with_units(monkeypatch, model):
    free = network("timm:free", nn.Identity)
    monkeypatch.setitem(MODELS, "timm:free", free)
    monkeypatch.setattr(kinship, "COUNT", kinship.BATCH)
    (pair,) = kinship._pairs(NAME, ["stage"], "timm:free", ["stage"], print, units=True)
    assert torch.equal(pair.one["stage"], pair.other["stage"])
    found = counterparts([Pair(pair.one, pair.other)], "stage", 2, k=1)[0]
    assert (found.channel, found.correlation) == (2, pytest.approx(1))
    asked = kinship.counterparts_of(State(model=NAME), "timm:free", "stage", 2, print)
    assert (asked[0].channel, asked[0].correlation) == (2, pytest.approx(1))
    (pair,) = kinship._pairs(NAME, ["stage"], "timm:free", ["stage"], print)
    assert float(pair.one["stage"].max()) == 6  # layers are compared as they pass on


def test_equal_neighbours_by_a_channel_are_no_run_of_the_first(index, model):
    found = pool(index, model, "stage")
    alike = by_channel(found, pooled(model, torch.zeros(1, 3, 24, 24), ["stage"])["stage"], 7, 9)
    assert {one.value for one in alike} == {9.5}
    rows = [found.images.index(one.image) for one in alike]
    assert len(set(rows)) == 9
    assert max(rows) > 20
    assert sorted(rows) != rows
