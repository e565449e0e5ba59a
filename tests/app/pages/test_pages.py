"""The pages Channel and Neighbours, on the indexes that come with featvis."""

from __future__ import annotations

import io
import re

import numpy as np
import PIL.Image
import pytest
import torch

import featvis
import zoo_adapters
from app.answers import indexed
from app.answers.ask import ask_of
from app.answers.prediction import image_of
from app.answers.run import run
from app.files import save
from app.files.encode import contact
from app.index import pooled
from app.machine.cache import MODELS, RESULTS, model_of
from app.machine.errors import Cancelled
from app.pages import maps, picker, tabs
from app.pages.histogram import histogram
from app.pages.tiles import Tile, strip
from app.question import pictures
from app.question.state import State, from_query, to_query
from app.web import api
from app.window import changes
from featvis import WrongRequest
from zoo_adapters import read_image

pytest.importorskip("gradio")
pytestmark = pytest.mark.slow
NAMES = zoo_adapters.names("bundled")
MODEL = "bundled:scenes-resnet"


def test_the_picker_tells_what_is_near_and_draws_another_order_each_time():
    everything = ("listed", "", "", "", "")
    assert "near are resnet," in picker.listing("reznet", *everything, "popular")
    assert "No networks fit" in picker.listing("scenes", "listed", "hybrid", "", "", "", "popular")
    assert "is not one of the choices" in picker.listing("", *everything[:4], "cc-by", "popular")
    assert len({picker.listing("", *everything, "random") for _ in range(3)}) == 3


@pytest.fixture
def state():
    return State(tab="Channel", model=MODEL, image="scene-2", layer="layer3", channel=7)


def drawn(state):
    """The page, and what was shown on the way to it."""
    seen = []
    return tabs.draw(state, show=seen.append), seen


def test_a_page_tells_what_the_index_knows(state):
    shown, seen = drawn(state)
    index = indexed.index_of(state)
    for hit in index.top("layer3", 7, 9):
        assert f'data-pick="picture:{hit.image}"' in shown.view
    assert f"{index.count:,} pictures" in shown.view
    assert next(iter(index.selectivity("layer3", 7).means)) in shown.view
    for one in index.similar("layer3", 7, 8):
        assert f'data-pick="channel:{one.channel}"' in shown.view
    assert shown.grid.count("data-pick=") == index.channels("layer3")
    assert len(seen) >= 2  # the page, then the overview of the layer
    assert seen[0].grid == ""


def test_the_patches_are_those_that_excite_the_neuron(state):
    """Guided backpropagation of each is that of the neuron which the index names."""
    index, model = indexed.index_of(state), model_of(MODEL)
    for sight in indexed.sights(state, index, "layer3", 7, 3):
        image = read_image(index.picture(sight.hit.image), model)
        found = featvis.record(model, image, "layer3")["layer3"][0, 7]
        row, column = sight.hit.position
        assert float(found[row, column]) == pytest.approx(float(found.max()), rel=1e-3)
        assert float(found.max()) == pytest.approx(sight.hit.value, rel=2e-3)  # kept in 16 bits
        assert sight.patch.size == sight.guided.size


def test_the_percentile_on_the_page_is_that_of_your_picture(state):
    shown, _ = drawn(state)
    index = indexed.index_of(state)
    peak = float(run(ask_of("feature_maps", state)).result.values[0, 7].max())
    share = index.percentile("layer3", 7, peak)
    assert f"<b>{share:.0f} %</b>" in shown.view


@pytest.mark.parametrize("name", NAMES)
def test_every_bundled_network_has_its_pages(name):
    for tab in ("Channel", "Neighbours"):
        shown = tabs.draw(State(tab=tab, model=name, image="scene-2"))
        assert shown.view.count("fv-tiles") >= 2, (name, tab)


def test_what_is_a_bonus_is_given_up_for_what_is_used_next(state):
    def say(words):
        if words.startswith("Drawing"):
            raise Cancelled

    relaxed = []
    shown = tabs.draw(state.but(layer="layer1"), say, relax=lambda: relaxed.append(True))
    assert relaxed
    assert "fv-tiles" in shown.view
    assert shown.grid == ""


def test_the_picture_that_excites_it_is_made_on_request(state):
    short = state.having(picture=True, steps=4)
    shown, _ = drawn(short)
    assert 'class="fv-made one"' in shown.view
    assert 'class="fv-made' not in drawn(state)[0].view


def test_a_channel_without_a_class_or_an_index_is_still_shown():
    name = "timm:test_resnet.r160_in1k"
    model = zoo_adapters.load(name, pretrained=False)
    MODELS[name] = model
    try:
        shown, _ = drawn(State(tab="Channel", model=name, image="scene-2", channel=1))
        assert "featvis index build" in shown.view
        assert "In your picture" in shown.view
        near = tabs.draw(State(tab="Neighbours", model=name, image="scene-2"))
        assert "featvis index build" in near.view
        with pytest.raises(WrongRequest, match="has no index"):
            save.picture(State(tab="Neighbours", model=name, image="scene-2"))
    finally:
        MODELS.pop(name)


