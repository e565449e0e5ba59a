"""Maps: one channel over the picture, what its neuron looks at, and all channels as colours."""

from __future__ import annotations

from html import escape

import torch

from featvis import render
from featvis.network.neuron import check_channel
from featvis.types import Attribution, FeatureMaps, Heatmap

from ..answers.ask import ask_of
from ..answers.prediction import image_of
from ..answers.run import Answer, run
from ..answers.subject import layer_of
from ..machine.cache import model_of
from ..question.state import State
from .panels import Panel


def panels(answer: Answer, result: FeatureMaps, channel: int, state: State) -> list[Panel]:
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
    shown = [Panel(f"Channel {channel}", heat, lines, answer.seconds)]
    gradient = neuron(state.but(layer=result.layer, channel=channel))
    where = "at the chosen place" if state.position else "where it is most active"
    words = [f"gradient of channel {channel} {where}"]
    assert isinstance(gradient.result, Attribution)
    shown.append(Panel("What this neuron looks at", gradient.result, words, gradient.seconds))
    if result.components is not None:
        colors = render.components(result)[0]
        words = ["principal components as colours: equal colours look alike to the network"]
        shown.append(Panel("All channels", lines=words, colors=colors, place=result.place))
    return shown


def neuron(state: State) -> Answer:
    """The gradient of the state's neuron: what its layer, channel and position look at."""
    evidence = state.but(tab="Class evidence", target=None, params={"explain": "neuron"})
    return run(ask_of("saliency", evidence))


def chosen(result: FeatureMaps, state: State) -> int:
    """The chosen channel, or the one that is most active anywhere."""
    if state.channel is None:
        return int(result.units[0].flatten(1).amax(1).argmax())
    return check_channel(result.layer, state.channel, result.values.shape[1])


def marker(state: State) -> tuple[float, float] | None:
    """The chosen position on the original picture, as fractions (x, y)."""
    if state.position is None:
        return None
    model, image = model_of(state.model), image_of(state)
    place = model.layer(layer_of(state, model)).place
    row, column = place.center(state.position)
    top, left, bottom, right = image.box
    h, w = image.values.shape[2:]
    y, x = top + row / h * (bottom - top), left + column / w * (right - left)
    return x / image.original[1], y / image.original[0]
