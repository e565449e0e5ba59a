"""The session: loaded models, forward passes and results, shared by all visitors and bounded.

The one door to the methods: here values are checked, long jobs wait for one another, and a result
that was made before is given again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

import featvis
import zoo_adapters
from featvis import METHODS, Aim, Contrast, Image, Likeness, Method, VisionModel, WrongRequest
from featvis.measures.faithfulness import STEPS
from featvis.measures.sanity import STAGES
from featvis.methods.cam import cam_of
from featvis.methods.filters import first_layer
from featvis.network.head import Evidence, read_head
from featvis.target import Target, check_position
from featvis.types import Result

from ..machine import engine
from ..machine.broken import failed
from ..machine.cache import IMAGES, MODELS, PASSES, RESULTS, model_of
from ..machine.lanes import is_long, long_job, short_job
from ..machine.limits import check_job, limited
from ..question import pictures
from ..question.state import State
from .animation import FRAMES, followed

__all__ = [
    "MADE",
    "MODELS",
    "RESULTS",
    "Made",
    "aim_of",
    "image_of",
    "kept",
    "key_of",
    "layer_of",
    "logits_of",
    "missing",
    "model_of",
    "params_of",
    "passes",
    "run",
    "seconds",
    "strongest",
    "subject",
    "target_of",
]

V = TypeVar("V")


@dataclass(frozen=True)
class Made:
    """A result, and the seconds it took."""

    method: Method
    result: Result
    seconds: float


MADE = ("Synthesis", "DeepDream")  # tabs whose methods make pictures

SECONDS: dict[str, float] = {}  # of one forward pass: the shortest seen


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
        with short_job(), torch.no_grad():
            begin = time.perf_counter()
            made = read_head(model, values) if model.head else model(values)
            spent = time.perf_counter() - begin
        SECONDS[state.model] = min(spent, SECONDS.get(state.model, spent))
        return made

    return PASSES.get_or((state.model, state.image), make)


def logits_of(state: State) -> Tensor:
    """The logits (K,) of the state's picture."""
    made = _pass(state)
    return (made.logits if isinstance(made, Evidence) else made)[0]


def run(name: str, state: State, seen: Callable[[Made], None] | None = None) -> Made:
    """The result of a method for a state; a wrong request is refused in one sentence.

    `seen` is given what a method that goes on for long has made so far.
    """
    if name not in METHODS:
        raise WrongRequest(f"there is no method {name!r}; the methods are {', '.join(METHODS)}")
    method, model = METHODS[name], model_of(state.model)
    if reason := missing(method, state):
        raise WrongRequest(reason)
    arguments = {**subject(method, model, state), **params_of(method, state)}
    check_job(method, model, arguments, seconds(method, state))
    long = method.generator or is_long(_spent(state, method.cost(model, arguments)))

    def make() -> Made:
        return _made(method, model, state, arguments, seen)

    return RESULTS.get_or(key_of(method, state), lambda: long_job(make) if long else make())


def params_of(method: Method, state: State) -> dict[str, Any]:
    """All parameters of a method: those of the state, checked, the others at their defaults."""
    return limited(method).check(state.given(method.name))


def key_of(method: Method, state: State) -> Hashable:
    """What a method's result depends on."""
    arguments = {
        **subject(method, model_of(state.model), state),
        **params_of(method, state),
    }
    if isinstance(arguments.get("target"), Likeness):
        arguments["target"] = state.target  # by its name, as an embedding is no key
    return (method.name, state.model, tuple(arguments.items()))


def kept(key: Hashable, state: State, make: Callable[[], V], passes: float = 1) -> V:
    """What is kept under `key`, or what `make` gives, which takes so many forward passes."""
    long = is_long(_spent(state, passes))
    return RESULTS.get_or(key, lambda: long_job(make) if long else make())


def aim_of(state: State) -> Aim:
    """What the maps of a state explain."""
    model = model_of(state.model)
    if not state.of_neuron:
        return Aim(model, target_of(state))
    channel = strongest(state) if state.channel is None else state.channel
    return Aim(model, None, layer_of(state, model), channel, state.position)


