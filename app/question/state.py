"""The state of the window: one frozen record. Links, recipes and the API are ways to write it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode

from featvis import METHODS, Method, Output, WrongRequest
from featvis.model import brief

from ..machine import values
from .tabs import DISPLAY, TABS

T = TypeVar("T")
VERSION = "1"
MODEL = "bundled:scenes-resnet"
PICTURE = "scene-24"
FIELDS = 200  # values in a link
LETTERS = 20_000  # of a link
MOST = 6  # networks side by side
SEEDS = 999_999_999  # the largest seed, and the largest number in a link
IMAGE = re.compile(r"scene-[0-9]{1,7}|[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True)
class State:
    """What is looked at, and how. None: the default of the model, or the prediction."""

    tab: str = "Class evidence"
    model: str = MODEL
    others: tuple[str, ...] = ()  # networks that are compared with it
    image: str = PICTURE
    methods: tuple[str, ...] = ()  # those shown; (): the first ones of the tab
    layer: str | None = None
    channel: int | None = None
    position: tuple[int, int] | None = None  # (row, column) on the map of the layer
    target: str | None = None  # "3", "3-5" (3 rather than 5), or a picture to be like
    seed: int = 0
    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def but(self, **changes: object) -> State:
        """The same with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def having(self, **params: object) -> State:
        """The same with some parameters set."""
        made = {**self.params, **{name: str(value) for name, value in params.items()}}
        return self.but(params=MappingProxyType(made))

    def display(self, name: str) -> bool | int | float | str:
        """A parameter of DISPLAY."""
        return DISPLAY[name].check(self.params.get(name, DISPLAY[name].default))

    @cached_property
    def choices(self) -> Mapping[str, bool | int | float | str]:
        """All parameters of DISPLAY, checked."""
        return {name: self.display(name) for name in DISPLAY}

    @cached_property
    def of_neuron(self) -> bool:
        """Is a neuron explained, and not a class?"""
        return self.display("explain") == "neuron"

    @cached_property
    def shown_methods(self) -> list[Method]:
        """The chosen methods of the tab, or its first ones."""
        tab = TABS[self.tab]
        chosen = [method for method in tab.methods if method.name in self.methods]
        return chosen or tab.first_methods

    @property
    def has_methods(self) -> bool:
        """Are methods shown, that can be chosen?"""
        return not TABS[self.tab].compares_networks or self.display("columns") == "methods"

    @property
    def used_params(self) -> set[str]:
        """The names of the parameters that change what is shown."""
        names = {param.name for method in self.shown_methods for param in method.params}
        names |= set(TABS[self.tab].choices)
        return names if self.has_methods else names - {"maps", "trust"}


def start() -> State:
    """What the window opens with; FEATVIS_MODEL names another model than the bundled one."""
    return State(model=os.environ.get("FEATVIS_MODEL", MODEL))


def to_query(state: State) -> str:
    """The part of a link after "?": plain, readable, without what is at its default."""
    pairs = [("v", VERSION), ("tab", state.tab), ("m", state.model)]
    pairs += [("m", name) for name in state.others]
    pairs += [("method", ",".join(state.methods))] if state.methods else []
    optional = (("layer", state.layer), ("ch", state.channel), ("cls", state.target))
    pairs += [(key, str(value)) for key, value in optional if value is not None]
    if state.position is not None:
        pairs.append(("pos", f"{state.position[0]},{state.position[1]}"))
    if state.seed:
        pairs.append(("seed", str(state.seed)))
    pairs += [("img", state.image)] if state.image else []
    pairs += [(f"p.{name}", value) for name, value in sorted(state.params.items())]
    return urlencode(pairs, safe=":,/@")


def from_query(query: str, default: State | None = None) -> State:
    """The state of a link. Unknown keys are ignored; a value of the wrong form is left out.

    Whether a model has the layer, or the layer the channel, is checked where it is used.
    """
    pairs = _pairs(query)
    given = dict(reversed(pairs))
    changes: dict[str, object] = {"params": MappingProxyType(_params(given))}
    if given.get("tab") in TABS:
        changes["tab"] = given["tab"]
    if layer := given.get("layer", "").strip():
        changes["layer"] = layer
    named = (value.strip() for key, value in pairs if key == "m")
    if models := list(dict.fromkeys(filter(None, named))):
        changes["model"], changes["others"] = models[0], tuple(models[1:MOST])
    if IMAGE.fullmatch(given.get("img", "")):
        changes["image"] = given["img"]
    if methods := [m for m in given.get("method", "").split(",") if m in METHODS]:
        changes["methods"] = tuple(dict.fromkeys(methods))
    if _is_target(given.get("cls", "")):
        changes["target"] = given["cls"]
    for key, name in (("ch", "channel"), ("seed", "seed")):
        number = _read(values.digits, key, given.get(key), 0, SEEDS)
        changes |= {} if number is None else {name: number}
    if (place := _read(values.position, given.get("pos"))) is not None:
        changes["position"] = place
    return (default or start()).but(**changes)


def _is_target(text: str) -> bool:
    """Has a text the form of a target, of any kind of output, or of a picture to be like?"""
    forms = [kind.form for kind in Output.__subclasses__() if kind.form]
    return any(re.fullmatch(form, text, re.ASCII) for form in (IMAGE.pattern, *forms))


def _pairs(query: str) -> list[tuple[str, str]]:
    """Names and values of a link, without values that are empty, too long or no line of text."""
    pairs = parse_qsl(query.lstrip("?")[:LETTERS])[:FIELDS]  # a longer link is cut, not refusal
    return [(k, v) for k, v in pairs if v and _read(values.text, k, v)]


def _read(reading: Callable[..., T], *arguments: object) -> T | None:
    """Read a value of a link; None if it is missing or has the wrong form."""
    try:
        return reading(*arguments)
    except WrongRequest:
        return None


def _params(given: Mapping[str, str]) -> dict[str, str]:
    """The parameters in a link that some method has, with values it takes."""
    names = dict.fromkeys([*DISPLAY, *(p.name for m in METHODS.values() for p in m.params)])
    texts = {name: given[f"p.{name}"] for name in names if f"p.{name}" in given}
    read = {name: _read(param_text, name, text) for name, text in texts.items()}
    return {name: value for name, value in read.items() if value is not None}


def param_text(name: str, value: object) -> str:
    """A parameter's value as a state keeps it, if any method, or the page, takes it."""
    params = [p for m in METHODS.values() for p in m.params if p.name == name]
    params += [DISPLAY[name]] if name in DISPLAY else []
    refusal = WrongRequest(f"there is no parameter {brief(name)}; choose one of those shown")
    for param in params:
        try:
            return str(param.check(value))
        except WrongRequest as error:
            refusal = error
    raise refusal
