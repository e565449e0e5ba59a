"""The subject of a command: what its options say is explained, as a recipe writes it."""

from __future__ import annotations

import argparse
from typing import Any

from featvis import Embedding, Method, VisionModel, WrongRequest

from ..machine import values
from ..question.text import channels_named

FORMS: dict[str, dict[str, Any]] = {
    "target": {"metavar": "CLASS", "help": "class number or label (default: the predicted one)"},
    "layer": {"metavar": "NAME", "help": "a layer, as `featvis show MODEL` lists them"},
    "channel": {
        "metavar": "N",
        "help": "a channel of the layer; to make pictures, 3,17,40 or all too",
    },
    "position": {"metavar": "R,C", "help": "row and column in the layer's map"},
}


def subject_of(method: Method, model: VisionModel, options: argparse.Namespace) -> dict[str, Any]:
    """The subject from the options, without what is not given."""
    chosen = {n: getattr(options, n) for n in method.subject if n in FORMS}
    if chosen.get("target") is not None:
        chosen["target"] = str(model.output.parse(chosen["target"]))
    if getattr(options, "against", None) is not None:
        chosen["target"] = _contrast(model, chosen["target"], options.against)
    if getattr(options, "like", None) is not None:
        if not isinstance(model.output, Embedding):
            raise WrongRequest(f"{model.name} has classes: explain one of them with --target")
        chosen["target"] = options.like
    if chosen.get("channel") is not None:
        chosen["channel"] = channels_named(method, model, chosen.get("layer"), chosen["channel"])
    if chosen.get("position") is not None:
        chosen["position"] = values.position(chosen["position"])
    return {name: value for name, value in chosen.items() if value is not None}


def _contrast(model: VisionModel, of: str | None, against: str) -> str:
    if of is None:
        raise WrongRequest("--against needs the class that is explained: give --target too")
    return str(model.output.against(model.output.parse(of), against))
