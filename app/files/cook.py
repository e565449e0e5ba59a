"""Cooking: a recipe -> results, and results -> one picture. The window and the command share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import PIL.Image
import torch

import zoo_adapters
from featvis import Image, VisionModel, WrongRequest, render
from featvis.types import Attribution, FeatureMaps, Filters, Heatmap, Rectangle, Result

from ..answers.ask import ask_of_call
from ..answers.run import Answer, run
from ..answers.trust import box
from ..question import pictures
from ..question.recipe import Recipe, age_note, facts
from ..question.text import Opening


@dataclass(frozen=True)
class Cooked:
    """What a recipe gives."""

    recipe: Recipe  # with the facts of this machine
    results: Mapping[str, Result]
    picture: PIL.Image.Image
    boxes: Mapping[str, Rectangle | None]


def cook(
    recipe: Recipe,
    model: VisionModel,
    original: PIL.Image.Image | None,
    on_step: Callable[[Result], object] | None = None,
    picture: Opening = pictures.get,
) -> Cooked:
    """Make all of a recipe on its model and its picture; `on_step` gets the results on the way.

    `picture` opens the picture that a target is to be like.
    """
    image = zoo_adapters.read_image(original, model) if original is not None else None
    questions = [ask_of_call(call, model, image, picture) for call in recipe.calls]
    for reason in filter(None, (ask.reason for ask in questions)):
        raise WrongRequest(reason)

    def show(answer: Answer) -> None:
        if on_step is not None:
            on_step(answer.result)

    results = {ask.method.name: run(ask, show).result for ask in questions}
    return Cooked(
        recipe=replace(recipe, facts=facts(model, original)),
        results=results,
        picture=drawn(results, image, original, recipe.display),
        boxes=boxes(results, image) if image is not None else {},
    )


def boxes(results: Mapping[str, Result], image: Image) -> dict[str, Rectangle | None]:
    """The box round the strongest evidence of each map, in pixels of the original picture."""
    return {n: box(r, image) for n, r in results.items() if isinstance(r, Heatmap | Attribution)}


def drawn(
    results: Mapping[str, Result],
    image: Image | None,
    original: PIL.Image.Image | None,
    display: Mapping[str, Any],
) -> PIL.Image.Image:
    """Results as one picture: maps over the original side by side, or what else it is alone."""
    first = next(iter(results.values()))
    if isinstance(first, Filters | FeatureMaps):
        return render.to_pil(render.grid(first, scale=str(display.get("scale", "shared"))))
    maps = {n: r for n, r in results.items() if isinstance(r, Heatmap | Attribution)}
    if image is None or original is None or not maps:
        return render.to_pil(render.render(first))
    tops = (
        render.limits([*maps.values()]) if display.get("maps") == "shared" else [None] * len(maps)
    )
    below = torch.from_numpy(np.array(original))
    layers = []
    for result, top in zip(maps.values(), tops, strict=True):
        layer = render.to_pil(render.compose(below, render.over(result, image, limit=top)[0]))
        found = box(result, image) if display.get("box") else None
        layers.append(pictures.framed(layer, found, image.original) if found else layer)
    sheet = PIL.Image.new("RGB", (sum(layer.width for layer in layers), layers[0].height))
    for at, layer in enumerate(layers):
        sheet.paste(layer, (at * layer.width, 0))
    return sheet


def differences(recipe: Recipe, here: Mapping[str, Any]) -> list[str]:
    """What is not as it was when the recipe was written, in words: why the result may differ."""
    told = {"weights": "the weights are other ones", "picture": "the picture is another one"}
    changes = [
        told.get(name, f"{name} was {was}, here it is {here.get(name, 'missing')}")
        for name, was in recipe.facts.items()
        if name != "featvis" and here.get(name) != was
    ]
    note = age_note(recipe)
    return [note, *changes] if note else changes