def missing(method: Method, state: State) -> str | None:
    """Why a method has nothing to show for a state, in one sentence, or None."""
    if state.of_neuron and method.family == "Class evidence" and "channel" not in method.subject:
        return f"{method.title} explains a class and no neuron"
    return failed(method.name) or method.missing(model_of(state.model))


def passes(method: Method, state: State) -> float:
    """How many forward passes a method takes."""
    model = model_of(state.model)
    return method.cost(model, {**subject(method, model, state), **params_of(method, state)})


def seconds(method: Method, state: State) -> float:
    """About how long a method will take, from the time of one forward pass."""
    count = passes(method, state)
    if method.family == "Class evidence":
        count *= 1 + (1 + STAGES) * bool(state.display("sanity"))
        count += 2 * (STEPS + 1) * bool(state.display("trust"))
    return SECONDS.get(state.model, 0.0) * count


def _spent(state: State, passes: float) -> float:
    """About the seconds of so many forward passes; one takes 10 ms where none was seen yet."""
    return SECONDS.get(state.model, 0.01) * passes


def _made(
    method: Method,
    model: VisionModel,
    state: State,
    arguments: dict[str, Any],
    seen: Callable[[Made], None] | None,
) -> Made:
    evidence = _pass(state) if method.run is featvis.cam else None
    begin = time.perf_counter()
    if isinstance(evidence, Evidence):  # the pass that predicted is the one that is explained
        result: Result = cam_of(model, evidence, arguments["target"])
    else:
        if "image" in arguments:
            arguments = {**arguments, "image": image_of(state).values.to(model.like)}
        with short_job():
            if method.generator:
                arguments = {**arguments, "frames": FRAMES}
            steps = engine.results(method, model, arguments, seconds(method, state))
            if method.generator:
                result = followed(steps, key_of(method, state), lambda step: seen and seen(
                    Made(method, step, time.perf_counter() - begin)))  # fmt: skip
            else:
                (result,) = steps
    return Made(method, result, time.perf_counter() - begin)


def subject(method: Method, model: VisionModel, state: State) -> dict[str, Any]:
    """The arguments that say what is explained, from the state and the method's signature."""
    given: dict[str, Any] = {
        "image": state.image,
        "target": target_of(state),
        "layer": layer_of(state, model, method.family),
        "channel": state.channel,
        "position": state.position,
    }
    if method.family == "Class evidence" and state.of_neuron:
        given["channel"] = strongest(state) if state.channel is None else state.channel
    elif method.family in MADE:
        given |= _made_for(state, model, method.family)
    elif method.family == "Class evidence":  # gradients of a class start at the logits
        layer = None if "channel" in method.subject else state.layer
        given |= {"layer": layer, "channel": None, "position": None}
    return {name: given[name] for name in method.subject if name != "model"}


def _made_for(state: State, model: VisionModel, family: str) -> dict[str, Any]:
    """What a picture is made for: a chosen layer or a channel of it, or else a class.

    In synthesis the class is the predicted one until another is chosen; a dream is of a layer then.
    """
    logits, of = logits_of(state), (state.target or "").partition("-")[0]
    number = None
    if state.layer is None and not model.embeds and logits.ndim == 1:
        number = int(of) if of.isdecimal() else None
        if number is None and family == "Synthesis":
            number = int(logits.argmax())
    if family == "Synthesis" and model.embeds and state.layer is None and state.target:
        return {"target": target_of(state), "layer": None, "channel": None, "position": None}
    if number is not None:
        return {"target": number, "layer": None, "channel": None, "position": None}
    position = None if state.channel is None else state.position
    return {"target": None, "layer": layer_of(state, model, family), "position": position}


def target_of(state: State) -> Target:
    """What the state explains, as the methods take it."""
    text = state.target
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    of, _, against = text.partition("-")
    if of.isdecimal():
        return Contrast(int(of), int(against))
    return Likeness(logits_of(state.but(image=text, target=None)), text)


def strongest(state: State) -> int:
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
