"""Maps: one channel over the picture, what its neuron looks at, and all channels as colours."""

from __future__ import annotations

import time
from html import escape

import torch

import featvis
from featvis import METHODS, WrongRequest, render
from featvis.types import Attribution, FeatureMaps, Heatmap

from ..answers import session
from ..answers.session import Made
from ..question.state import State
from .panels import Panel

__all__ = ["chosen", "marker", "neuron", "panels"]


def panels(made: Made, result: FeatureMaps, channel: int, state: State) -> list[Panel]:
    """One channel over the picture, what its neuron looks at, and all channels as colours."""
    plane = result.values[:, channel]
    signed = bool((plane < 0).any())
    none, top = torch.full((1,), -1), plane.amax((1, 2))
    heat = Heatmap(plane, result.layer, result.place, f"channel {channel}", top, none, signed)
    h, w = plane.shape[1:]
    lines = [
        f"{escape(result.layer)}, {h}x{w}",
        f"activations from <b>{float(plane.min()):.3g}</b> to <b>{float(plane.max()):.3g}</b>",
    ]
    if state.position and state.position[0] < h and state.position[1] < w:
        row, column = state.position
        lines.append(f"row {row}, column {column}: <b>{float(plane[0, row, column]):.3g}</b>")
    made_panels = [Panel(f"Channel {channel}", heat, lines, made.seconds)]
    seen = neuron(state.but(layer=result.layer, channel=channel))
    where = "at the chosen place" if state.position else "where it is most active"
    words = [f"gradient of channel {channel} {where}"]
    assert isinstance(seen.result, Attribution)
    made_panels.append(Panel("What this neuron looks at", seen.result, words, seen.seconds))
    if result.components is not None:
        colors = render.components(result)[0]
        words = ["principal components as colours: equal colours look alike to the network"]
        made_panels.append(Panel("All channels", lines=words, colors=colors, place=result.place))
    return made_panels


def neuron(state: State) -> Made:
    """The gradient of the state's neuron: what its layer, channel and position look at."""
    model = session.model_of(state.model)

    def make() -> Made:
        begin, image = time.perf_counter(), session.image_of(state).values.to(model.like)
        where = {"layer": state.layer, "channel": state.channel, "position": state.position}
        result = featvis.saliency(model, image, **where)  # type: ignore[arg-type]
        return Made(METHODS["saliency"], result, time.perf_counter() - begin)

    key = ("neuron", state.model, state.image, state.layer, state.channel, state.position)
    return session.kept(key, state, make)


def chosen(result: FeatureMaps, state: State) -> int:
    """The chosen channel, or the one that is most active anywhere."""
    count = result.values.shape[1]
    if state.channel is None:
        return int(result.units[0].flatten(1).amax(1).argmax())
    if state.channel >= count:
        raise WrongRequest(
            f"channel {state.channel} of {result.layer}: its channels go from 0 to {count - 1}"
        )
    return state.channel


def marker(state: State) -> tuple[float, float] | None:
    """The chosen position on the original picture, as fractions (x, y)."""
    if state.position is None:
        return None
    model, image = session.model_of(state.model), session.image_of(state)
    place = model.layer(session.layer_of(state, model)).place
    row, column = place.center(state.position)
    top, left, bottom, right = image.box
    h, w = image.values.shape[2:]
    y, x = top + row / h * (bottom - top), left + column / w * (right - left)
    return x / image.original[1], y / image.original[0]
