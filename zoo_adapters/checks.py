"""Conformance: what every model record must satisfy, whoever made it.

For the tests of an adapter:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_conforms(check):
        check(load("mine", pretrained=False))

Each check takes a model and raises AssertionError with a sentence; `check_zoo` takes a zoo's name.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor
from typing import Any, NamedTuple

import PIL.Image
import torch
from torch import Tensor, nn

import zoo_adapters
from featvis.hooks import hooked
from featvis.methods.cam import cam
from featvis.model import VisionModel, WrongRequest
from featvis.network.receptive_field import receptive_field
from featvis.record import record

__all__ = ["CHECKS", "Finding", "check_model", "check_zoo"]

TOLERANCE = 1e-3  # of max |logit|
LEAK = 1e-6  # of the influence


class Finding(NamedTuple):
    """A check that failed, and why."""

    check: str
    problem: str


def check_model(model: VisionModel) -> list[Finding]:
    """All checks; an empty list is what one wants."""
    found = []
    for check in CHECKS:
        try:
            check(model)
        except Exception as error:  # a check that cannot run has failed too
            found.append(Finding(check.__name__, str(error) or type(error).__name__))
    return found


def name_has_its_zoo(model: VisionModel) -> None:
    """The name is "zoo:name", so that it can be loaded again."""
    zoo, colon, rest = model.name.partition(":")
    _expect(bool(zoo and colon and rest), f"the name {model.name!r} is not of the form zoo:name")


def module_is_frozen(model: VisionModel) -> None:
    """Eval mode throughout, and no parameter requires a gradient."""
    training = [name for name, child in model.module.named_modules() if child.training]
    _expect(not training, f"in training mode: {training[:3]}")
    free = [name for name, p in model.module.named_parameters() if p.requires_grad]
    _expect(not free, f"requires_grad is True: {free[:3]}")


def pixels_are_between_0_and_1(model: VisionModel) -> None:
    """Mean and standard deviation are (3, 1, 1), for pixels in [0, 1]."""
    for what, planes in (("mean", model.mean), ("std", model.std)):
        _expect(planes.shape == (3, 1, 1), f"{what} has the shape {tuple(planes.shape)}")
        inside = float(planes.min()) >= 0 and float(planes.max()) <= 1
        _expect(inside, f"{what} {planes.flatten().tolist()} is not for pixels in [0, 1]")
    _expect(float(model.std.min()) > 0, "std has a zero")


def logits_are_one_row_per_picture(model: VisionModel) -> None:
    """Two pictures give (2, K); each row is that of the picture alone; K labels, or none."""
    pictures = _noise(model)
    with torch.no_grad():
        both = model(pictures)
        single = torch.cat([model(picture[None]) for picture in pictures])
    _expect(both.ndim == 2, f"two pictures give logits of the shape {tuple(both.shape)}")
    gap = float((both - single).abs().max() / both.abs().max().clamp_min(1e-12))
    _expect(gap <= TOLERANCE, f"a picture's logits depend on its neighbour: {gap:.1e}")
    count = len(model.labels)
    _expect(count in (0, both.shape[1]), f"{count} labels for {both.shape[1]} logits")


def layers_are_as_declared(model: VisionModel) -> None:
    """Every layer exists, and its map has the declared channels and size."""
    _expect(len(model.layers) > 0, "no layer is listed")
    with torch.no_grad():
        maps = record(model, _noise(model)[:1], *model.layers)
    for name, layer in model.layers.items():
        _expect(layer.name == name, f"layer {layer.name} is listed as {name}")
        shape, declared = tuple(maps[name].shape[1:]), (layer.channels, *layer.size)
        _expect(shape == declared, f"the map of {name} is {shape}, declared as {declared}")


def layers_are_in_execution_order(model: VisionModel) -> None:
    """Listed as they run; depth rises from 0 to 1."""
    ran: dict[str, None] = {}

    def seen(name: str, _: nn.Module, __: Any) -> None:
        ran.setdefault(name)

    modules = {name: model.module.get_submodule(name) for name in model.layers}
    with torch.no_grad(), hooked(modules, seen):
        model(_noise(model)[:1])
    wrong = next((a for a, b in zip(model.layers, ran, strict=False) if a != b), None)
    _expect(wrong is None, f"{wrong} is not listed where it runs")
    depths = [layer.depth for layer in model.layers.values()]
    rising = depths == sorted(depths) and depths[0] >= 0 and depths[-1] <= 1
    _expect(rising, "the depths of the layers do not rise from 0 to 1")


def positions_see_their_field(model: VisionModel) -> None:
    """Nothing outside the declared receptive field changes a position, but where all is mixed."""
    names = list(model.layers)
    for layer in {names[len(names) // 3], names[2 * len(names) // 3], names[-1]}:
        seen = receptive_field(model, layer, (0, 0))
        top, left, bottom, right = seen.box
        outside = seen.values.clone()
        outside[floor(top) : ceil(bottom), floor(left) : ceil(right)] = 0
        share = float(outside.sum())
        _expect(
            seen.globally or share <= LEAK,
            f"{share:.1e} of what {layer} sees lies outside its receptive field",
        )


def head_gives_the_logits(model: VisionModel) -> None:
    """The head reproduces the logits of a picture that it was not proved on; or says why not."""
    _expect(bool(model.head_reason), "head_reason is empty")
    if model.head is None:
        return
    heat = cam(model, _noise(model)[:1])
    gap = float("nan") if heat.residual is None else float(heat.residual.max())
    _expect(gap <= TOLERANCE, f"the head misses the logit by {gap:.1e} of the largest")


def pictures_are_read(model: VisionModel) -> None:
    """A picture is read to the declared size, in [0, 1], with its box on the original."""
    grey = PIL.Image.new("RGB", (301, 203), (64, 128, 255))
    image = zoo_adapters.read_image(grey, model)
    shape = tuple(image.values.shape)
    _expect(shape == (1, 3, *model.size), f"a picture is read as {shape}, not {model.size}")
    inside = float(image.values.min()) >= 0 and float(image.values.max()) <= 1
    _expect(inside, "a picture's values leave [0, 1]")
    top, left, bottom, right = image.box
    _expect(top < bottom and left < right, f"the box {image.box} is empty")


CHECKS: tuple[Callable[[VisionModel], None], ...] = (
    name_has_its_zoo,
    module_is_frozen,
    pixels_are_between_0_and_1,
    logits_are_one_row_per_picture,
    layers_are_as_declared,
    layers_are_in_execution_order,
    positions_see_their_field,
    head_gives_the_logits,
    pictures_are_read,
)


def check_zoo(zoo: str) -> None:
    """Names are listed once, described, in families; a wrong one is refused with near ones."""
    names = zoo_adapters.names(zoo)
    _expect(len(names) > 0 and len(set(names)) == len(names), f"{zoo} has no names, or twins")
    facts = zoo_adapters.describe(names[0])
    _expect(facts.name == names[0], f"{names[0]} is described as {facts.name}")
    listed = sorted(name for members in zoo_adapters.families(zoo).values() for name in members)
    _expect(listed == sorted(names), f"the families of {zoo} do not hold its names once each")
    wrong = names[0] + "x"
    try:
        zoo_adapters.load(wrong, pretrained=False)
    except WrongRequest as error:
        _expect(names[0] in str(error), f"{wrong} is refused without naming {names[0]}")
    else:
        raise AssertionError(f"{wrong} was loaded, but is not listed")


def _noise(model: VisionModel) -> Tensor:
    """Two pictures of noise, other ones than a model is surveyed with."""
    make = torch.Generator().manual_seed(7)
    return torch.rand(2, 3, *model.size, generator=make).to(model.mean.device)


def _expect(truth: bool, problem: str) -> None:
    if not truth:
        raise AssertionError(problem)
