"""Files: what a tab shows, as a picture and as numbers to take away."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import torch

from featvis import Method, WrongRequest, render
from featvis.types import Attribution, Heatmap

from . import pictures, session, tabs, trust
from .animation import ON_THE_WAY, moving
from .arrays import packed
from .state import State

__all__ = ["animation", "arrays", "picture"]


def picture(state: State) -> tuple[bytes, str]:
    """The tab as one PNG: heat maps over the picture side by side, or the grid."""
    layers, methods = [], _possible(state)
    for method in methods:
        result = session.run(method.name, state).result
        if not isinstance(result, Heatmap | Attribution):
            return _png(render.render(result)), f"{_stem(state, method)}.png"
        below = torch.from_numpy(np.array(pictures.get(state.image)))
        image = session.image_of(state)
        layers.append(render.compose(below, render.over(result, image)[0]))
        if state.display("box") and (found := trust.box(result, image)):
            drawn = PIL.Image.fromarray(layers[-1].numpy())
            layers[-1] = torch.from_numpy(np.array(pictures.framed(drawn, found, image.original)))
    return _png(torch.cat(layers, 1)), f"{_stem(state, *methods)}.png"


def arrays(state: State) -> tuple[bytes, str]:
    """The tab's results as numbers, an npz file."""
    methods = _possible(state)
    found = {method.name: session.run(method.name, state).result for method in methods}
    boxes = {
        f"{name}.box": trust.box(result, session.image_of(state))
        for name, result in found.items()
        if isinstance(result, Heatmap | Attribution)
    }
    return packed(found, boxes), f"{_stem(state, *methods)}.npz"


def animation(state: State) -> tuple[bytes, str]:
    """How the tab's pictures came about, as a moving WebP."""
    method = _possible(state)[0]
    if not method.generator:
        raise WrongRequest(f"{method.title} is made at once: there is nothing to animate")
    key = session.key_of(method, state)
    if key not in ON_THE_WAY:  # not made yet, or the result was kept for longer
        session.RESULTS.drop(key)
        session.run(method.name, state)
    return moving(ON_THE_WAY[key]), f"{_stem(state, method)}.webp"


def _possible(state: State) -> list[Method]:
    found = [method for method in tabs.shown_methods(state) if not session.missing(method, state)]
    if not found:
        raise WrongRequest("there is nothing to save: none of these methods can be used here")
    return found


def _stem(state: State, *methods: Method) -> str:
    model = state.model.rstrip("/").split("/")[-1].replace(":", "-")
    return "-".join(["featvis", model, *(method.name for method in methods)])


def _png(picture: torch.Tensor) -> bytes:
    data = io.BytesIO()
    PIL.Image.fromarray(picture.numpy()).save(data, "PNG")
    return data.getvalue()
