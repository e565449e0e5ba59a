"""Labels: what a person means by a number, a few letters or a picture's name."""

from __future__ import annotations

from collections.abc import Callable

import PIL.Image
from torch import Tensor

import zoo_adapters
from featvis import VisionModel
from featvis.target import Target

from . import pictures

__all__ = ["Opening", "target_named"]

Opening = Callable[[str], PIL.Image.Image]


def target_named(model: VisionModel, text: str, picture: Opening = pictures.get) -> Target:
    """The target of a text: a class, "3-5" (3 rather than 5), or a picture to be like.

    `picture` opens the picture of a name: the command line alone opens files, too.
    """

    def output_of(name: str) -> Tensor:
        image = zoo_adapters.read_image(picture(name), model)
        return model(image.values.to(model.like))[0]

    return model.output.parse(text, output_of)
