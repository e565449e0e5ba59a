"""The session: loaded models, forward passes and results, shared by all visitors and bounded.

The one door to the methods: here values are checked, models are locked while hooks are on them,
and a result that was made before is given again.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock, RLock
from typing import Any, TypeVar

import torch
from torch import Tensor

import featvis
import zoo_adapters
from featvis import METHODS, Image, Method, VisionModel, WrongRequest
from featvis.cam import cam_of
from featvis.filters import first_layer
from featvis.head import Evidence, read_head
from featvis.types import Result
from zoo_adapters import Progress

from . import pictures
from .state import State

__all__ = ["Made", "image_of", "layer_of", "logits_of", "model_of", "neuron", "run", "subject"]

V = TypeVar("V")


class Kept(OrderedDict[Hashable, Any]):
    """The last things made, at most `size` of them; what is asked for twice is made once."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.lock = size, Lock()
        self.making: dict[Hashable, RLock] = {}

    def get_or(self, key: Hashable, make: Callable[[], V]) -> V:
        """What is kept under `key`, or what `make` gives."""
        with self.lock:
            one = self.making.setdefault(key, RLock())
        with one:
            try:
                made = self[key] if key in self else make()
                with self.lock:
                    self[key] = made
                    self.move_to_end(key)
                    while len(self) > self.size:
                        self.popitem(last=False)
            finally:
                with self.lock:
                    self.making.pop(key, None)
        return made  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Made:
    """A result, and the seconds it took."""

    method: Method
    result: Result
    seconds: float


MODELS, IMAGES, PASSES, RESULTS = Kept(3), Kept(16), Kept(8), Kept(48)
LOCKS: dict[str, RLock] = {}  # hooks live on a module: one method at a time on each


def model_of(name: str, progress: Progress | None = None) -> VisionModel:
    """The model of that name, loaded once."""
    return MODELS.get_or(name, lambda: zoo_adapters.load(name, progress=progress))


def image_of(state: State) -> Image:
    """The state's picture as its model takes it."""
    model = model_of(state.model)
    key = (state.model, state.image)
    return IMAGES.get_or(key, lambda: zoo_adapters.read_image(pictures.get(state.image), model))


def _pass(state: State) -> Evidence | Tensor:
    """One forward pass: the prediction, and the evidence for all classes where there is a head."""
    model = model_of(state.model)

    def make() -> Evidence | Tensor:
        values = image_of(state).values.to(model.like)
        with _lock(state.model), torch.no_grad():
            return read_head(model, values) if model.head else model(values)

    return PASSES.get_or((state.model, state.image), make)


def logits_of(state: State) -> Tensor:
    """The logits (K,) of the state's picture."""
    made = _pass(state)
    return (made.logits if isinstance(made, Evidence) else made)[0]


def run(name: str, state: State) -> Made:
    """The result of a method for a state; a wrong request is refused in one sentence."""
    if name not in METHODS:
        raise WrongRequest(f"there is no method {name!r}; the methods are {', '.join(METHODS)}")
    method, model = METHODS[name], model_of(state.model)
    if reason := method.missing(model):
        raise WrongRequest(reason)
    params = method.check(state.given(name))
    chosen = subject(method, model, state)
    key = (name, state.model, tuple(chosen.items()), tuple(params.items()))
    return RESULTS.get_or(key, lambda: _made(method, model, state, {**chosen, **params}))


def _made(method: Method, model: VisionModel, state: State, arguments: dict[str, Any]) -> Made:
    evidence = _pass(state) if method.run is featvis.cam else None
    begin = time.perf_counter()
    if isinstance(evidence, Evidence):  # the pass that predicted is the one that is explained
        result: Result = cam_of(model, evidence, arguments["target"])
    else:
        if "image" in arguments:
            arguments = {**arguments, "image": image_of(state).values.to(model.like)}
        with _lock(state.model):
            result = method.run(model, **arguments)
    return Made(method, result, time.perf_counter() - begin)


def neuron(state: State) -> Made:
    """The gradient of the state's neuron: what its layer, channel and position look at."""
    model = model_of(state.model)

    def make() -> Made:
        begin, image = time.perf_counter(), image_of(state).values.to(model.like)
        where = {"layer": state.layer, "channel": state.channel, "position": state.position}
        with _lock(state.model):
            result = featvis.saliency(model, image, **where)  # type: ignore[arg-type]
        return Made(METHODS["saliency"], result, time.perf_counter() - begin)

    key = ("neuron", state.model, state.image, state.layer, state.channel, state.position)
    return RESULTS.get_or(key, make)


def subject(method: Method, model: VisionModel, state: State) -> dict[str, Any]:
    """The arguments that say what is explained, from the state and the method's signature."""
    given: dict[str, Any] = {
        "image": state.image,
        "target": state.target,
        "layer": layer_of(state, model, method.family),
        "channel": state.channel,
        "position": state.position,
    }
    if method.family == "Class evidence":  # the class is explained, not a neuron
        given |= {"layer": state.layer, "channel": None, "position": None}
    return {name: given[name] for name in method.subject if name != "model"}


def layer_of(state: State, model: VisionModel, family: str | None = None) -> str:
    """The chosen layer, or the one that a tab shows by itself."""
    family = family or state.tab
    if state.layer is not None and family != "Filters":
        return model.layer(state.layer).name
    if not model.layers:
        raise WrongRequest(f"{model.name} has no layer whose output is a map")
    if family == "Filters":
        return _convolution(model, state.layer)
    if family == "Class evidence":
        return model.last_layer
    large = [layer for layer in model.layers.values() if min(layer.size) >= 7]
    middle = large or list(model.layers.values())
    return min(middle, key=lambda layer: abs(layer.depth - 0.5)).name


def _convolution(model: VisionModel, name: str | None) -> str:
    """The layer itself if it has weights, else the first convolution in it, else the first one."""
    if name is None:
        return first_layer(model)
    if model.layer(name).kernel:
        return name
    inside = (n for n, layer in model.layers.items() if layer.kernel and n.startswith(f"{name}."))
    return next(inside, None) or first_layer(model)


def _lock(name: str) -> RLock:
    return LOCKS.setdefault(name, RLock())
