"""Recipes: a picture of the window or of the command carries all that makes it again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import MappingProxyType

import numpy as np
import PIL.Image
import pytest

import zoo_adapters
from app.answers.ask import ask_of
from app.answers.run import run
from app.cli import commands
from app.cli.files import read
from app.files import save
from app.machine.cache import model_of
from app.question.code import python
from app.question.recipe import Recipe, from_json
from app.question.state import State
from app.question.tabs import FAMILIES, TABS
from featvis import METHODS, WrongRequest

MODEL = "bundled:scenes-resnet"
QUICK = {"steps": "4", "samples": "4", "across": "4", "octaves": "2", "copies": "1"}


def state_of(family, **changes):
    """A tab with all of its methods, made cheap."""
    names = tuple(m.name for m in TABS[family].methods if not m.missing(model()))
    return State(tab=family, model=MODEL, methods=names, params=MappingProxyType(QUICK), **changes)


def model():
    return model_of(MODEL)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_bytes_come_of_the_recipe_in_the_picture(family):
    state = state_of(family).but(methods=()) if family == "Class evidence" else state_of(family)
    data, name = save.picture(state)
    Path(name).write_bytes(data)
    assert commands.main(["run", "--recipe", name, "--out", "again.png"]) == 0
    assert Path("again.png").read_bytes() == data


@pytest.mark.parametrize("family", FAMILIES)
def test_the_code_makes_the_arrays(family):
    for name in state_of(family).methods:
        state = state_of(family).but(methods=(name,))
        if name == "score_cam":
            continue  # the same call as the others, and slow
        made: dict = {}
        exec(save.code(state)[0].decode(), made)
        wanted = run(ask_of(name, state)).result.values
        assert np.array_equal(made[name].values.numpy(), wanted.numpy()), name


def test_the_code_of_a_neuron_and_of_a_contrast_make_the_arrays():
    neuron = state_of("Class evidence", layer="layer3", channel=5, position=(3, 4))
    states = [neuron.having(explain="neuron"), state_of("Class evidence", target="3-5")]
    for state in (one.but(methods=("saliency",)) for one in states):
        made: dict = {}
        exec(save.code(state)[0].decode(), made)
        wanted = run(ask_of("saliency", state)).result.values
        assert np.array_equal(made["saliency"].values.numpy(), wanted.numpy())


def test_a_recipe_is_read_as_it_was_written():
    for family in FAMILIES:
        made = save.recipe(state_of(family, target="3-5" if family == "Class evidence" else None))
        assert from_json(made.to_json()).to_json() == made.to_json()


def test_display_settings_are_part_of_the_recipe():
    state = state_of("Feature maps")
    plain, own = save.picture(state)[0], save.picture(state.having(scale="own"))[0]
    assert _recipe(own).display == {"scale": "own"}
    assert PIL.Image.open(io.BytesIO(own)).tobytes() != PIL.Image.open(io.BytesIO(plain)).tobytes()


def _recipe(data):
    with PIL.Image.open(io.BytesIO(data)) as picture:
        return from_json(picture.text["featvis"])


def test_the_command_writes_and_prints_its_recipe(capsys):
    PIL.Image.new("RGB", (60, 40), (90, 160, 60)).save("green.png")
    argv = ["run", "cam", "--model", MODEL, "--image", "green.png", "--target", "lighthouse"]
    assert commands.main([*argv, "--box", "--out", "a.png", "--recipe", "r.json"]) == 0
    capsys.readouterr()
    assert commands.main(["recipe", "a.png"]) == 0
    printed = capsys.readouterr().out
    number = model().labels.index("lighthouse")
    assert read("r.json").to_json() == printed.rstrip("\n")
    found = json.loads(printed)
    assert found["calls"] == [{"method": "cam", "target": str(number), "params": {}}]
    assert (found["image"], found["display"]) == ("green.png", {"box": True})
    assert commands.main(["recipe", "a.png", "--python"]) == 0
    assert f"target={number}" in capsys.readouterr().out


def test_a_recipe_says_which_facts_have_changed(capsys):
    state = state_of("Class evidence").but(methods=("cam",))
    made = save.recipe(state)
    facts = {**made.facts, "torch": "1.0", "weights": "0" * 16, "picture": "0" * 16}
    old = Recipe(made.model, made.image, made.calls, facts=facts)
    Path("old.json").write_text(old.to_json(), encoding="utf-8")
    assert commands.main(["run", "--recipe", "old.json", "--out", "a.png"]) == 0
    said = capsys.readouterr().out
    assert "the weights are other ones" in said
    assert "the picture is another one" in said
    assert "torch was 1.0" in said


PAGES = [
    State(tab="Channel", model=MODEL, image="scene-2", layer="layer3", channel=7),
    State(tab="Neighbours", model=MODEL, image="scene-2"),
    State(tab="Compare", model=MODEL, others=("bundled:scenes-vit",), image="scene-2",
          methods=("cam", "saliency")).having(maps="shared"),
]  # fmt: skip


@pytest.mark.parametrize("state", PAGES, ids=[state.tab for state in PAGES])
def test_the_same_bytes_come_of_the_recipe_in_a_page(state, capsys):
    data, name = save.picture(state)
    Path(name).write_bytes(data)
    found = read(name)
    assert from_json(found.to_json()) == found
    Path("r.json").write_bytes(save.recipe_text(state)[0])
    assert Path("r.json").read_text("utf8") == found.to_json()
    argv = ["run", "--recipe", "r.json", "--out", "again.png", "--npz", "a.npz"]
    assert commands.main(argv) == 0
    assert Path("again.png").read_bytes() == data
    assert "note" not in capsys.readouterr().out
    wanted = save.arrays(state)[0]
    with np.load("a.npz") as again, np.load(io.BytesIO(wanted)) as arrays:
        assert set(again.files) == set(arrays.files)
        assert all(np.array_equal(again[key], arrays[key]) for key in arrays.files)
    if state.tab == "Compare":
        facts = {**found.facts, "weights of bundled:scenes-vit": "0" * 16}
        old = Recipe(found.model, found.image, (), facts=facts, page=found.page)
        Path("old.json").write_text(old.to_json(), encoding="utf-8")
        assert commands.main(["run", "--recipe", "old.json", "--out", "b.png"]) == 0
        assert "scenes-vit" in capsys.readouterr().out
    assert commands.main(["recipe", name, "--python"]) == 2
    assert "many calls" in capsys.readouterr().err


def test_a_sheet_of_the_command_carries_its_recipe():
    PIL.Image.new("RGB", (60, 40), (90, 160, 60)).save("green.png")
    argv = ["compare", "--models", f"{MODEL},bundled:scenes-vit", "--image", "green.png"]
    assert commands.main([*argv, "--methods", "saliency", "--out", "a.png"]) == 0
    assert commands.main(["run", "--recipe", "a.png", "--out", "b.png"]) == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


GOOD = {"featvis": 1, "model": MODEL, "image": "scene-1", "calls": [{"method": "cam"}]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"featvis": 2}, "form"),
        ({"model": None}, "no model"),
        ({"image": 3}, "no name"),
        ({"calls": []}, "no method"),
        ({"page": 3}, "no method"),
        ({"calls": [{"method": "camera"}]}, "no method 'camera'"),
        ({"calls": [3]}, "no method"),
        ({"calls": [{"method": "cam", "params": {"steps": 3}}]}, "no parameter"),
        ({"calls": [{"method": "cam", "channel": 3}]}, "takes no channel"),
        ({"calls": [{"method": "saliency", "position": [1, 2, 3]}]}, "no position"),
        ({"calls": [{"method": "saliency", "channel": True}]}, "no channel"),
        ({"calls": [{"method": "saliency", "channel": [1, 2]}]}, "takes one channel"),
        ({"display": {"colour": "red"}}, "drawn"),
        ({"display": {"maps": "red"}}, "maps"),
    ],
)
def test_a_wrong_recipe_is_refused_in_a_sentence(changes, said):
    with pytest.raises(WrongRequest, match=said):
        from_json(json.dumps({**GOOD, **changes}))


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", "[" * 100_000, "null"])
def test_what_is_no_recipe_is_refused_in_a_sentence(text):
    with pytest.raises(WrongRequest, match="no recipe"):
        from_json(text)


def test_a_picture_without_a_recipe_is_refused(capsys):
    PIL.Image.new("RGB", (8, 8)).save("plain.png")
    assert commands.main(["recipe", "plain.png"]) == 2
    assert "carries no recipe" in capsys.readouterr().err
    assert commands.main(["recipe", "missing.png"]) == 2
    assert commands.main(["run", "--out", "a.png"]) == 2
    assert "--recipe" in capsys.readouterr().err


def test_the_code_of_a_headless_network_is_python():
    recipe = Recipe("timm:x", "cat.png", save.recipe(state_of("Class evidence")).calls[:1])
    compile(python(recipe, model()), "made", "exec")


def test_the_fingerprint_is_of_the_weights():
    other = zoo_adapters.load(MODEL)
    assert other.fingerprint == model().fingerprint
    assert zoo_adapters.load(MODEL, pretrained=False).fingerprint != other.fingerprint


def test_every_method_can_be_in_a_recipe():
    for name, method in METHODS.items():
        made = {**GOOD, "calls": [{"method": name, "params": {}}]}
        assert from_json(json.dumps(made)).calls[0].params == method.check({})
