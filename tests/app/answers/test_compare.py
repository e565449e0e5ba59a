"""Comparison: the same question to several networks, in the window, the link and the command."""

from __future__ import annotations

import io
import re
from html import unescape

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
import torch

import featvis
import zoo_adapters
from app.answers import kinship
from app.answers.ask import ask_of
from app.answers.comparison import agreements, alone, compared
from app.answers.prediction import image_of, logits_of
from app.answers.run import run
from app.cli import commands
from app.files import compare_sheet, save
from app.machine.cache import MODELS, PASSES, RESULTS, model_of
from app.pages import tabs
from app.question.state import State, from_query, to_query
from app.window import changes
from app.words import translate
from featvis import METHODS, Classes, Contrast, WrongRequest, render

ONE, TWO, VIT = "bundled:scenes-resnet", "bundled:scenes-alexnet", "bundled:scenes-vit"
QUICK = {"steps": 2, "size": 64}  # of a picture that is made


def asked(*others, **params):
    state = State(tab="Compare", model=ONE, others=others, methods=("cam", "saliency"))
    return state.having(**params)


def rows_of(state):
    *_, rows = compared(state)
    return rows


def test_each_answer_is_the_one_that_the_network_gives_alone():
    rows = rows_of(asked(TWO))
    assert [row.state.model for row in rows] == [ONE, TWO]
    for row in rows:
        for cell, name in zip(row.cells, ("cam", "saliency"), strict=True):
            single = run(ask_of(name, State(model=row.state.model))).result.values
            assert torch.equal(cell.answer.result.values, single)


def test_words_of_the_sheet_stay_in_their_column():
    draw = PIL.ImageDraw.Draw(PIL.Image.new("RGB", (8, 8)))
    name = "timm:local-dir:a/long/way/to/mobilenetv2_100"
    assert compare_sheet._fitting(draw, name, 1000) == name
    end, beginning = (compare_sheet._fitting(draw, name, 170, end=end) for end in (True, False))
    assert end[0] == beginning[-1] == "…"
    assert name.endswith(end[1:])
    assert name.startswith(beginning[:-1])
    for words in (end, beginning):
        assert 140 < draw.textlength(words, font_size=compare_sheet.POINTS) <= 170


def test_answers_come_one_by_one():
    counts = [sum(len(row.cells) for row in rows) for rows in compared(asked(TWO))]
    assert counts == [1, 2, 3, 4]


def test_what_fails_says_why_and_the_rest_goes_on():
    rows = rows_of(asked("timm:no_such_network", VIT))
    assert "no_such_network" in rows[1].reason
    assert not rows[1].cells
    cam, saliency = rows[2].cells
    assert "class token" in cam.reason
    assert saliency.answer is not None
    view = tabs.draw(asked("timm:no_such_network", VIT)).view
    assert "no_such_network" in view
    assert "class token" in view


def test_the_class_is_the_same_by_its_label():
    model = model_of(ONE)
    number = model.labels.index("zebra")
    rows = rows_of(asked(TWO).but(target=str(number)))
    assert {cell.answer.result.target for row in rows for cell in row.cells} == {"zebra"}


def test_labels_are_matched_by_any_synonym():
    one = Classes(("tabby, tabby cat", "zebra"), network="a")
    other = Classes(("Zebra", "tabby_cat", "cow"), network="b")
    assert one.translate(0, other) == 1
    assert one.translate(Contrast(1, 0), other) == Contrast(0, 1)
    with pytest.raises(WrongRequest, match="a has no class 'cow'"):
        other.translate(2, one)


def test_agreement_is_1_with_the_same_maps_and_falls_with_random_weights():
    rows = rows_of(asked(TWO))
    names, found = agreements(rows)["CAM"]
    assert names == [ONE, TWO]
    assert found.correlation[0, 0] == pytest.approx(1)
    assert found.correlation[0, 1] > 0.5  # both look at the strawberry
    random = zoo_adapters.load(TWO, pretrained=False)
    before = MODELS.get(TWO)
    try:
        MODELS[TWO] = random
        RESULTS.clear()
        PASSES.clear()
        _, by_chance = agreements(rows_of(asked(TWO).but(target="3")))["CAM"]
    finally:
        MODELS[TWO] = before
        RESULTS.clear()
        PASSES.clear()
    assert by_chance.correlation[0, 1] < found.correlation[0, 1] - 0.3


CONVNEXT = "bundled:scenes-convnext"


