"""Files: what a tab shows, to take away: as a picture, as numbers, as a recipe and as code."""

from __future__ import annotations

from featvis import Method, WrongRequest
from featvis.types import Result

from ..answers import session
from ..answers.animation import moving
from ..machine.cache import ON_THE_WAY
from ..question import pictures
from ..question.code import python
from ..question.recipe import DRAWN, Call, Recipe, facts, stamped, target_text
from ..question.state import State
from ..question.tabs import DISPLAY, TABS
from . import cook
from .arrays import packed, saved
from .page_recipe import SHEETS, of_page

__all__ = ["FILES", "animation", "arrays", "code", "picture", "recipe", "recipe_text"]


def recipe(state: State) -> Recipe:
    """What the tab in view is made of."""
    if TABS[state.tab].page:
        return of_page(state)
    model, methods = session.model_of(state.model), _possible(state)
    needed = any("image" in method.subject for method in methods)
    return Recipe(
        state.model,
        state.image if needed else None,
        tuple(_call(method, state) for method in methods),
        display={n: v for n in DRAWN if (v := state.display(n)) != DISPLAY[n].default},
        facts=facts(model, pictures.get(state.image) if needed else None),
    )


def _call(method: Method, state: State) -> Call:
    chosen = session.subject(method, session.model_of(state.model), state)
    if "target" in chosen:
        chosen["target"] = target_text(chosen["target"])
    subject = {n: value for n, value in chosen.items() if value is not None and n != "image"}
    return Call(method.name, subject, session.params_of(method, state))


def picture(state: State) -> tuple[bytes, str]:
    """The tab as one PNG: maps over the picture side by side, or the grid; with its recipe."""
    if page := SHEETS.get(TABS[state.tab].page):
        sheet = page.sheet(state)  # before its recipe, which tells of all networks that it loads
        return stamped(sheet, recipe(state)), f"{_stem(state)}.png"
    made, results = recipe(state), _results(state)
    original, image = pictures.get(state.image), session.image_of(state)
    drawn = cook.drawn(results, image, original, made.display)
    return stamped(drawn, made), f"{_stem(state)}.png"


def arrays(state: State) -> tuple[bytes, str]:
    """The tab's results as numbers, an npz file."""
    if page := SHEETS.get(TABS[state.tab].page):
        return saved(page.numbers(state)), f"{_stem(state)}.npz"
    results = _results(state)
    boxes = cook.boxes(results, session.image_of(state))
    return packed(results, boxes), f"{_stem(state)}.npz"


def recipe_text(state: State) -> tuple[bytes, str]:
    """The recipe as JSON, for `featvis run --recipe`."""
    return recipe(state).to_json().encode(), f"{_stem(state)}.json"


def code(state: State) -> tuple[bytes, str]:
    """Python code that makes the same arrays."""
    text = python(recipe(state), session.model_of(state.model))
    return text.encode(), f"{_stem(state)}.py"


def animation(state: State) -> tuple[bytes, str]:
    """How the tab's pictures came about, as a moving WebP."""
    method = _possible(state)[0]
    if not method.generator:
        raise WrongRequest(f"{method.title} is made at once: there is nothing to animate")
    key = session.key_of(method, state)
    if key not in ON_THE_WAY:  # not made yet, or the result was kept for longer
        session.RESULTS.drop(key)
        session.run(method.name, state)
    return moving(ON_THE_WAY[key]), f"{_stem(state)}.webp"


# what the window calls a file -> how it is made
FILES = {
    "png": picture, "npz": arrays, "json": recipe_text, "py": code, "moving": animation,
}  # fmt: skip


def _results(state: State) -> dict[str, Result]:
    return {m.name: session.run(m.name, state).result for m in _possible(state)}


def _possible(state: State) -> list[Method]:
    if TABS[state.tab].page:
        raise WrongRequest(f"the page {state.tab} is made at once: there is nothing to animate")
    found = [method for method in state.shown_methods if not session.missing(method, state)]
    if not found:
        raise WrongRequest("there is nothing to save: none of these methods can be used here")
    return found


def _stem(state: State) -> str:
    model = state.model.rstrip("/").split("/")[-1].replace(":", "-")
    page = TABS[state.tab].page
    names = [state.tab.lower()] if page else [method.name for method in _possible(state)]
    return "-".join(["featvis", model, *names])
