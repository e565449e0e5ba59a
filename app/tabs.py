"""Tabs: what each family of methods shows of a state, as pieces of HTML and as files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from html import escape

import numpy as np
import PIL.Image
import torch

from featvis import METHODS, Method, VisionModel, WrongRequest, render
from featvis.types import Attribution, FeatureMaps, Filters, Heatmap

from . import pictures, session, texts, views
from .arrays import packed
from .panels import Panel
from .panels import panels as over_picture
from .session import Made
from .state import DISPLAY, State

__all__ = [
    "FIRST",
    "Shown",
    "arrays",
    "draw",
    "has_grid",
    "methods_of",
    "picture",
    "shown_methods",
]

FIRST = 3  # methods of a family that are shown until others are chosen


@dataclass(frozen=True)
class Shown:
    """The pieces of a tab: results over the picture, and the channels as a grid."""

    view: str
    grid: str = ""


def methods_of(family: str) -> list[Method]:
    """The methods of a tab, in the order in which they are declared."""
    return [method for method in METHODS.values() if method.family == family]


def has_grid(family: str) -> bool:
    """Does a tab show all channels as a grid?"""
    return any(issubclass(m.result, FeatureMaps | Filters) for m in methods_of(family))


def shown_methods(state: State) -> list[Method]:
    """The chosen methods of the tab in view, or its first ones."""
    family = methods_of(state.tab)
    chosen = [method for method in family if method.name in state.methods]
    return chosen or family[:FIRST]


def draw(state: State) -> Shown:
    """What the tab in view shows."""
    panels: list[Panel] = []
    grid = ""
    for method in shown_methods(state):
        if reason := method.missing(session.model_of(state.model)):
            panels.append(Panel(method.title, reason=reason))
            continue
        made = session.run(method.name, state)
        if isinstance(made.result, Filters):
            return _filters(made.result, state)
        if isinstance(made.result, FeatureMaps):
            channel = _channel(made.result, state)
            panels += _channel_panels(made, made.result, channel, state)
            grid = views.grid(made.result, _scale(state), channel, "channel")
        else:
            panels.append(_panel(made, state))
    image, marker = session.image_of(state), _marker(state)
    return Shown(over_picture(image, pictures.get(state.image), panels, marker), grid)


def _panel(made: Made, state: State) -> Panel:
    """Evidence for a class, with what can be said of it in numbers."""
    result, model = made.result, session.model_of(state.model)
    assert isinstance(result, Heatmap | Attribution)
    lines = []
    if isinstance(result, Heatmap):
        target = int(result.target[0])
        name = model.labels[target] if model.labels else f"class {target}"
        lines.append(f"<b>{escape(name)}</b>, logit {float(result.logits[0, target]):.2f}")
        if result.layer:
            h, w = result.values.shape[1:]
            lines.append(f"at {escape(result.layer)}, {h}x{w}")
        if result.residual is not None and result.bias is not None:
            lines.append(
                f"map {float(result.values[0].mean()):+.2f}, bias {float(result.bias[0]):+.2f}: "
                + texts.exactness(float(result.residual[0]))
            )
    else:
        lines.append(f"<b>{escape(result.target)}</b>, largest gradient over the colours")
    lines += [escape(texts.sentence(note)) for note in result.notes]
    return Panel(made.method.title, result, lines, made.seconds)


def _channel_panels(made: Made, result: FeatureMaps, channel: int, state: State) -> list[Panel]:
    """One channel over the picture, what its neuron looks at, and all channels as colours."""
    plane = result.values[:, channel]
    signed = bool((plane < 0).any())
    zero = torch.zeros(1, dtype=torch.long)
    heat = Heatmap(plane, result.layer, result.place, zero, plane.new_zeros(1, 1), signed)
    h, w = plane.shape[1:]
    lines = [
        f"{escape(result.layer)}, {h}x{w}",
        f"activations from <b>{float(plane.min()):.3g}</b> to <b>{float(plane.max()):.3g}</b>",
    ]
    if state.position and state.position[0] < h and state.position[1] < w:
        row, column = state.position
        lines.append(f"row {row}, column {column}: <b>{float(plane[0, row, column]):.3g}</b>")
    panels = [Panel(f"Channel {channel}", heat, lines, made.seconds)]
    seen = session.neuron(state.but(layer=result.layer, channel=channel))
    where = "at the chosen place" if state.position else "where it is most active"
    words = [f"gradient of channel {channel} {where}"]
    assert isinstance(seen.result, Attribution)
    panels.append(Panel("What this neuron looks at", seen.result, words, seen.seconds))
    if result.components is not None:
        colors = render.components(result)[0]
        words = ["principal components as colours: equal colours look alike to the network"]
        panels.append(Panel("All channels", lines=words, colors=colors, place=result.place))
    return panels


def _channel(result: FeatureMaps, state: State) -> int:
    """The chosen channel, or the one that is most active anywhere."""
    count = result.values.shape[1]
    if state.channel is None:
        return int(result.values[0].flatten(1).amax(1).argmax())
    if state.channel >= count:
        raise WrongRequest(
            f"channel {state.channel} of {result.layer}: its channels go from 0 to {count - 1}"
        )
    return state.channel


def _filters(result: Filters, state: State) -> Shown:
    """The filters of a layer, or the kernels of one; the chosen filter large."""
    model = session.model_of(state.model)
    count, _, h, w = result.values.shape
    kernels = _are_kernels(result, model)
    noun = "kernel" if kernels else "filter"
    norms = result.norms
    facts = [f"{count} {noun}s of {h}x{w}" + (", RGB" if result.rgb else "")]
    facts.append(f"norms from {float(norms.min()):.3g} to {float(norms.max()):.3g}")
    notes = list(result.notes)
    if state.layer is not None and state.layer != result.layer:
        kind = model.layer(state.layer).kind
        notes.insert(0, f"{state.layer} is a {kind}; shown is the convolution {result.layer}")
    chosen = None if kernels else state.channel
    large, title = None, ""
    if chosen is not None:
        at = int((result.order == chosen).nonzero()[0, 0])
        large = render.tiles(result, scale="own")[at]
        title = f"Filter {chosen} at its own scale, norm {float(norms[chosen]):.3g}"
    view = views.filters(result.layer, facts, notes, large, title)
    return Shown(view, views.grid(result, _scale(state), chosen, noun))


def _are_kernels(result: Filters, model: VisionModel) -> bool:
    """Is each tile one kernel of a chosen filter, and not a filter?"""
    conv = model.module.get_submodule(result.layer)
    return not result.rgb and int(conv.in_channels) > int(conv.groups)  # type: ignore[arg-type]


def _scale(state: State) -> str:
    return str(DISPLAY["scale"].check(state.params.get("scale", "shared")))


def _marker(state: State) -> tuple[float, float] | None:
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


def picture(state: State) -> tuple[bytes, str]:
    """The tab as one PNG: heat maps over the picture side by side, or the grid."""
    layers, methods = [], _possible(state)
    for method in methods:
        result = session.run(method.name, state).result
        if not isinstance(result, Heatmap | Attribution):
            return _png(render.render(result)), f"{_stem(state, method)}.png"
        below = torch.from_numpy(np.array(pictures.get(state.image)))
        above = render.over(result, session.image_of(state))[0]
        layers.append(render.compose(below, above))
    return _png(torch.cat(layers, 1)), f"{_stem(state, *methods)}.png"


def arrays(state: State) -> tuple[bytes, str]:
    """The tab's results as numbers, an npz file."""
    methods = _possible(state)
    found = {method.name: session.run(method.name, state).result for method in methods}
    return packed(found), f"{_stem(state, *methods)}.npz"


def _possible(state: State) -> list[Method]:
    model = session.model_of(state.model)
    found = [method for method in shown_methods(state) if not method.missing(model)]
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
