"""The tutorial runs, and its notebooks are those of its text."""

from __future__ import annotations

import nbformat
import pytest

from docs.notebook import FOLDER, cells_of_code, notebook, run, shorten

FILES = {"en": "tutorial.ipynb", "ko": "tutorial.ko.ipynb"}


def shipped(language):
    return nbformat.read(FOLDER / FILES[language], as_version=4)


def test_every_cell_runs_and_shows_what_the_notebook_shows():
    book = notebook("en")
    shorten(book)
    run(book)
    for now, before in zip(cells_of_code(book), cells_of_code(shipped("en")), strict=True):
        shown = [one.get("data", {}).keys() or one["name"] for one in before.outputs]
        assert [one.get("data", {}).keys() or one["name"] for one in now.outputs] == shown


@pytest.mark.parametrize("language", FILES)
def test_a_notebook_has_the_text_and_code_of_its_source_and_is_small(language):
    book = shipped(language)
    sources = [cell.source for cell in notebook(language).cells]
    assert [cell.source for cell in book.cells] == sources, "run: python -m docs.notebook"
    assert (FOLDER / FILES[language]).stat().st_size < 1_500_000
    assert all(cell.outputs for cell in cells_of_code(book))
