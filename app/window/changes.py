"""Changes: plain functions State, value -> State, one for each thing that can be used.

What cannot be is refused with WrongRequest, in one sentence, and the state stays what it was.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from featvis import WrongRequest
from featvis.network.neuron import check_channel

from ..answers import indexed
from ..answers.prediction import image_of, logits_of
from ..answers.subject import layer_of, strongest_channel, target_of
from ..machine import values
from ..machine.cache import model_of
from ..question import pictures, trainings
from ..question.state import PICTURE, State, param_text
from ..question.tabs import TABS
from ..question.text import layer_named, methods_named, networks_named


def set_tab(state: State, tab: str) -> State:
    """Another tab; a channel of a layer that a tab chose by itself is its own."""
    if tab == state.tab:
        return state
    before, new = TABS[state.tab], TABS[tab]
    own = before.param_names & new.param_names
    params = {name: value for name, value in state.params.items() if name not in own}
    after = state.but(tab=tab, methods=(), params=MappingProxyType(params))
    if new.makes_pictures:
        after = after.but(position=None)  # of a channel wherever it is; a link can ask for a place
    if state.layer is not None:
        return after
    if new.makes_pictures and before.has_grid and state.channel is not None:
        layer = layer_of(state, model_of(state.model))  # take the channel along
        return after.but(layer=layer)
    return after.but(channel=None, position=None)


def set_model(state: State, name: str | None) -> State:
    """Another network; what belonged to the old one is given up."""
    name = values.text("model", name).strip()
    if not name or name == state.model:
        return state
    others = tuple(other for other in state.others if other != name)
    return state.but(
        model=name, others=others, layer=None, channel=None, position=None, target=None
    )


def set_upload(state: State, name: str | None) -> State:
    """An upload, by the name under which it is kept; when it is taken away, the picture stays."""
    if not name:
        return state.but()
    pictures.get(name)  # a name that is none is refused
    return set_picture(state, name)


def delete_upload(state: State) -> State:
    """Delete the picture in view, with all that was made from it; an example takes its place."""
    pictures.delete(state.image)
    return set_picture(state, PICTURE)


def set_picture(state: State, name: str) -> State:
    """A picture by its name; what was predicted of the old one is given up."""
    if values.text("picture", name) == state.image:
        return state
    return state.but(image=name, target=None, position=None)


def set_class(state: State, text: str | None) -> State:
    """A class by its number or label; none: the predicted one. It is explained from now on.

    Of a network without classes: the picture that this one is to be like; none: the norm.
    """
    text, state = _chosen(text), _of_class(state)
    if TABS[state.tab].makes_pictures:  # a picture of the class, and not of a layer
        state = state.but(layer=None, channel=None)
    if not text:
        return state.but(target=None)
    return state.but(target=str(target_of(state.but(target=text))))


def set_against(state: State, text: str | None) -> State:
    """The class that the explained one is held against; none: it alone is explained."""
    output = model_of(state.model).output
    explained = output.goal(logits_of(state), target_of(state))
    return _of_class(state).but(target=str(output.against(explained, _chosen(text))))


def _of_class(state: State) -> State:
    return state.having(explain="class") if state.of_neuron else state


def set_layer(state: State, name: str | None) -> State:
    """Another layer, or none: the one that the tab chooses. Its channels are its own."""
    layer = layer_named(model_of(state.model), name)
    if layer == state.layer:
        return state
    return state.but(layer=layer, channel=None, position=None)


def set_channel(state: State, channel: float | None) -> State:
    """A channel by its number; none: the strongest."""
    if channel is None:
        return state.but(channel=None)
    layer, count = _channels(state)
    number = check_channel(layer, values.whole("channel", channel), count)
    return _with_channel(state, number)


def step_channel(step: int | None) -> Callable[[State], State]:
    """The next channel (1), the one before (-1), or any (None)."""

    def change(state: State) -> State:
        _, count = _channels(state)
        if step is None:
            return _with_channel(state, random.randrange(count))
        at = -1 if state.channel is None and step > 0 else state.channel or 0
        return _with_channel(state, (at + step) % count)

    return change


def set_tile(state: State, data: dict[str, Any]) -> State:
    """A tile of the grid: its channel."""
    pick = values.pick(data)
    return set_channel(state, int(pick)) if pick.isdecimal() and len(pick) < 9 else state


def set_shown(state: State, data: dict[str, Any]) -> State:
    """What was clicked in a tab: a channel, a picture of the index, or a point of the picture."""
    kind, _, name = values.pick(data).partition(":")
    if kind == "channel":
        return set_tile(state, {"pick": name})
    if kind == "made":  # one of a sheet of all channels: it alone, at its size
        return set_tile(state.having(every=False), {"pick": name})
    if kind == "picture":
        return set_picture(state, indexed.picked(state, name))
    if kind == "there":
        return _there(state, name)
    if kind == "pair":
        return _pair(state, name)
    if kind == "trainings":
        return set_others(state, list(trainings.lined_up(state.model)))
    return set_point(state, data)


def _there(state: State, place: str) -> State:
    """A channel of another network: that one comes first then, and the old one is compared."""
    model, layer, channel = (*place.split("|"), "", "")[:3]
    if model not in state.others or not channel.isdecimal() or len(channel) > 8:
        return state
    others = tuple(state.model if name == model else name for name in state.others)
    after = set_layer(set_model(state, model), layer)
    return set_channel(after.but(others=others), int(channel))


def _pair(state: State, text: str) -> State:
    """Two layers of the table of likenesses; the first one is the layer from now on."""
    other, one, two = (*text.split("|"), "", "")[:3]
    if other not in state.others:
        return state
    model_of(other).layer(two)
    return set_layer(state, one).having(pair=f"{other}|{one}|{two}")


def set_point(state: State, data: dict[str, Any]) -> State:
    """A point of the picture, as fractions of it: the nearest position of the layer's map."""
    try:
        x, y = float(data["x"]), float(data["y"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return state
    model, image = model_of(state.model), image_of(state)
    layer = model.layer(layer_of(state, model))
    height, width = image.original
    top, left, bottom, right = image.box
    h, w = image.values.shape[2:]
    row = (y * height - top) / (bottom - top) * h
    column = (x * width - left) / (right - left) * w
    if not (0 <= row <= h and 0 <= column <= w):
        raise WrongRequest(
            "the network does not see this part of the picture: it takes the part in the frame"
        )
    place = layer.place
    at = (row - place.start[0]) / place.step[0], (column - place.start[1]) / place.step[1]
    nearest = [min(max(round(a), 0), n - 1) for a, n in zip(at, layer.size, strict=True)]
    state = state.but(position=(nearest[0], nearest[1]))
    if TABS[state.tab].has_grid:
        return state
    if not state.of_neuron:  # a point of the evidence: the neuron that is most active there
        state = state.having(explain="neuron").but(channel=None)
    return state.but(layer=layer.name, channel=strongest_channel(state.but(channel=None)))


def set_methods(state: State, names: list[str]) -> State:
    """The methods that the tab shows."""
    methods = methods_named(state.tab, names)
    if not methods:
        raise WrongRequest("choose at least one method to see something")
    return state.but(methods=methods)


def set_others(state: State, names: list[str] | None) -> State:
    """The networks that the one in view is compared with; each name is one of a zoo."""
    return state.but(others=networks_named(state.model, names))


def set_param(name: str) -> Callable[[State, Any], State]:
    """A parameter of a method, or of what is shown and how."""
    return lambda state, value: state.having(**{name: param_text(name, value)})


def _chosen(value: object) -> str:
    """A class as a list or a text field of the page sends it."""
    if isinstance(value, int | float):
        return str(values.whole("class", value, 0))
    return values.text("class", value).strip()


def _with_channel(state: State, channel: int) -> State:
    """The channel; where a picture is made, of a layer that is chosen with it."""
    layer = _channels(state)[0] if TABS[state.tab].makes_pictures else state.layer
    return state.but(channel=channel, layer=layer)


def _channels(state: State) -> tuple[str, int]:
    """The layer in view, and how many channels it has."""
    model = model_of(state.model)
    layer = layer_of(state, model)
    return layer, model.layer(layer).channels
