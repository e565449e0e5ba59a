"""The envelope: what stands around the values of a request: its session, and what it asks for.

Names that no function of Gradio needs are dropped. What asks for a function that is not there, or
gives it another number of values, is refused before a session or an event is made of it.
"""

from __future__ import annotations

import re
import secrets
from functools import lru_cache
from typing import Any

from .replies import Refusal
from .routes import WORD

FIELDS = {  # of each kind of body: the names that are passed on
    "event": ("data", "event_data", "fn_index", "trigger_id", "session_hash"),
    "run": ("data", "event_data", "fn_index", "trigger_id", "session_hash"),
    "call": ("data", "session_hash"),
    "function": ("data", "component_id", "fn_name", "session_hash"),
    "cancel": ("event_id", "fn_index", "session_hash"),
    "reset": ("event_id",),
}
NOTHING = "there is no such function; the page docs/api.md lists those that can be asked"


def checked(kind: str, body: dict[str, Any], values: dict[str, str], blocks: Any) -> dict[str, Any]:
    """The body with what its route needs; `values` are those in the path."""
    if kind == "named":  # the arguments of an endpoint by their names
        kind, body = "call", {"data": _in_order(body, values["api_name"], blocks)}
    envelope = {name: body[name] for name in FIELDS[kind] if name in body}
    for name in ("fn_index", "trigger_id", "component_id"):
        value = envelope.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise Refusal(f"{name} is a whole number")
    for name in ("session_hash", "event_id", "fn_name"):
        if envelope.get(name) is not None and not re.fullmatch(WORD, str(envelope[name]), re.ASCII):
            raise Refusal(f"{name} is a word of at most 64 letters and digits")
    if kind == "call" and envelope.get("session_hash") is None:
        envelope["session_hash"] = f"call-{secrets.token_hex(8)}"
    if kind in ("event", "function", "cancel") and envelope.get("session_hash") is None:
        raise Refusal("session_hash is missing: a word of the caller's own for its answers")
    CHECKS.get(kind, lambda *_: None)(envelope, values, blocks)
    return envelope


def _event(envelope: dict[str, Any], values: dict[str, str], blocks: Any) -> None:
    _values(envelope, blocks.fns.get(envelope.get("fn_index")))


def _run(envelope: dict[str, Any], values: dict[str, str], blocks: Any) -> None:
    """Only what never waits is run at once; all others take their place in the queue."""
    function = blocks.fns.get(envelope.get("fn_index"))
    if function is None or function.queue is not False:
        raise Refusal("this function is asked by gradio_api/call, and its answer fetched", 404)
    _values(envelope, function)


def _call(envelope: dict[str, Any], values: dict[str, str], blocks: Any) -> None:
    _values(envelope, _public(values["api_name"], blocks))


def _in_order(arguments: dict[str, Any], name: str, blocks: Any) -> list[Any]:
    _public(name, blocks)
    parameters = _parameters(blocks)[f"/{name}"]["parameters"]
    known = {parameter["parameter_name"]: parameter for parameter in parameters}
    for argument in arguments:
        if argument not in known:
            raise Refusal(f"{name} has no argument {argument!r}; it takes {', '.join(known)}")
    for argument, parameter in known.items():
        if argument not in arguments and not parameter["parameter_has_default"]:
            raise Refusal(f"{name} needs the argument {argument}")
    return [
        arguments.get(name, parameter["parameter_default"]) for name, parameter in known.items()
    ]


@lru_cache(maxsize=1)
def _parameters(blocks: Any) -> Any:
    return blocks.get_api_info()["named_endpoints"]


def _function(envelope: dict[str, Any], values: dict[str, str], blocks: Any) -> None:
    component = blocks.blocks.get(envelope.get("component_id"))
    function = getattr(component, str(envelope.get("fn_name")), None)
    if not getattr(function, "_is_server_fn", False):
        raise Refusal(NOTHING, 404)
    envelope.setdefault("data", None)


CHECKS = {"event": _event, "run": _run, "call": _call, "function": _function}


def _public(name: str, blocks: Any) -> Any:
    for function in blocks.fns.values():
        if function.api_name == name and function.api_visibility != "private":
            return function
    raise Refusal(NOTHING, 404)


def _values(envelope: dict[str, Any], function: Any) -> None:
    if function is None:
        raise Refusal(NOTHING, 404)
    arguments, inputs = envelope.get("data"), function.inputs
    if not isinstance(arguments, list):
        raise Refusal("data is the list of all values that the function takes")
    visible = [block for block in inputs if not block.skip_api]
    if len(arguments) not in (len(inputs), len(visible)):
        raise Refusal(f"the function takes {len(visible)} values, not {len(arguments)}")
