"""Recipes of pages: a page is made of a state, not of calls, so its recipe holds the link."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import PIL.Image

from featvis import WrongRequest

from ..answers import indexed
from ..machine.cache import MODELS, model_of
from ..question import pictures
from ..question.recipe import Recipe, facts, stamped
from ..question.state import IMAGE, State, from_query, to_query
from ..question.tabs import DISPLAY, TABS
from . import channel_sheet, compare_sheet, neighbours_sheet
from .arrays import saved

# A tab's page -> the module that makes its sheet and its numbers.
SHEETS = {"channel": channel_sheet, "neighbours": neighbours_sheet, "compare": compare_sheet}


def of_page(state: State, image: str | None = None) -> Recipe:
    """The recipe of a page; `image` is the picture's name where it is not the state's."""
    model = model_of(state.model)
    known = facts(model, pictures.get(state.image))
    for name in state.others if TABS[state.tab].compares_networks else ():
        known[f"weights of {name}"] = _fingerprint(name)
    if not TABS[state.tab].compares_networks and (index := indexed.index_of(state)):
        known["index"] = f"{_public(index.manifest.source)}, {index.manifest.digest}"
    return Recipe(state.model, image or state.image, (), page=_query(state), facts=known)


def _public(source: str) -> str:
    """A source of pictures as anyone may read it: of a folder its name, not where it lies."""
    kind, _, rest = source.partition(":")
    return f"folder:{PurePath(rest).name}" if kind == "folder" else source


def _fingerprint(name: str) -> str:
    """Of a network that is here; one that cannot be loaded is missing from the sheet, too."""
    found = MODELS.get(name)
    return str(found.fingerprint) if found is not None else ""


def _query(state: State) -> str:
    """The link without the picture, which the recipe names, and without what changes nothing."""
    plain = {
        name: value
        for name, value in state.params.items()
        if name not in DISPLAY or DISPLAY[name].check(value) != DISPLAY[name].default
    }
    plain.pop("download", None)
    return to_query(state.but(image="", params=plain))


def remade(
    recipe: Recipe, image: str | None, lend: Callable[[str], str], *, arrays: bool
) -> tuple[bytes, bytes, Recipe]:
    """A page's sheet again, its numbers where `arrays` are wanted, and the recipe as of here.

    `lend` gives the short name of a picture that the recipe, or `image`, names.
    """
    name = image or recipe.image
    if not name:
        raise WrongRequest("this recipe names no picture; give one with --image")
    asked = from_query(recipe.page)
    kept = name.startswith("scene-") and IMAGE.fullmatch(name)
    state = asked.but(model=recipe.model, image=name if kept else lend(name))
    page = SHEETS.get(TABS[state.tab].page)
    if page is None:
        raise WrongRequest(f"this recipe is of the tab {state.tab}, which is no page")
    with_all = state.having(download=True)
    sheet: PIL.Image.Image = page.sheet(with_all)
    found: dict[str, Any] = page.numbers(with_all) if arrays else {}
    here = of_page(state, recipe.image)
    return stamped(sheet, here), saved(found) if arrays else b"", here
