"""Doors: every event, endpoint and function of the running app, and every argument of each.

They are read from what the app tells each page: a new event or endpoint is a door by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .client import Answer, Visitor

__all__ = ["DATA", "Door", "doors", "knock", "places"]

DATA = -1  # the place of what a click says, beside the arguments
MODEL = "bundled:scenes-mobilenet"
# An endpoint's arguments -> values that are right, where it has no default of its own.
RIGHT = {
    "method": "saliency", "model": MODEL, "models": [MODEL, "bundled:scenes-alexnet"],
    "image": "scene-24", "layer": "blocks.4.0", "channel": 1, "count": 2,
    "link": f"?tab=Class+evidence&m={MODEL}", "picture": "scene-24",
}  # fmt: skip


class Door(NamedTuple):
    """One way in."""

    kind: str  # "event", "call" or "function"
    name: str
    number: int  # of the event, or of the component that has the function
    right: tuple[Any, ...]  # arguments that are right
    states: tuple[int, ...] = ()  # places of an event's own memory, which a page cannot set
    clicked: bool = False  # it takes what a click says


def doors(config: Mapping[str, Any], info: Mapping[str, Any]) -> list[Door]:
    """All of them: `config` is /config, `info` is /gradio_api/info."""
    parts = {part["id"]: part for part in config["components"]}
    endpoints = [
        Door("call", name.strip("/"), 0, tuple(map(_right, told["parameters"])))
        for name, told in info["named_endpoints"].items()
    ]
    functions = [
        Door("function", name, number, ({"query": f"?m={MODEL}", "kind": "picture"},))
        for number, part in parts.items()
        for name in part["props"].get("server_fns") or ()
    ]
    events = [
        _event(dependency, parts)
        for dependency in config["dependencies"]
        if dependency.get("backend_fn") and dependency.get("api_visibility") == "private"
    ]
    return [*endpoints, *functions, *events]


def _event(dependency: Mapping[str, Any], parts: Mapping[int, Any]) -> Door:
    inputs = [parts[number] for number in dependency["inputs"]]
    states = tuple(i for i, part in enumerate(inputs) if part["type"] == "state")
    used, name = (dependency["targets"] or [(0, "load")])[0]
    props = parts.get(used, {"props": {}})["props"]
    label = props.get("elem_id") or props.get("label") or dependency["api_name"]
    return Door("event", f"{label} {name}", dependency["id"],
                tuple(part["props"].get("value") for part in inputs), states,
                bool(dependency.get("collects_event_data")))  # fmt: skip


def _right(parameter: Mapping[str, Any]) -> Any:
    if parameter.get("parameter_has_default"):
        return parameter.get("parameter_default")
    return RIGHT.get(parameter["parameter_name"], "")


def places(door: Door) -> list[int]:
    """The places of its arguments."""
    own = [place for place in range(len(door.right)) if place not in door.states]
    return [*own, DATA] if door.clicked else own


async def knock(visitor: Visitor, door: Door, values: Mapping[int, Any]) -> Answer:
    """Use a door with arguments that are right but for `values`, by their places."""
    arguments = [values.get(place, value) for place, value in enumerate(door.right)]
    if door.kind == "call":
        return await visitor.call(door.name, *arguments)
    if door.kind == "function":
        return await visitor.ask(door.number, door.name, arguments[0])
    for place in door.states:
        arguments[place] = None
    return await visitor.fire(door.number, arguments, values.get(DATA))