@pytest.fixture
def confused():
    """One network with random weights, under two names; the class that it predicts."""
    random = zoo_adapters.load(VIT, pretrained=False)
    before = {name: MODELS.get(name) for name in (VIT, CONVNEXT)}
    for name in before:
        MODELS[name] = random
    yield random.labels[int(logits_of(State(model=VIT)).argmax())]
    for name, model in before.items():
        MODELS.pop(name, None)
        if model is not None:
            MODELS[name] = model
    RESULTS.clear()
    PASSES.clear()


SALIENCY = {"target": None, "methods": ("saliency",)}
GROUPS = {  # networks beside the first -> entries, those alone
    "all the same": ((TWO,), {"Saliency": [ONE, TWO]}, []),
    "one of three differs": ((TWO, VIT), {"Saliency": [ONE, TWO]}, [VIT]),
    "both differ": ((VIT,), {}, [ONE, VIT]),
    "the first alone": ((VIT, CONVNEXT), {"Saliency": [VIT, CONVNEXT]}, [ONE]),
    "two and two": (
        (VIT, TWO, CONVNEXT),
        {"Saliency: strawberry": [ONE, TWO], "Saliency: {other}": [VIT, CONVNEXT]},
        [],
    ),
}


@pytest.mark.parametrize(("others", "entries", "singles"), GROUPS.values(), ids=GROUPS)
def test_only_maps_of_the_same_class_are_compared(confused, others, entries, singles):
    assert confused != "strawberry"
    rows = rows_of(asked(*others).but(**SALIENCY))
    entries = {title.format(other=confused): names for title, names in entries.items()}
    assert {title: found.networks for title, found in agreements(rows).items()} == entries
    assert alone(rows) == singles
    chosen = rows_of(asked(*others).but(target="3", methods=("saliency",)))
    assert agreements(chosen)["Saliency"].networks == [ONE, *others]
    assert alone(chosen) == []


def test_maps_that_explain_no_class_are_always_compared(confused):
    rows = rows_of(asked(VIT).but(target=None, methods=("eigen_cam",)))
    assert agreements(rows)["Eigen-CAM"].networks == [ONE, VIT]
    assert alone(rows) == []


def test_the_page_says_which_maps_are_not_compared(confused):
    view = tabs.draw(asked(VIT).but(**SALIENCY)).view
    words = f"No other network predicts the class of {ONE}, {VIT}; choose a class"
    assert words.lower() in view.lower()
    assert "How much they agree" not in view
    assert "no other network" not in translate.html(view, "ko").lower()


UNITS = {  # two methods -> do they share a scale?
    ("saliency", "smoothgrad"): True,
    ("gradient_x_input", "integrated_gradients"): True,
    ("grad_cam", "hires_cam"): True,
    ("layer_cam", "hires_cam"): True,
    ("cam", "grad_cam"): False,
    ("cam", "hires_cam"): False,
    ("grad_cam", "grad_cam_plus_plus"): False,
    ("saliency", "gradient_x_input"): False,
    ("saliency", "cam"): False,
    ("eigen_cam", "layer_cam"): False,
    ("guided_backprop", "deconvnet"): False,
    ("occlusion", "integrated_gradients"): False,
}


@pytest.mark.parametrize(("methods", "share"), UNITS.items(), ids=map("-".join, UNITS))
def test_a_scale_is_shared_only_where_the_unit_is_the_same(methods, share):
    model = model_of(ONE)
    image = image_of(State(model=ONE, image="scene-24"))
    results = [METHODS[name].run(model, image, **({} if name == "eigen_cam" else {"target": 3}))
               for name in methods]  # fmt: skip
    own = [render.limit(result) for result in results]
    assert own[0] != own[1]
    assert render.limits(results) == ([max(own)] * 2 if share else own)


def test_maps_of_other_layers_or_several_have_no_common_scale():
    model, image = model_of(ONE), image_of(State(model=ONE, image="scene-24"))
    results = [featvis.grad_cam(model, image, 3, layer) for layer in ("layer2", "layer3")]
    results.append(featvis.hires_cam(model, image, 3, "layer2,layer3"))
    assert render.limits(results) == [render.limit(result) for result in results]


def test_depth_shows_layers_at_the_same_share_of_the_way():
    rows = rows_of(asked(VIT, columns="depth"))
    for row in rows:
        model = model_of(row.state.model)
        depths = [model.layer(cell.answer.result.layer).depth for cell in row.cells]
        assert depths == sorted(depths)
        assert depths[0] < 0.2
        assert depths[-1] > 0.8


