"""Labels: what a person means by a number, a few letters or a picture's name."""

from __future__ import annotations

import re
from collections.abc import Callable

import PIL.Image

import zoo_adapters
from featvis import Contrast, Likeness, VisionModel, WrongRequest
from featvis.model import brief

from ..machine import values
from . import pictures

__all__ = ["Opening", "class_like", "class_named", "likeness", "target_named"]

Target = int | Contrast | Likeness
Opening = Callable[[str], PIL.Image.Image]
CONTRAST = re.compile(r"([0-9]{1,9})-([0-9]{1,9})", re.ASCII)


def target_named(model: VisionModel, text: str, picture: Opening = pictures.get) -> Target:
    """The target of a text: a class, "3-5" (3 rather than 5), or a picture to be like.

    `picture` opens the picture of a name: the command line alone opens files, too.
    """
    if model.embeds:
        return likeness(model, text, picture)
    if pair := CONTRAST.fullmatch(text.strip()):
        return Contrast(int(pair[1]), int(pair[2]))
    return class_named(model, text)


def likeness(model: VisionModel, name: str, picture: Opening = pictures.get) -> Likeness:
    """The likeness to a picture, which `picture` opens by its name."""
    image = zoo_adapters.read_image(picture(name), model)
    return Likeness(model(image.values.to(model.like))[0], name)


def class_like(model: VisionModel, number: int, other: VisionModel) -> int:
    """The class of `other` with the label that class `number` of `model` has."""
    if number >= len(model.labels):
        raise WrongRequest(f"class {number} of {model.name} has no label to find it by")
    label = model.labels[number]
    if number < len(other.labels) and other.labels[number] == label:
        return number  # the same list of labels may have one twice
    for i, name in enumerate(other.labels):
        if _words(name) & _words(label):
            return i
    raise WrongRequest(f"{other.name} has no class {label!r}")


def _words(label: str) -> set[str]:
    """The synonyms of a label: "tabby, tabby cat" has two."""
    return {part.strip().lower() for part in label.replace("_", " ").split(",") if part.strip()}


def class_named(model: VisionModel, text: str) -> int:
    """The class of that number or label; a part of a label will do if only one has it."""
    if model.embeds:
        raise WrongRequest(
            f"{model.name} has no classes: explain the norm of its embedding, its likeness to "
            "another picture, or a neuron"
        )
    if text.strip().isdecimal():
        return values.digits("class", text.strip())
    wanted = text.strip().lower()
    exact = [i for i, name in enumerate(model.labels) if name.lower() == wanted]
    near = exact[:1] or [i for i, name in enumerate(model.labels) if wanted in name.lower()]
    if len(near) == 1:
        return near[0]
    if not near:
        raise WrongRequest(
            f"{model.name} has no class {brief(text)} among its {len(model.labels)} labels; give a "
            "part of one of them, or a class number"
        )
    some = ", ".join(f"{model.labels[i]} ({i})" for i in near[:6])
    raise WrongRequest(f"{brief(text)} is part of {len(near)} labels, as of {some}; give a number")
