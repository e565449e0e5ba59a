"""The subject of a command: what its options say is explained, as the methods take it."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import PIL.Image

import zoo_adapters
from featvis import Contrast, Likeness, Method, VisionModel, WrongRequest
from zoo_adapters.pictures import upright

from .labels import class_named
from .pictures import get

__all__ = ["FORMS", "original", "subject_of"]

FORMS: dict[str, dict[str, Any]] = {
    "target": {"metavar": "CLASS", "help": "class number or label (default: the predicted one)"},
    "layer": {"metavar": "NAME", "help": "a layer, as `featvis show MODEL` lists them"},
    "channel": {
        "metavar": "N",
        "help": "a channel of the layer; to make pictures, 3,17,40 or all too",
    },
    "position": {"metavar": "R,C", "help": "row and column in the layer's map"},
}


def original(name: str) -> PIL.Image.Image:
    """The picture of a file, or a drawn scene by its name."""
    if re.fullmatch(r"scene-[0-9]{1,7}", name) and not Path(name).exists():
        return get(name)
    return upright(name)


def subject_of(method: Method, model: VisionModel, options: argparse.Namespace) -> dict[str, Any]:
    """The subject from the options, as the method takes it."""
    chosen = {n: getattr(options, n) for n in method.subject if n in FORMS}
    if isinstance(chosen.get("target"), str):
        chosen["target"] = class_named(model, chosen["target"])
    if getattr(options, "against", None) is not None:
        chosen["target"] = _contrast(model, chosen["target"], options.against)
    if getattr(options, "like", None) is not None:
        chosen["target"] = _likeness(model, options.like)
    if isinstance(chosen.get("channel"), str):
        chosen["channel"] = _channel(method, model, chosen["layer"], chosen["channel"])
    if isinstance(chosen.get("position"), str):
        parts = chosen["position"].split(",")
        if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
            raise WrongRequest(f"a position is ROW,COLUMN as in 3,4, not {chosen['position']!r}")
        chosen["position"] = (int(parts[0]), int(parts[1]))
    return chosen


def _channel(method: Method, model: VisionModel, layer: str | None, text: str) -> int | list[int]:
    """A channel, or several, or all of a layer, where a method takes them."""
    if text == "all" and method.name == "maximize":
        return list(range(model.layer(layer or model.last_layer).channels))
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise WrongRequest(f"a channel is a whole number as in 3, not {text!r}")
    if len(parts) == 1:
        return int(parts[0])
    if method.name != "maximize":
        raise WrongRequest(f"{method.name} takes one channel, not {text!r}")
    return [int(part) for part in parts]


def _contrast(model: VisionModel, of: int | None, against: str) -> Contrast:
    if of is None:
        raise WrongRequest("--against needs the class that is explained: give --target too")
    return Contrast(of, class_named(model, against))


def _likeness(model: VisionModel, name: str) -> Likeness:
    image = zoo_adapters.read_image(original(name), model)
    return Likeness(model(image.values.to(model.like))[0], name)