def test_synthesis_shows_what_the_strongest_channel_of_each_depth_looks_for():
    rows = rows_of(asked(TWO, columns="synthesis", **QUICK))
    for row in rows:
        for cell in row.cells:
            layer = cell.alone.layer
            assert f"{layer}, channel {cell.alone.channel}" in cell.title
            over = run(ask_of("feature_maps", State(model=row.state.model, layer=layer))).result
            peaks = over.values[0].flatten(1).amax(1)
            assert int(peaks.argmax()) == cell.alone.channel
            own = State(tab="Synthesis", model=row.state.model, layer=layer,
                        channel=cell.alone.channel).having(**QUICK)  # fmt: skip
            made = run(ask_of("maximize", own)).result
            assert torch.equal(cell.answer.result.values, made.values)
        assert len(row.cells) == 5
    view = tabs.draw(asked(TWO, columns="synthesis", **QUICK)).view
    links = [from_query(unescape(q)) for q in re.findall(r'<a href="\?([^"]+)"', view)]
    assert [(s.tab, s.model, s.layer, s.channel) for s in links] == [
        ("Channel", c.alone.model, c.alone.layer, c.alone.channel) for r in rows for c in r.cells
    ]
    assert {link.others for link in links} == {(ONE,), (TWO,)}
    sheet = np.array(compare_sheet.sheet_of(asked(TWO, columns="synthesis"), rows))
    assert sheet.shape[1] == 6 * 262


def test_the_link_holds_all_networks():
    state = asked(TWO, VIT)
    assert from_query(to_query(state)) == state
    assert to_query(state).count("m=bundled") == 3
    many = "&".join(f"m=timm:n{i}" for i in range(40))
    assert len(from_query(many).others) == 5


def test_networks_are_chosen_and_refused():
    state = changes.set_others(asked(), [TWO, TWO, ONE, VIT])
    assert state.others == (TWO, VIT)
    assert changes.set_model(state, TWO).others == (VIT,)
    with pytest.raises(WrongRequest, match="no zoo"):
        changes.set_others(asked(), ["resnet50"])
    with pytest.raises(WrongRequest, match="at most 5"):
        changes.set_others(asked(), [f"timm:resnet{i}" for i in range(6)])


def test_it_is_saved_as_a_sheet_and_as_arrays():
    sheet, name = save.picture(asked(TWO))
    assert name == "featvis-bundled-scenes-resnet-compare.png"
    assert PIL.Image.open(io.BytesIO(sheet)).width > 600
    with np.load(io.BytesIO(save.arrays(asked(TWO))[0])) as arrays:
        assert arrays[f"{TWO}.cam.values"].shape[0] == 1
        assert arrays["CAM.correlation"].shape == (2, 2)


def test_the_command_writes_the_sheet(capsys, tmp_path):
    out, npz = tmp_path / "sheet.png", tmp_path / "maps.npz"
    argv = [
        "compare",
        "--models",
        f"{ONE},{VIT}",
        "--image",
        "scene-2",
        "--methods",
        "cam,saliency",
    ]
    code = commands.main([*argv, "--out", str(out), "--npz", str(npz)])
    said = capsys.readouterr().out
    assert code == 0
    assert "lighthouse" in said
    assert "class token" in said
    assert "agree" in said
    assert out.exists()
    with np.load(npz) as arrays:
        assert f"{VIT}.saliency.values" in arrays.files


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--models", ONE], "two to 6"),
        (["--methods", "camera"], "camera"),
        (["--methods", "maximize"], "another kind"),
        (["--columns", "rows"], "columns"),
        (["--image", "missing.png"], "missing.png"),
        (["--target", "no such label"], "no such label"),
    ],
)
def test_a_wrong_comparison_is_refused_in_a_sentence(changed, said, capsys, tmp_path):
    given = {"--models": f"{ONE},{TWO}", "--image": "scene-2", "--out": str(tmp_path / "a.png")}
    given |= dict(zip(changed[::2], changed[1::2], strict=True))
    code = commands.main(["compare", *(word for pair in given.items() for word in pair)])
    error = capsys.readouterr().err
    assert code == 2
    assert said in error
    assert len(error.splitlines()) == 1


@pytest.mark.slow
def test_the_layers_of_a_network_are_most_like_themselves():
    names, others, found = kinship.likeness_of_layers(State(model=ONE), ONE, lambda words: None)
    assert names == others
    assert found.argmax(1).tolist() == list(range(len(names)))
    view = tabs.draw(asked(TWO, layers=True)).view
    assert "fv-cka" in view


def test_what_does_not_matter_at_depths_is_not_offered():
    for columns in ("methods", "depth", "synthesis"):
        used = asked(TWO, columns=columns).used_params
        assert ({"maps", "trust"} <= used) == (columns == "methods")
        assert {"columns", "layers", "neighbours", "download"} <= used
