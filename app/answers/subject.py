"""Subjects: what a state explains of its network and its picture, resolved once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

import featvis
from featvis import Aim, Image, Method, VisionModel
from featvis.methods.filters import first_layer
from featvis.network.neuron import check_position
from featvis.target import Target

from ..machine.cache import model_of
from ..machine.lanes import short_job
from ..question import pictures
from ..question.state import State
from ..question.tabs import TABS, Tab
from .prediction import image_of, logits_of


@dataclass(frozen=True, eq=False)
class Subject:
    """A state with everything that its methods share."""

    state: State
    model: VisionModel

    @cached_property
    def questions(self) -> dict[str, Any]:
        """Method -> the question (Ask) that was resolved of it."""
        return {}

    @cached_property
    def logits(self) -> Tensor:
        """The logits (K,) of the picture."""
        return logits_of(self.state, self.model)

    @cached_property
    def image(self) -> Image:
        """The picture as the network takes it."""
        return image_of(self.state, self.model)

    @cached_property
    def target(self) -> Target:
        """The class or likeness that is explained; None: the prediction."""
        return target_of(self.state)

    @cached_property
    def channel(self) -> int | None:
        """The channel that is explained; where a neuron is, the strongest unless one is chosen."""
        if self.state.channel is None and self.state.of_neuron:
            return strongest_channel(self.state)
        return self.state.channel

    @cached_property
    def aim(self) -> Aim:
        """The class or neuron that the maps explain."""
        if not self.state.of_neuron:
            return Aim(self.model, self.target)
        layer = layer_of(self.state, self.model)
        return Aim(self.model, None, layer, self.channel, self.state.position)

    def arguments(self, methods: Iterable[Method]) -> dict[str, dict[str, Any]]:
        """Method -> its arguments that say what it explains; the picture by its name."""
        return {method.name: self._arguments(method) for method in methods}

    def _arguments(self, method: Method) -> dict[str, Any]:
        state, tab = self.state, TABS[method.family]
        values: dict[str, Any] = {
            "image": state.image,
            "target": self.target,
            "layer": layer_of(state, self.model, tab.name),
            "channel": state.channel,
            "position": state.position,
        }
        if tab.explains and state.of_neuron:
            values["channel"] = self.channel
        elif tab.makes_pictures:
            values |= self._goal(tab)
        elif tab.explains:  # gradients of a class start at the logits
            layer = None if "channel" in method.subject else state.layer
            values |= {"layer": layer, "channel": None, "position": None}
        return {name: values[name] for name in method.subject if name != "model"}

    def _goal(self, tab: Tab) -> dict[str, Any]:
        """The goal of a picture: a chosen layer or a channel of it, or else a class.

        Synthesis shows the predicted class until another is chosen, and a dream shows a layer.
        """
        state, goal = self.state, None
        if state.layer is None and (state.target is not None or tab.begins_with_class):
            goal = self.model.output.goal(self.logits, self.target)
        if isinstance(goal, int) or (goal is not None and tab.begins_with_class):
            return {"target": goal, "layer": None, "channel": None, "position": None}
        position = None if state.channel is None else state.position
        layer = layer_of(state, self.model, tab.name)
        return {"target": None, "layer": layer, "position": position}


def subject_of(state: State) -> Subject:
    """The subject of a state, with its network loaded."""
    return Subject(state, model_of(state.model))


def target_of(state: State) -> Target:
    """The target that a state names, as the methods take it."""
    if state.target is None:
        return None

    def output_of(name: str) -> Tensor | None:
        is_picture = pictures.NAME.fullmatch(name)
        return logits_of(state.but(image=name, target=None)) if is_picture else None

    return model_of(state.model).output.parse(state.target, output_of)


def strongest_channel(state: State) -> int:
    """The channel of the layer that is most active at the position, or anywhere."""
    model = model_of(state.model)
    layer = layer_of(state, model)
    with short_job(), torch.no_grad():
        maps = featvis.record_units(model, image_of(state).values.to(model.like), layer)[layer][0]
    if state.position is None:
        return int(maps.flatten(1).amax(1).argmax())
    check_position(layer, state.position, (maps.shape[1], maps.shape[2]))
    return int(maps[:, state.position[0], state.position[1]].argmax())


def layer_of(state: State, model: VisionModel, family: str | None = None) -> str:
    """The chosen layer, or the one that a tab shows by itself."""
    tab = TABS[family or state.tab]
    if state.layer is not None and not tab.shows_weights:
        return model.layer(state.layer).name
    layers = model.layer_list
    if tab.shows_weights:
        return _convolution(model, state.layer)
    if tab.explains:
        return model.last_layer
    large = [layer for layer in layers if min(layer.size) >= 7]
    return min(large or layers, key=lambda layer: abs(layer.depth - 0.5)).name


def _convolution(model: VisionModel, name: str | None) -> str:
    """The layer itself if it has weights, else the first convolution in it, else the first one."""
    if name is None:
        return first_layer(model)
    if model.layer(name).kernel:
        return name
    inside = (n for n, layer in model.layers.items() if layer.kernel and n.startswith(f"{name}."))
    return next(inside, None) or first_layer(model)
