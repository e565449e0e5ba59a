"""Recipes: what a picture was made of, so that it can be made again; as JSON and as Python code.

A recipe is written into every picture (PNG) that we make. It holds what was asked for, with all
parameters, and facts of the machine that tell why a picture made elsewhere may differ.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import PIL.Image
import PIL.PngImagePlugin
import torch

from featvis import VisionModel, WrongRequest, __version__
from featvis.model import brief

from .state import SEEDS
from .tabs import DISPLAY
from .text import method_named, one_or_several

FORM = 1  # of the JSON; a reader refuses what is newer
KEY = "featvis"  # of the text in a PNG
LARGEST = 1_000_000  # characters of a recipe
DRAWN = ("scale", "maps", "box")  # those choices of DISPLAY that change a saved picture
VERSION = re.compile(r"\d{1,6}(\.\d{1,6}){0,3}", re.ASCII)
SUBJECT = ("target", "layer", "channel", "position")
# Versions from which on a recipe gives other pictures than before; CHANGELOG.md says which.
REPAINTED: tuple[str, ...] = ("0.2.0",)
PACKAGES = ("torch", "torchvision", "timm", "transformers", "pillow")


@dataclass(frozen=True)
class Call:
    """One method with its subject and all its parameters."""

    method: str
    subject: Mapping[str, Any]  # target as text: "21", "21-3", or a picture to be like
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """All that a picture depends on."""

    model: str
    image: str | None  # a drawn scene, or the name of a file; None: no method needs one
    calls: tuple[Call, ...]
    pretrained: bool = True
    display: Mapping[str, Any] = field(default_factory=dict)  # how it is drawn: see DRAWN
    facts: Mapping[str, Any] = field(default_factory=dict)  # of the machine that made it
    page: str = ""  # of a page, which calls no single method: its link, without the picture

    def to_json(self) -> str:
        """The recipe as text, always in the same order."""
        calls = [{"method": c.method, **c.subject, "params": dict(c.params)} for c in self.calls]
        made = {
            "featvis": FORM,
            "model": self.model,
            "pretrained": self.pretrained,
            "image": self.image,
            **({"page": self.page} if self.page else {"calls": calls}),
            "display": dict(self.display),
            "facts": dict(self.facts),
        }
        return json.dumps(made, indent=1, ensure_ascii=False)


def from_json(text: str) -> Recipe:
    """The recipe of a text; what is none is refused in one sentence."""
    try:
        given = json.loads(text) if len(text) <= LARGEST else None
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or "featvis" not in given:
        raise WrongRequest("this is no recipe: a recipe is the JSON that featvis writes")
    if given["featvis"] != FORM:
        raise WrongRequest(
            f"this recipe has the form {brief(given['featvis'])}, and this featvis reads {FORM}; "
            "use the version that wrote it"
        )
    model, image = given.get("model"), given.get("image")
    if not isinstance(model, str) or not (image is None or isinstance(image, str)):
        raise WrongRequest("this recipe names no model, or its picture is no name")
    calls, page = given.get("calls", []), given.get("page", "")
    if not isinstance(calls, list) or not isinstance(page, str) or bool(calls) == bool(page):
        raise WrongRequest("this recipe calls no method")
    display, known = given.get("display", {}), given.get("facts")
    if not isinstance(display, dict) or display.keys() - set(DRAWN):
        raise WrongRequest(f"how a recipe is drawn is said by {', '.join(DRAWN)} alone")
    return Recipe(
        model=model,
        image=image,
        calls=tuple(_call(call) for call in calls),
        pretrained=given.get("pretrained") is not False,
        display={name: DISPLAY[name].check(value) for name, value in display.items()},
        facts=known if isinstance(known, dict) else {},
        page=page,
    )


def _call(given: Any) -> Call:
    """One call, checked against its method's signature."""
    name = given.get("method") if isinstance(given, dict) else None
    method, params = method_named(name), given.get("params", {})
    if not isinstance(params, dict):
        raise WrongRequest(f"the parameters of {method.name} are not a list of names and values")
    subject = {key: _valid(key, given[key]) for key in SUBJECT if given.get(key) is not None}
    if strange := [key for key in subject if key not in method.subject]:
        raise WrongRequest(f"{method.name} takes no {', '.join(strange)}")
    one_or_several(method, subject.get("channel", 0))
    return Call(method.name, subject, method.check(params))


def _valid(key: str, value: Any) -> Any:
    """A part of the subject, of the type that methods take."""
    several = value if isinstance(value, list | tuple) else [value]
    numbers = bool(several) and all(type(one) is int and 0 <= one <= SEEDS for one in several)
    if key == "position" and numbers and several is value and len(several) == 2:
        return (several[0], several[1])
    if key in ("target", "layer") and isinstance(value, str):
        return value
    if key == "channel" and numbers and isinstance(value, int | list):
        return value
    raise WrongRequest(f"{brief(value)} is no {key}")


def facts(model: VisionModel, picture: PIL.Image.Image | None) -> dict[str, Any]:
    """What the result depends on besides what was asked for: weights, picture, versions."""
    made: dict[str, Any] = {"featvis": __version__, "weights": model.fingerprint}
    if revision := model.info.get("revision"):
        made["revision"] = revision
    if picture is not None:
        made["picture"] = picture_hash(picture)
    h, w = model.size
    seen = model.input
    made["input"] = {
        "size": [h, w],
        "mean": [round(float(v), 6) for v in model.mean.flatten()],
        "std": [round(float(v), 6) for v in model.std.flatten()],
        "crop_mode": seen.crop_mode,
        "crop_pct": seen.crop_pct,
        "interpolation": seen.interpolation,
    }
    made["python"] = platform.python_version()
    made["machine"] = f"{platform.system()} {platform.machine()}"
    made["threads"] = torch.get_num_threads()
    versions = {name: _version(name) for name in PACKAGES}
    return made | {name: installed for name, installed in versions.items() if installed}


def age_note(recipe: Recipe) -> str:
    """A sentence where pictures have changed since the featvis that wrote the recipe, or ""."""
    writer = recipe.facts.get("featvis")
    changes = [later for later in REPAINTED if _numbers(writer) < _numbers(later)]
    if not changes:
        return ""
    name = f"featvis {writer}" if _numbers(writer) else "an earlier featvis"
    return (
        f"{name} wrote this recipe, and pictures have changed in {', '.join(changes)}: the result "
        "may differ; CHANGELOG.md says how"
    )


def _numbers(value: Any) -> tuple[int, ...]:
    """The numbers of a version, (0, 1, 0); () of anything else."""
    text = str(value)
    return tuple(map(int, text.split("."))) if VERSION.fullmatch(text) else ()


@cache  # a package's facts are read from a file
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def picture_hash(picture: PIL.Image.Image) -> str:
    """Of the pixels, so that the file's format does not matter."""
    pixels = picture.convert("RGB")
    data = f"{pixels.size}".encode() + pixels.tobytes()
    return hashlib.sha256(data).hexdigest()[:16]


def stamped(picture: PIL.Image.Image, recipe: Recipe | None) -> bytes:
    """A picture as a PNG file that carries its recipe."""
    data, text = io.BytesIO(), PIL.PngImagePlugin.PngInfo()
    if recipe is not None:
        text.add_itxt(KEY, recipe.to_json())
    picture.save(data, "PNG", pnginfo=text, compress_type=zlib.Z_RLE)  # see views.png
    return data.getvalue()
