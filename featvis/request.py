"""Requests: what people give a method, read in one place before it runs.

Python, the command line, the window and links all end in a call of a method. Here a label becomes
the number of its class, a module the name of its layer, a path a picture; and what is none of
these is refused in one sentence that says what is possible.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import index
from typing import Any

import torch
from torch import Tensor, nn

from featvis.classes import Classes
from featvis.embedding import Embedding
from featvis.model import Image, VisionModel, values
from featvis.target import Contrast, Likeness, Target
from featvis.types import WrongRequest, brief

__all__ = ["Request", "read_request"]

CLEAR = (-0.05, 1.05)  # pixels a little outside of [0, 1] come from resampling
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601), as Pillow has it
BYTES = 8.0  # a picture with pixels beyond it is one of 0 to 255, not a normalized one
LOCATION = re.compile(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*", re.ASCII)


@dataclass(frozen=True)
class Request:
    """The arguments of a method, read; and what the reader of its result must know of them."""

    arguments: dict[str, Any]
    notes: tuple[str, ...] = ()


def read_request(
    signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Request:
    """Read the arguments of a call.

    Raises:
        WrongRequest: an argument is of no kind that can be read.
        TypeError: there are too many or too few, as with any function.
    """
    given = signature.bind(*args, **kwargs).arguments
    model = _model(given["model"])
    arguments: dict[str, Any] = {**given, "model": model}
    for name, read in READERS.items():
        if given.get(name) is not None:
            arguments[name] = read(model, given[name])
    several = arguments.get("target")
    if "image" not in arguments:
        return Request(arguments)
    pixels = values(arguments["image"])
    if isinstance(several, list) and len(several) > 1 and len(pixels) == 1:  # a map for each
        arguments["image"] = _repeated(arguments["image"], len(several))
    return Request(arguments, _notes(pixels))


def _model(given: Any) -> VisionModel:
    if isinstance(given, VisionModel):
        return given
    if isinstance(given, nn.Module):
        raise WrongRequest(
            f"a method takes the record of a network, not the module {type(given).__name__} "
            "itself; zoo_adapters.wrap(module) makes one"
        )
    if isinstance(given, str):
        raise WrongRequest(
            f"a method takes the record of a network, not its name; "
            f"zoo_adapters.load({brief(given)}) makes one"
        )
    raise WrongRequest(
        f"a method takes the record of a network, not {type(given).__name__}; "
        "zoo_adapters.load and zoo_adapters.wrap make one"
    )


# --- pictures -----------------------------------------------------------------------------------


def _image(model: VisionModel, given: Any) -> Tensor | Image:
    if isinstance(given, list | tuple) and given:
        return torch.cat([values(_image(model, one)).to("cpu") for one in given])
    if isinstance(given, Tensor) and given.ndim == 3:
        given = given[None]
    image: Tensor | Image = given if isinstance(given, Tensor | Image) else model.read(given)
    if model.bands == 1 and values(image).shape[1] == 3:
        image = _gray(image)
    pixels = values(image)
    if not pixels.isfinite().all():
        raise WrongRequest(
            "the picture has pixels that are no finite numbers (NaN or infinite); every map of it "
            "would be, too"
        )
    return image


def _gray(image: Tensor | Image) -> Tensor | Image:
    """The luminance (B, 1, H, W) of RGB pictures, for networks of gray ones."""
    pixels = values(image)
    weights = pixels.new_tensor(LUMINANCE)[:, None, None]
    gray = (pixels * weights).sum(1, keepdim=True)
    return gray if isinstance(image, Tensor) else replace(image, values=gray)


def _notes(pixels: Tensor) -> tuple[str, ...]:
    low, high = (float(v) for v in pixels.detach().aminmax())
    if CLEAR[0] <= low and high <= CLEAR[1]:
        return ()
    where = f"the picture has values from {low:.3g} to {high:.3g} where 0 to 1 are expected; "
    if low >= 0 and high > BYTES:
        return (f"{where}it seems to be one of 0 to 255: divide it by 255",)
    return (f"{where}it seems to be normalized already: give it as it was before",)


def _repeated(image: Tensor | Image, count: int) -> Tensor | Image:
    if isinstance(image, Tensor):
        return image.expand(count, *image.shape[1:])
    return replace(image, values=image.values.expand(count, *image.values.shape[1:]))


# --- subjects -----------------------------------------------------------------------------------


def _target(model: VisionModel, given: Any) -> Target:
    if isinstance(given, Contrast | Likeness):
        return given
    if isinstance(given, str):
        return model.output.parse(given)
    if not isinstance(model.output, Classes | Embedding):  # it knows its targets itself
        return given
    if isinstance(given, Tensor) or hasattr(given, "__array__"):
        given = _plain(given)
    if isinstance(given, list | tuple | range):
        return _classes(model, list(given))
    return _number("target", given, "a class number, a label, or a list of them")


def _classes(model: VisionModel, given: list[Any]) -> list[int]:
    """Class numbers of a list; or of a row with a 1 for each class and 0 for the others."""
    if len(given) == 1 and isinstance(given[0], list):
        given = given[0]
    count = model.output.count if isinstance(model.output, Classes) else 0
    if count > 2 and len(given) == count and all(_is_truth(one) for one in given):
        if not any(given):
            raise WrongRequest("the target has a 0 for every class; one of them must have a 1")
        return [number for number, one in enumerate(given) if one]
    if not given:
        raise WrongRequest("the target is an empty list; give a class number, a label, or several")
    numbers = [_target(model, one) for one in given]
    for number in numbers:
        if not isinstance(number, int):
            raise WrongRequest("a list of targets holds classes, no contrasts and no likenesses")
    return numbers  # type: ignore[return-value]


def _is_truth(one: Any) -> bool:
    return isinstance(one, bool | int | float) and one in (0, 1)


def _layer(model: VisionModel, given: Any) -> str | list[str]:
    if isinstance(given, list | tuple):
        return [_layer_name(model, one) for one in given]
    return _layer_name(model, given)


def _layer_name(model: VisionModel, given: Any) -> str:
    if isinstance(given, str):
        return given
    if isinstance(given, nn.Module):
        for name, module in model.module.named_modules():
            if module is given:
                return model.layer(name).name
        raise WrongRequest(
            f"the layer {type(given).__name__} is no module of {model.name}; give one of its own, "
            "or a name"
        )
    raise WrongRequest(
        f"a layer is the name of a module, as {next(iter(model.layers), 'layer4')!r}, or the "
        f"module itself, not {type(given).__name__}"
    )


def _channel(_: VisionModel, given: Any) -> Any:
    if isinstance(given, list | tuple | range):
        return [_number("channel", one, "a channel number") for one in given]
    return _number("channel", given, "a channel number")


def _position(_: VisionModel, given: Any) -> Any:
    if isinstance(given, Tensor) and given.ndim == 2:  # one for each picture
        return given
    if isinstance(given, str) and (found := LOCATION.fullmatch(given)):
        return int(found[1]), int(found[2])
    given = _plain(given) if hasattr(given, "__array__") else given
    if isinstance(given, list | tuple) and len(given) == 2:
        row, column = (_number("position", one, "a row and a column") for one in given)
        return row, column
    raise WrongRequest(f"a position is a row and a column, as (3, 4), not {brief(given)}")


def _number(name: str, given: Any, possible: str) -> int:
    """A whole number, also as text or of another library."""
    if isinstance(given, str) and re.fullmatch(r"\s*\d{1,18}\s*", given, re.ASCII):
        return int(given)
    try:
        if isinstance(given, bool) or type(given).__name__ in ("bool_", "bool"):
            raise TypeError
        return index(given)
    except TypeError:
        raise WrongRequest(f"the {name} is {possible}, not {brief(given)}") from None


def _plain(given: Any) -> Any:
    """Numbers of a tensor or an array: one, or a list of them."""
    return torch.as_tensor(given).tolist()


READERS: Mapping[str, Callable[[VisionModel, Any], Any]] = {
    "image": _image,
    "target": _target,
    "layer": _layer,
    "channel": _channel,
    "position": _position,
}
