"""Files: what a tab shows, to take away: as a picture, as numbers, as a recipe and as code."""

from __future__ import annotations

from collections.abc import Sequence

from featvis import WrongRequest
from featvis.types import Result

from ..answers.animation import moving
from ..answers.ask import Ask, asks
from ..answers.prediction import image_of
from ..answers.run import run
from ..answers.subject import subject_of
from ..machine.cache import ON_THE_WAY, RESULTS, model_of
from ..question import pictures
from ..question.code import python
from ..question.recipe import DRAWN, Call, Recipe, facts, stamped
from ..question.state import State
from ..question.tabs import DISPLAY, TABS
from . import cook
from .arrays import packed, saved
from .page_recipe import SHEETS, of_page


def recipe(state: State) -> Recipe:
    """What the tab in view is made of."""
    return of_page(state) if TABS[state.tab].page else _recipe(state, _possible(state))


def _recipe(state: State, possible: Sequence[Ask]) -> Recipe:
    needed = any(ask.image is not None for ask in possible)
    return Recipe(
        model=state.model,
        image=state.image if needed else None,
        calls=tuple(_call(ask) for ask in possible),
        display={n: v for n in DRAWN if (v := state.display(n)) != DISPLAY[n].default},
        facts=facts(possible[0].model, pictures.get(state.image) if needed else None),
    )


def _call(ask: Ask) -> Call:
    subject = {n: v for n, v in ask.subject.items() if v is not None and n != "image"}
    if "target" in subject:
        subject["target"] = str(subject["target"])
    return Call(ask.method.name, subject, ask.params)


def picture(state: State) -> tuple[bytes, str]:
    """The tab as one PNG: maps over the picture side by side, or the grid; with its recipe."""
    if page := SHEETS.get(TABS[state.tab].page):
        sheet = page.sheet(state)  # before its recipe, which tells of all networks that it loads
        return stamped(sheet, recipe(state)), f"{_stem(state)}.png"
    possible = _possible(state)
    original, image = pictures.get(state.image), image_of(state)
    source = _recipe(state, possible)
    sheet = cook.drawn(_results(possible), image, original, source.display)
    return stamped(sheet, source), f"{_stem(state, possible)}.png"


def arrays(state: State) -> tuple[bytes, str]:
    """The tab's results as numbers, an npz file."""
    if page := SHEETS.get(TABS[state.tab].page):
        return saved(page.numbers(state)), f"{_stem(state)}.npz"
    possible = _possible(state)
    results = _results(possible)
    boxes = cook.boxes(results, image_of(state))
    return packed(results, boxes), f"{_stem(state, possible)}.npz"


def recipe_text(state: State) -> tuple[bytes, str]:
    """The recipe as JSON, for `featvis run --recipe`."""
    return recipe(state).to_json().encode(), f"{_stem(state)}.json"


def code(state: State) -> tuple[bytes, str]:
    """Python code that makes the same arrays."""
    text = python(recipe(state), model_of(state.model))
    return text.encode(), f"{_stem(state)}.py"


def animation(state: State) -> tuple[bytes, str]:
    """How the tab's pictures came about, as a moving WebP."""
    possible = _possible(state)
    ask = possible[0]
    if not ask.method.generator:
        raise WrongRequest(f"{ask.method.title} is made at once: there is nothing to animate")
    if ask.key not in ON_THE_WAY:  # not made yet, or the result was kept for longer
        RESULTS.drop(ask.key)
        run(ask)
    return moving(ON_THE_WAY[ask.key]), f"{_stem(state, possible)}.webp"


# what the window calls a file -> how it is made
FILES = {
    "png": picture, "npz": arrays, "json": recipe_text, "py": code, "moving": animation,
}  # fmt: skip


def _results(possible: Sequence[Ask]) -> dict[str, Result]:
    return {ask.method.name: run(ask).result for ask in possible}


def _possible(state: State) -> Sequence[Ask]:
    """The questions of the tab that have an answer."""
    if TABS[state.tab].page:
        raise WrongRequest(f"the page {state.tab} is made at once: there is nothing to animate")
    possible = [ask for ask in asks(subject_of(state)) if not ask.reason]
    if not possible:
        raise WrongRequest("there is nothing to save: none of these methods can be used here")
    return possible


def _stem(state: State, possible: Sequence[Ask] | None = None) -> str:
    model = state.model.rstrip("/").split("/")[-1].replace(":", "-")
    if TABS[state.tab].page:
        return "-".join(["featvis", model, state.tab.lower()])
    names = [ask.method.name for ask in possible or _possible(state)]
    return "-".join(["featvis", model, *names])
