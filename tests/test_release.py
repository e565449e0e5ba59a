"""The version is the same wherever it is written, and old recipes say when pictures changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import featvis
from app.files.cook import differences
from app.question import recipe
from app.question.recipe import Recipe

ROOT = Path(__file__).parent.parent
CHANGES = (ROOT / "CHANGELOG.md").read_text("utf8")
VERSIONS = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", CHANGES, re.MULTILINE)


def test_the_changelog_begins_with_this_version():
    assert VERSIONS[0] == featvis.__version__
    assert sorted(VERSIONS, key=recipe._numbers, reverse=True) == VERSIONS


def test_versions_that_change_pictures_are_those_of_the_recipes():
    sections = re.split(r"^## ", CHANGES, flags=re.MULTILINE)[1:]
    changing = [text[1:].partition("]")[0] for text in sections if "\n### Pictures" in text]
    assert tuple(reversed(changing)) == recipe.REPAINTED


def test_the_citation_has_what_its_form_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert citation["authors"] == [{"name": "The featvis developers"}]
    assert citation["version"] == featvis.__version__
    assert f'license = "{citation["license"]}"' in (ROOT / "pyproject.toml").read_text("utf8")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"featvis": "0.1.0"},
            "featvis 0.1.0 wrote this recipe, and pictures have changed in 0",
        ),
        ({"featvis": "0.0.12"}, "featvis 0.0.12 wrote this recipe"),
        ({}, "an earlier featvis wrote this recipe"),
        ({"featvis": "1 <b>"}, "an earlier featvis wrote this recipe"),
        ({"featvis": "0.2.0"}, ""),
        ({"featvis": "0.10.0"}, ""),
    ],
)
def test_an_older_recipe_says_that_pictures_have_changed(monkeypatch, facts, words):
    monkeypatch.setattr(recipe, "REPAINTED", ("0.2.0",))
    old = Recipe("m", None, (), facts=facts)
    notes = differences(old, {"featvis": "0.10.0"})
    assert [note.startswith(words) for note in notes] == ([True] if words else [])


def test_another_version_alone_is_no_difference(monkeypatch):
    monkeypatch.setattr(recipe, "REPAINTED", ())
    assert not differences(Recipe("m", None, (), facts={"featvis": "0.0.1"}), {"featvis": "0.1.0"})