def test_neighbours_are_the_nearest_and_never_the_picture_itself():
    index = indexed.index_of(State(model=MODEL))
    name = index.top("layer4", 3, 1)[0].image
    state = State(tab="Neighbours", model=MODEL, image=name)
    shown = tabs.draw(state)
    named = re.findall(r'data-pick="picture:([^"]+)"', shown.view)
    assert name not in named
    average = torch.from_numpy(index.embeddings().mean(0))
    query = indexed.embedding(state)
    query = query / query.norm() - average
    others = [index.embedding(one) - average for one in named]
    cosines = [float(torch.cosine_similarity(query, other, dim=0)) for other in others]
    assert cosines == sorted(cosines, reverse=True)
    label = index.label(name)
    assert sum(index.label(one) == label for one in named) > len(named) / 2


@pytest.fixture
def few(monkeypatch, tmp_path):
    """So few pictures of the index are looked at, and what is kept of them is given up."""
    monkeypatch.setenv("FEATVIS_INDEXES", str(tmp_path))
    monkeypatch.setattr(pooled, "AMONG", 40)
    yield 40
    RESULTS.clear()


def test_neighbours_by_a_layer_or_a_channel_are_those_of_the_link(few):
    """Each tile's number is what the network itself makes of that picture, drawn again."""
    model = model_of(MODEL)
    index = indexed.index_of(State(model=MODEL))
    for by in ("layer", "channel"):
        asked = State(tab="Neighbours", model=MODEL, image="scene-2", layer="layer3", channel=7)
        state = from_query(to_query(asked.having(by=by)))
        shown = tabs.draw(state)
        assert f"of {few} pictures" in shown.view.lower()
        with np.load(io.BytesIO(save.arrays(state)[0])) as arrays:
            names, key = arrays["images"].tolist(), "maxima" if by == "channel" else "cosines"
            values = arrays[key]
        assert re.findall(r'data-pick="picture:([^"]+)"', shown.view) == names
        if by == "layer":
            assert np.all(np.diff(values) <= 0)
            continue
        image = image_of(state)
        own = float(featvis.record(model, image, "layer3")["layer3"][0, 7].max())
        assert f"in yours {own:.2f}" in shown.view
        assert np.all(np.diff(np.abs(values - own)) >= 0)
        for name, value in list(zip(names, values, strict=True))[:3]:
            there = featvis.record(model, read_image(index.picture(name), model), "layer3")
            assert float(there["layer3"][0, 7].max()) == pytest.approx(float(value), rel=1e-4)
        answer = api.neighbours(MODEL, "scene-2", 3, "channel", "layer3", 7)
        assert [one["image"] for one in answer] == names[:3]
    with pytest.raises(WrongRequest, match="need a layer"):
        api.neighbours(MODEL, by="layer")


def test_a_click_goes_on(state):
    assert changes.set_shown(state, {"pick": "channel:12"}).channel == 12
    there = changes.set_shown(state, {"pick": "picture:scene-100005"})
    assert there.image == "scene-100005"
    for wrong in ("picture:../../etc/passwd", "picture:", "picture:scene-x"):
        with pytest.raises(WrongRequest):
            changes.set_shown(state, {"pick": wrong})
    with pytest.raises(WrongRequest, match="channels go from"):
        changes.set_shown(state, {"pick": "channel:99999"})
    assert changes.set_shown(state, {"pick": "nothing"}) == state


def test_pages_are_saved(state):
    sheet, name = save.picture(state)
    assert name.endswith("scenes-resnet-channel.png")
    assert PIL.Image.open(io.BytesIO(sheet)).size == (9 * 160, 2 * 160)
    with np.load(io.BytesIO(save.arrays(state)[0])) as arrays:
        assert arrays["top.positions"].shape == (9, 2)
        assert int(arrays["counts"].sum()) == indexed.index_of(state).count
    near = state.but(tab="Neighbours")
    with np.load(io.BytesIO(save.arrays(near)[0])) as arrays:
        assert np.all(np.diff(arrays["cosines"]) <= 0)
    with pytest.raises(WrongRequest, match="many calls"):
        save.code(near)


def test_a_histogram_counts_everything_and_marks_a_value():
    counts, edges = np.array([5, 0, 20, 5]), np.array([0.0, 1, 2, 3, 4])
    text = histogram(counts, edges, {"here": 2.0}, "words")
    heights = [float(h) for h in re.findall(r'height="([\d.]+)"', text)]
    # 12 bars for each unit, so the highest stands for 20 / 12 pictures, and all for 30
    assert sum((h / 110) ** 2 for h in heights) == pytest.approx(30 / (20 / 12), rel=0.02)
    assert 'x1="240.0"' in text
    assert histogram(np.zeros(3, int), np.arange(4.0), {}, "") == ""


def test_tiles_fit_their_pictures_whatever_their_shape():
    wide, small = PIL.Image.new("RGB", (300, 10), "red"), PIL.Image.new("RGB", (1, 3), "blue")
    sheet = contact([(wide, small), (small,)], 50)
    assert sheet.size == (100, 100)
    assert sheet.getpixel((25, 25)) == (255, 0, 0)
    assert sheet.getpixel((25, 75)) == (0, 0, 255)
    text = strip([Tile((wide,), "picture:<b>", "a & b", '"')], "some")
    assert "<b>" not in text
    assert "a &amp; b" in text
    assert strip([], "none") == ""


def test_the_marker_of_a_page_is_where_the_position_lies(state):
    model = model_of(MODEL)
    x, y = maps.marker(state.but(position=(4, 9)))
    row, column = model.layer("layer3").place.center((4, 9))
    assert (y, x) == (pytest.approx(row / 128), pytest.approx(column / 128))
    assert maps.marker(state) is None
    assert pictures.get("scene-2").size == (512, 512)
    assert torch.is_tensor(indexed.embedding(state))
