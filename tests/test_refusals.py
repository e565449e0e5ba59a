"""Refusals: each is written once, and every door says it in the same words."""

from __future__ import annotations

import ast
import json
from collections import Counter
from pathlib import Path

import pytest

from app.answers.ask import ask_of
from app.answers.run import run
from app.cli import commands
from app.question.recipe import from_json
from app.question.state import State
from app.web import api
from app.window import changes
from featvis import WrongRequest

ROOT = Path(__file__).parent.parent
MODEL = "bundled:scenes-alexnet"
LAYER = "features.conv1"


def sentences() -> Counter[str]:
    """Every sentence that refuses a request, without its values -> how often it is written."""
    found: Counter[str] = Counter()
    for package in ("app", "featvis"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "WrongRequest":
                    found[plain(node.args[0])] += 1
    return found


def plain(node: ast.expr) -> str:
    """A string of the code with {} for its values."""
    if isinstance(node, ast.JoinedStr):
        return "".join(plain(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return "{}"
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)


def test_no_refusal_is_written_twice():
    assert [text for text, count in sentences().items() if count > 1 and " " in text] == []


def of_recipe(**call: object) -> None:
    recipe = {"featvis": 1, "model": MODEL, "image": "scene-2", "calls": [call]}
    from_json(json.dumps(recipe))


def of_command(*argv: str):
    def run(capsys: pytest.CaptureFixture[str]) -> None:
        assert commands.main([*argv, "--model", MODEL, "--image", "scene-2", "--out", "x.png"]) == 2
        raise WrongRequest(capsys.readouterr().err.removeprefix("featvis: ").strip())

    return run


STATE = State(model=MODEL, image="scene-2", tab="Feature maps")
DOORS = {
    "there is no method 'camera'": [
        lambda _: api.run("camera", MODEL),
        lambda _: of_recipe(method="camera"),
        lambda _: run(ask_of("camera", STATE)),
        lambda _: changes.set_methods(STATE, ["camera"]),
    ],
    "class 99 of bundled:scenes-alexnet: classes go from 0 to": [
        lambda _: api.run("cam", MODEL, target="99"),
        lambda _: changes.set_class(STATE, "99"),
        lambda _: changes.set_against(STATE, "99"),
        lambda _: run(ask_of("cam", STATE.but(target="99"))),
        of_command("run", "cam", "--target", "99"),
    ],
    "bundled:scenes-alexnet has no layer 'no'": [
        lambda _: api.run("saliency", MODEL, layer="no"),
        lambda _: changes.set_layer(STATE, "no"),
        of_command("run", "saliency", "--layer", "no", "--channel", "1"),
    ],
    "a position is ROW,COLUMN as in 3,4, not '3'": [
        lambda _: api.run("saliency", MODEL, position="3"),
        of_command("run", "saliency", "--position", "3"),
    ],
    "saliency takes one channel, not '1,2'": [
        lambda _: of_recipe(method="saliency", channel=[1, 2]),
        of_command("run", "saliency", "--channel", "1,2"),
    ],
}


@pytest.mark.parametrize("sentence", DOORS)
def test_every_door_refuses_in_the_same_words(sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for door in DOORS[sentence]:
        with pytest.raises(WrongRequest) as refused:
            door(capsys)
        assert str(refused.value).startswith(sentence)
