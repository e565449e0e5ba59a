"""The README is true: its tables are fresh, its code runs, its links lead somewhere."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest
import torch
from torch import Tensor, nn

import featvis
import zoo_adapters
from app import docs
from featvis import METHODS, types
from zoo_adapters.checks import check_model

TEXT = docs.README.read_text("utf8")
EXAMPLE, METHOD, ADAPTER = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_tables_are_fresh():
    assert docs.main(["--check"]) is None


def test_stale_tables_are_found_and_written(tmp_path, monkeypatch):
    monkeypatch.setattr(docs, "README", tmp_path / "README.md")
    docs.README.write_text(TEXT.replace("| **CAM** `cam` |", "| gone |"), "utf8")
    assert "make docs" in str(docs.main(["--check"]))
    assert docs.main([]) is None
    assert docs.README.read_text("utf8") == TEXT


def test_figures_are_read_from_the_benchmarks(tmp_path, monkeypatch):
    monkeypatch.setattr(docs, "README", tmp_path / "README.md")
    monkeypatch.setattr(sys, "stdin", io.StringIO("| cam | 1.01 |\n"))
    docs.README.write_text(TEXT, "utf8")
    assert docs.main(["-"]) is None
    assert "<!-- figures -->\n| cam | 1.01 |\n<!-- /figures -->" in docs.README.read_text("utf8")


def test_the_example_runs(monkeypatch, capsys):
    monkeypatch.chdir(docs.README.parent)
    exec(EXAMPLE, {})
    assert re.fullmatch(r"\w+ residual \d\S*\n", capsys.readouterr().out)
    assert sum(map(bool, EXAMPLE.splitlines())) <= 5


@pytest.mark.parametrize("recipe", [METHOD, ADAPTER])
def test_a_recipe_is_under_15_lines(recipe):
    assert len([line for line in recipe.splitlines() if line.strip()]) < 15


def test_the_method_recipe_makes_a_method():
    names = {**vars(featvis), **vars(types), "Annotated": Annotated, "Tensor": Tensor}
    try:
        exec(METHOD, {**names, "torch": torch})
        made = METHODS["energy"]
    finally:
        METHODS.pop("energy", None)
    assert (made.subject, [p.name for p in made.params]) == (("model", "image", "layer"), ["power"])
    model = zoo_adapters.load("timm:test_resnet", pretrained=False)
    image = torch.rand(2, 3, *model.size, generator=torch.Generator().manual_seed(0))
    maps = featvis.record(model, image, model.last_layer)[model.last_layer]
    found = made.run(model, image, model.last_layer, power=1.5).values
    torch.testing.assert_close(found[:, 0], (maps.abs() ** 1.5).sum(1))


def test_the_adapter_recipe_conforms(monkeypatch):
    def small():
        torch.manual_seed(0)
        conv = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU())
        return nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))

    adapter = ModuleType("my_package.adapter")
    monkeypatch.setitem(sys.modules, adapter.__name__, adapter)
    vars(adapter).update(SmallNet=small, zoo_adapters=zoo_adapters)
    exec(ADAPTER, vars(adapter))
    with torch.random.fork_rng(devices=[]):
        model = adapter.load(adapter.names()[0], pretrained=False)
    assert not check_model(model)
    assert model.head is not None


def test_links_lead_somewhere():
    for file in ("README.md", "CONTRIBUTING.md"):
        text = (docs.README.parent / file).read_text("utf8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (docs.README.parent / Path(target)).exists(), f"{file} links to {target}"
