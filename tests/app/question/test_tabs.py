"""A new family of methods is a method and the record of its tab; all else is derived from them."""

from __future__ import annotations

import gc
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Annotated

import pytest
import torch

import zoo_adapters
from app import docs
from app.cli import commands
from app.files import page_recipe
from app.pages import tabs
from app.question.state import State, from_query
from app.question.tabs import TABS, Tab
from app.web import api
from featvis import METHODS, Image, Range, VisionModel, method
from featvis.model import values
from featvis.types import Heatmap, Place

ROOT = Path(__file__).parents[3]
MODEL = "bundled:scenes-resnet"
bundled = pytest.mark.skipif(not zoo_adapters.names("bundled"), reason="no bundled network")


def seams(
    model: VisionModel,
    image: torch.Tensor | Image,
    *,
    masks: Annotated[int, Range(1, 9), "How many masks are drawn."] = 3,
    seed: Annotated[int, Range(0, 99), "Of the masks."] = 0,
) -> Heatmap:
    """Show where the picture changes from column to column.

    It is the difference of neighboring columns, less a little noise.
    """
    red = values(image)[:, 0]  # (B, H, W)
    noise = torch.rand(red.shape, generator=torch.Generator().manual_seed(seed))
    return Heatmap(
        values=red.diff(dim=-1, append=red[:, :, -1:]).abs() - noise / (100 * masks),
        target="the seams",
        classes=torch.full((len(red),), -1),
        score=torch.zeros(len(red)),
        layer="",
        place=Place((0.5, 0.5), (1, 1)),
    )


@pytest.fixture
def family(monkeypatch):
    """A family with one method, and the record of its tab."""
    monkeypatch.setitem(METHODS, "seams", None)  # removed again with the fixture
    method("Seams of columns", family="Nonsense", paper="Nobody 1900, arXiv:1900.00001")(seams)
    tab = Tab(
        name="Nonsense",
        lead="Where the picture changes.",
        family="Nonsense",
        examples=(("Seams of a lighthouse", f"m={MODEL}&img=scene-2"),),
    )
    monkeypatch.setitem(TABS, "Nonsense", tab)
    return tab


def test_every_page_has_a_module_that_draws_it_and_one_that_saves_it():
    pages = {tab.page for tab in TABS.values() if tab.page}
    assert pages == set(tabs.PAGES) == set(page_recipe.SHEETS)


def test_a_tab_with_a_grid_shows_all_channels_of_a_layer():
    kinds = {"Filters", "FeatureMaps"}
    for tab in TABS.values():
        if not tab.page:
            assert tab.has_grid == any(m.result.__name__ in kinds for m in tab.methods), tab.name


def test_a_new_family_has_a_tab_a_form_and_help(family):
    pytest.importorskip("gradio")
    from app.window.build import build

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        blocks = build()
        parts = blocks.get_config_file()["components"]
        blocks.close()
        gc.collect()  # Gradio leaves an event loop and its sockets to the collector, which warns
    labels = {(part["type"], part["props"].get("label")) for part in parts}
    assert {("tabitem", "Nonsense"), ("slider", "Masks")} <= labels
    texts = [str(part["props"].get("value")) for part in parts]
    assert any("Where the picture changes." in text and "Seams of a" in text for text in texts)
    assert any("difference of neighboring columns" in text for text in texts)


@bundled
def test_it_is_drawn_and_linked_like_any_other(family):
    pytest.importorskip("gradio")
    state = from_query(f"tab=Nonsense&m={MODEL}&p.masks=4&seed=7")
    assert (state.tab, state.params["masks"]) == ("Nonsense", "4")
    view = tabs.draw(state).view
    assert "Seams of columns" in view
    assert "seed 7" in view
    (answer,) = [known for known in api.methods() if known["name"] == "seams"]
    assert (answer["family"], list(answer["parameters"])) == ("Nonsense", ["masks", "seed"])
    answer = api.run("seams", MODEL, parameters='{"masks": 2}')
    assert answer["png"][0].startswith(b"\x89PNG")
    assert from_query(answer["link"].strip("?")).tab == "Nonsense"


@bundled
def test_it_has_a_command_with_its_help(family, tmp_path, capsys):
    assert commands.main(["run", "seams", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert seams.__doc__.partition("\n")[0] in told
    assert "--masks INT How many masks are drawn." in told
    png = tmp_path / "seams.png"
    arguments = ["--model", MODEL, "--image", "scene-2", "--masks", "2", "--out", str(png)]
    assert commands.main(["run", "seams", *arguments]) == 0
    assert png.read_bytes().startswith(b"\x89PNG")


def test_it_has_a_row_in_the_table_of_methods(family):
    row = next(row for row in docs.tables()["methods"].splitlines() if "`seams`" in row)
    assert "Show where the picture changes" in row
    assert "[Nobody 1900](https://arxiv.org/abs/1900.00001)" in row


def test_a_family_without_a_tab_is_refused_at_import():
    program = """
import featvis, featvis.types
def run(model: featvis.VisionModel) -> featvis.types.Filters: ...
featvis.method("Seams", family="Nonsense")(run)
import app.question.tabs
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "ValueError: run: the family 'Nonsense' has no tab; add its record to app/question/tabs.py"
    )


@bundled
def test_evidence_of_a_seed_without_samples_is_drawn(monkeypatch):
    monkeypatch.setitem(METHODS, "seams", None)
    method("Seams of columns", family="Class evidence")(seams)
    view = tabs.draw(State(model=MODEL, methods=("seams",), seed=7)).view
    assert "seed 7" in view
    assert "noisy copies" not in view
