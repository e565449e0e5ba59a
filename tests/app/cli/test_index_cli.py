"""The command index: what it builds, says, writes and refuses."""

from __future__ import annotations

import PIL.Image
import pytest

from app.cli import commands

MODEL = "bundled:scenes-vit"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATVIS_INDEXES", str(tmp_path / "indexes"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys, *argv):
    """Exit code, lines printed, and lines of the error."""
    code = commands.main(["index", *argv])
    out, error = capsys.readouterr()
    return code, out.splitlines(), error.splitlines()


def test_what_is_built_is_listed_asked_and_removed(capsys):
    argv = ("build", "--model", MODEL, "--source", "scenes:6", "--layers", "blocks.1", "--k", "3")
    code, out, error = said(capsys, *argv)
    assert code == 0
    assert out[0].startswith("6 pictures, 1 layers, 0 skipped")
    assert error[-1].endswith("6 of 6 pictures")
    _, out, _ = said(capsys, "list")
    assert sum(line.startswith(MODEL) for line in out) == 2  # this one, and the bundled one
    _, out, _ = said(capsys, "info", MODEL, "--source", "scenes:6")
    assert out[0] == f"{MODEL} over scenes:6: 6 pictures, 0 skipped"
    assert out[-1] == "  blocks.1 · 144 ch · 8x8"
    argv = ("query", MODEL, "--source", "scenes:6", "--layer", "blocks.1", "--channel", "7")
    _, out, _ = said(capsys, *argv)
    assert out[0] == "blocks.1, channel 7, over 6 pictures"
    assert out.index("weakest") - out.index("strongest") == 4
    code, out, _ = said(capsys, "rm", MODEL)
    assert (code, len(out)) == (0, 1)
    code, _, error = said(capsys, "rm", MODEL)
    assert code == 2
    assert "no index" in error[0]


def test_a_bundled_index_answers_without_being_built(capsys):
    argv = ("query", MODEL, "--layer", "blocks.3", "--channel", "50", "--k", "2")
    code, out, _ = said(capsys, *argv, "--out", "patches.png")
    assert code == 0
    assert out[0] == "blocks.3, channel 50, over 5000 pictures"
    assert any("IoU" in line for line in out)
    with PIL.Image.open("patches.png") as sheet:
        assert sheet.width > sheet.height
    code, out, _ = said(capsys, "query", MODEL, "--image", "scene-100007", "--k", "3")
    assert out[0].split()[:1] == ["scene-100007"]
    assert len(out) == 3
    near = ("query", MODEL, "--image", "scene-100007", "--k", "3", "--layer", "blocks.1")
    code, out, error = said(capsys, *near, "--by", "layer", "--among", "12")
    assert (code, len(out)) == (0, 3)
    assert error[-1].endswith("12 of 12 pictures")
    some = [line.split()[0] for line in out]
    assert all(int(name[6:]) % 417 == 100000 % 417 for name in some)  # one in 417
    code, out, error = said(capsys, *near, "--by", "channel", "--channel", "5", "--among", "12")
    assert (code, len(out), error) == (0, 3, [])  # they were looked at before


WRONG = [
    (["query", MODEL], "--layer and --channel"),
    (["query", MODEL, "--image", "scene-3", "--by", "layer"], "--by layer needs --layer"),
    (["query", MODEL, "--layer", "nope", "--channel", "1"], "no layer 'nope'"),
    (["query", MODEL, "--layer", "blocks.1", "--channel", "144"], "0 to 143"),
    (["query", MODEL, "--layer", "blocks.1", "--channel", "-1"], "0 to 143"),
    (["info", MODEL, "--random"], "other weights"),
    (["info", MODEL, "--source", "folder:/x"], "featvis index build"),
    (["build"], "--model"),
    (["build", "--model", MODEL, "--source", "cats"], "scenes:"),
    (["build", "--model", MODEL, "--layers", "nope"], "nope"),
    (["build", "--model", MODEL, "--k", "0"], "--k"),
    (["nothing"], "build"),
]


@pytest.mark.parametrize(("argv", "expected"), WRONG, ids=lambda x: " ".join(x)[-40:])
def test_wrong_requests_are_one_line_that_helps(argv, expected, capsys):
    code, _, error = said(capsys, *argv)
    assert code == 2
    assert len(error) == 1
    assert expected in error[0]
