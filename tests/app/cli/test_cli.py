"""The command line: what it writes, what it says, and what it does not import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import zoo_adapters
from app.cli import commands
from featvis import METHODS

ROOT = Path(__file__).parents[3]
NAMES = zoo_adapters.names("bundled")
MODEL = NAMES[0]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    PIL.Image.new("RGB", (60, 40), (90, 160, 60)).save("picture.png")
    return tmp_path


def said(capsys, *argv):
    """Exit code, what was printed, and the lines of the error."""
    code = commands.main(argv)
    out, error = capsys.readouterr()
    return code, out, error.splitlines()


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if not m.generator])
def test_every_method_writes_its_picture_and_its_arrays(name, capsys):
    method = METHODS[name]
    model = "bundled:scenes-vit" if "tokens" in method.requires else MODEL
    argv = ["run", name, "--model", model, "--out", "a.png", "--npz", "a.npz"]
    argv += ["--image", "picture.png"] if "image" in method.subject else []
    if "layer" in method.subject and "layer" not in method.optional:
        argv += ["--layer", list(zoo_adapters.load(MODEL).layers)[-1]]
    for param in method.params:
        argv += [f"--{param.name.replace('_', '-')}", str(param.default)]
    code, _, error = said(capsys, *argv)
    assert (code, error) == (0, [])
    with PIL.Image.open("a.png") as picture, np.load("a.npz") as arrays:
        assert picture.mode == "RGB"
        assert f"{name}.values" in arrays.files


def test_a_heat_map_lies_over_the_picture(capsys):
    said(capsys, "run", "cam", "--model", MODEL, "--image", "picture.png", "--out", "a.png")
    with PIL.Image.open("a.png") as picture:
        assert picture.size == (60, 40)


def test_a_class_is_named_by_its_label(capsys):
    argv = ("run", "cam", "--model", MODEL, "--image", "scene-17", "--npz")
    said(capsys, *argv, "label.npz", "--target", "lighthouse")
    number = str(zoo_adapters.load(MODEL).labels.index("lighthouse"))
    said(capsys, *argv, "number.npz", "--target", number)
    with np.load("label.npz") as named, np.load("number.npz") as numbered:
        assert np.array_equal(named["cam.values"], numbered["cam.values"])


WRONG = [
    (["run", "no_method"], "cam"),
    (["run", "cam", "--model", "{model}", "--image", "picture.png"], "--out"),
    (["run", "cam", "--model", "{model}x", "--image", "picture.png", "--out", "a.png"], "{model}"),
    (["run", "cam", "--model", "resnet50", "--image", "picture.png", "--out", "a.png"], "timm:"),
    (["run", "cam", "--model", "{model}", "--image", "no.png", "--out", "a.png"], "no.png"),
    (["run", "cam", "--model", "{model}", "--image", "text.png", "--out", "a.png"], "PNG"),
    (["run", "cam", "--model", "{model}", "--image", "picture.png", "--out", "a.jpg"], ".png"),
    (["run", "cam", "--model", "{model}", "--image", "picture.png", "--out", "no/a.png"], "folder"),
    (["run", "cam", "--model", "{model}", "--image", "picture.png", "--out", "a.png",
      "--target", "99999"], "classes go from 0"),
    (["run", "cam", "--model", "{model}", "--image", "picture.png", "--out", "a.png",
      "--target", "no such label"], "label"),
    (["run", "saliency", "--model", "{model}", "--image", "picture.png", "--out", "a.png",
      "--position", "3;4"], "ROW,COLUMN"),
    (["run", "feature_maps", "--model", "{model}", "--image", "picture.png", "--out", "a.png"],
     "--layer"),
    (["run", "feature_maps", "--model", "{model}", "--image", "picture.png", "--out", "a.png",
      "--layer", "no.layer"], "featvis show"),
    (["run", "filters", "--model", "{model}", "--out", "a.png", "--sort", "colour"], "sort is"),
    (["models", "no_zoo"], "timm"),
    (["models", "bundled", "--search", "zzz"], "zzz"),
    (["show", "bundled:zzz"], "bundled"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "word"), WRONG)
def test_a_wrong_request_is_one_line_and_writes_nothing(argv, word, folder, capsys):
    (folder / "text.png").write_text("this is no picture")
    before = sorted(folder.iterdir())
    code, out, error = said(capsys, *(part.format(model=MODEL) for part in argv))
    assert code == 2
    assert out == ""
    assert len(error) == 1
    assert error[0].startswith("featvis: ")
    assert word.format(model=MODEL) in error[0]
    assert sorted(folder.iterdir()) == before


def test_a_failure_is_one_line_and_leaves_no_half_a_file(folder, capsys, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("no memory\nand more")

    monkeypatch.setattr(Path, "replace", fails)
    code, _, error = said(
        capsys, "run", "cam", "--model", MODEL, "--image", "picture.png", "--out", "a.png"
    )
    assert code == 1
    assert error == ["featvis: failed, RuntimeError: no memory"]
    assert [file.name for file in folder.iterdir()] == ["picture.png"]


def test_show_tells_layers_head_and_methods(capsys):
    code, out, _ = said(capsys, "show", MODEL)
    model = zoo_adapters.load(MODEL)
    assert code == 0
    assert all(str(layer) in out for layer in model.layers.values())
    assert model.head_reason in out
    assert all(name in out for name in METHODS)


def test_models_are_one_a_line(capsys):
    _, out, _ = said(capsys, "models", "torchvision", "--search", "alexnet")
    assert out.splitlines() == [n for n in zoo_adapters.names("torchvision") if "alexnet" in n]


def test_models_are_filtered_and_told(capsys):
    how = ["--kind", "transformer", "--head", "exact", "--most-parameters", "1e7"]
    _, out, _ = said(capsys, "models", "timm", *how, "--sort", "parameters", "--long")
    found = zoo_adapters.find(
        zoo="timm", kind="transformer", head="exact", most_parameters=1e7, sort="parameters"
    )
    assert [line.split()[0] for line in out.splitlines()] == [one.name for one in found]
    assert all("CAM: exact" in line and "M weights" in line for line in out.splitlines())
    orders = [said(capsys, "models", "bundled", "--sort", "random", "--seed", s)[1] for s in "12"]
    assert sorted(orders[0].split()) == sorted(orders[1].split())
    assert orders[0] != orders[1]


def test_what_no_model_fits_is_said_with_what_is_near(capsys):
    assert "resnet" in said(capsys, "models", "--search", "reznet")[2][0]
    error = said(capsys, "models", "bundled", "--head", "exact", "--most-parameters", "1e3")[2][0]
    assert "head exact, most-parameters 1000" in error


@pytest.mark.parametrize("argv", [["--help"], ["serve", "--help"], ["models", "--help"],
                                  ["show", "--help"], ["run", "--help"],
                                  *(["run", name, "--help"] for name in METHODS)])  # fmt: skip
def test_help_is_everywhere(argv, capsys):
    code, out, error = said(capsys, *argv)
    assert (code, error) == (0, [])
    assert "usage: featvis" in out


def test_only_serving_imports_gradio():
    code = "import sys; from app.cli import main; main(['models', 'bundled']); "
    code += "sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_box_is_drawn_printed_and_written(capsys):
    argv = ["run", "cam", "--model", MODEL, "--image", "scene-24", "--npz", "a.npz"]
    code, plain, _ = said(capsys, *argv, "--out", "plain.png")
    assert (code, "box" in plain) == (0, False)
    code, out, error = said(capsys, *argv, "--out", "box.png", "--box")
    assert (code, error) == (0, [])
    with np.load("a.npz") as arrays:
        numbers = [f"{edge:.0f}" for edge in arrays["cam.box"]]
    words = ("top", "left", "bottom", "right")
    assert "box: " + ", ".join(map(" ".join, zip(words, numbers, strict=True))) in out
    assert Path("plain.png").read_bytes() != Path("box.png").read_bytes()


# --- options in any order -----------------------------------------------------------------------

ORDERS = {
    "before the method": ["--image", "scene-3", "--target", "3", "{}", "--model", MODEL],
    "all before it": ["--model", MODEL, "--image", "scene-3", "--target", "3", "{}"],
    "all behind it": ["{}", "--model", MODEL, "--image", "scene-3", "--target", "3"],
    "a switch before it": ["--box", "{}", "--model", MODEL, "--image", "scene-3", "--target", "3"],
    "with equal signs": ["--image=scene-3", f"--model={MODEL}", "{}", "--target=3"],
}


@pytest.mark.parametrize("name", ["cam", "saliency"])
@pytest.mark.parametrize("order", ORDERS)
def test_options_stand_on_either_side_of_the_method(order, name, tmp_path):
    straight, other = tmp_path / "a.npz", tmp_path / "b.npz"
    assert (
        commands.main(
            ["run", *(w.format(name) for w in ORDERS["all behind it"]), "--npz", str(straight)]
        )
        == 0
    )
    words = [word.format(name) for word in ORDERS[order]]
    assert commands.main(["run", "--npz", str(other), *words]) == 0
    assert straight.read_bytes() == other.read_bytes()


def test_a_value_that_is_the_name_of_a_method_stays_a_value(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["run", "--target", "cam", "saliency", "--model", MODEL, "--image", "scene-3"]
    command += ["--out", "a.png"]
    assert commands.main(command) == 2
    assert "no class 'cam'" in capsys.readouterr().err


def test_switches_are_those_of_the_parsers():
    (subcommands,) = (a for a in commands._parser()._actions if isinstance(a.choices, dict))
    (methods,) = (a for a in subcommands.choices["run"]._actions if isinstance(a.choices, dict))
    switches = {
        option
        for parser in (subcommands.choices["run"], *methods.choices.values())
        for action in parser._actions
        for option in action.option_strings
        if action.nargs == 0 and option.startswith("--")
    }
    assert switches == set(commands.SWITCHES)


def test_the_row_of_a_network_that_fails_says_why_once(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"architecture": "nosuchnet", "num_classes": 3}', "utf8")
    (tmp_path / "model.safetensors").write_bytes(b"")
    name = f"timm:local-dir:{tmp_path}"
    command = ["compare", "--models", f"{MODEL},{name}", "--image", "scene-3", "--out", "a.png"]
    assert commands.main(command) in (0, 2)
    out = "".join(capsys.readouterr())
    assert "nosuchnet, which timm" in out
    assert "damaged" not in out
    assert f"{name}: {name}" not in out
