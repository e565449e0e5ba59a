"""The tutorial runs, and its notebooks are those of its text."""

from __future__ import annotations

import json

import pytest

from docs.notebook import FOLDER, few, parts, ran, translated

PIECES = parts((FOLDER / "tutorial.md").read_text("utf8"))


def cells(name):
    return json.loads((FOLDER / name).read_text("utf8"))["cells"]


def test_every_cell_runs_and_shows_what_the_notebook_shows(monkeypatch):
    monkeypatch.chdir(FOLDER)
    names = {}
    kept = [cell["outputs"] for cell in cells("tutorial.ipynb") if cell["cell_type"] == "code"]
    for code, before in zip(PIECES[1::2], kept, strict=True):
        now = ran(few(code), names)
        assert [one["output_type"] for one in now] == [one["output_type"] for one in before]


@pytest.mark.parametrize("name", ["tutorial.ipynb", "tutorial.ko.ipynb"])
def test_a_notebook_has_the_text_and_code_of_its_source_and_is_small(name):
    pieces = PIECES if name == "tutorial.ipynb" else translated(PIECES[1::2])
    found = ["".join(cell["source"]) for cell in cells(name)]
    assert found == [piece for piece in pieces if piece], "run: python -m docs.notebook"
    assert (FOLDER / name).stat().st_size < 1_500_000
    assert all(cell["outputs"] for cell in cells(name) if cell["cell_type"] == "code")
