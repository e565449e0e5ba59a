"""One architecture of the sweep: its facts, its head and its methods, as cells of a table."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import featvis
import zoo_adapters
from benchmarks.sweep.build import awakened, hollow, small
from featvis import METHODS, Method, VisionModel
from featvis.network.cost import Products
from featvis.network.survey import mixing
from zoo_adapters.measured import convolutions

__all__ = ["CHEAP", "EXPENSIVE", "FAILED", "STAGES", "facts", "head", "methods"]

FAILED = "FAILED"  # begins the cell of what went wrong without a reason in words
CHEAP = {  # parameters with which a method is tried, not enjoyed
    "smoothgrad": {"samples": 2},
    "integrated_gradients": {"steps": 2},
    "occlusion": {"window": 0.5, "across": 2},
    "maximize": {"steps": 1},
    "inversion": {"steps": 1},
    "caricature": {"steps": 1},
    "deepdream": {"steps": 1, "octaves": 1},
}
EXPENSIVE = ("score_cam",)  # a pass for every channel


def facts(name: str, row: dict[str, str]) -> Iterator[tuple[str, object]]:
    """Loaded as anybody would, at its own size, on the meta device: what it is, and its layers."""
    products = Products()
    known = zoo_adapters.describe(name)
    with products:
        model = _loaded(name)
    yield "family", known.family
    yield "licence", known.licence
    yield "parameters", model.parameters
    yield "gmacs", f"{products.count / 2e9:.4g}"  # a pass of two pictures is surveyed
    yield "height", model.size[0]
    yield "width", model.size[1]
    yield "classes", known.classes
    yield "layers", len(model.layers)
    yield "convolutions", convolutions(model)
    yield "default layer", model.last_layer if model.layers else ""
    yield "mixing", mixing(model)


def _loaded(name: str) -> VisionModel:
    try:
        with torch.device("meta"):
            return zoo_adapters.load(name, pretrained=False)
    except (featvis.WrongRequest, RuntimeError):  # some look at numbers while they are built ...
        pass
    try:
        return hollow(name, zoo_adapters.describe(name).size or (224, 224))
    except (featvis.WrongRequest, RuntimeError):  # ... and some while they run
        return zoo_adapters.load(name, pretrained=False)


def head(name: str, row: dict[str, str]) -> Iterator[tuple[str, object]]:
    """Small, with awakened weights: the head, proved by numbers, or why there is none."""
    model = small(name, zoo_adapters.describe(name).size or (224, 224))
    yield "tried at", f"{model.size[0]}x{model.size[1]}"
    yield "head", model.head.kind if model.head else "none"
    yield "reason", model.head_reason
    yield "residual", f"{model.head.residual:.1e}" if model.head else ""
    yield "small layers", len(model.layers)


def methods(
    name: str, row: dict[str, str], left_out: Collection[str] = EXPENSIVE
) -> Iterator[tuple[str, object]]:
    """Every cheap method at a small size: forward passes it took, why not, or how it failed."""
    model = small(name, zoo_adapters.describe(name).size or (224, 224))
    model.module.forward = Counted(model.module.forward)
    make = torch.Generator().manual_seed(5)
    image = torch.rand(1, 3, *model.size, generator=make).to(model.like)
    for method in METHODS.values():
        if method.name not in left_out:
            yield method.name, _shown(method, model, image)


def _shown(method: Method, model: VisionModel, image: torch.Tensor) -> str:
    if reason := method.missing(model):
        return reason.partition(": ")[2] or reason
    if "layer" in method.subject and not model.layers:
        return "it has no layer whose output is a map of the picture"
    subject = {"model": model, "image": image, "layer": _middle(model)}
    given = {n: subject[n] for n in method.subject if n in subject and n not in method.optional}
    begun = model.module.forward.passes
    try:
        result = method.run(**given, **CHEAP.get(method.name, {}))
        if method.generator:
            *_, result = result
    except featvis.WrongRequest as error:
        if "not finite" not in str(error):
            return str(error).partition(": ")[2] or str(error)
        result = None
    except Exception as error:
        said = (str(error).strip() or "nothing said").splitlines()[0]
        return f"{FAILED} {type(error).__name__}: {said}"
    passes = f"{model.module.forward.passes - begun} passes"
    if result is not None and result.values.isfinite().all():
        return passes
    if image.dtype == torch.float64:
        return f"{FAILED} its values are not finite"
    # random weights may give logits of 1e24, and products of them are beyond float32; the fused
    # kernel of attention takes the exponential of their rounding errors on its way back
    shared = {id(tensor): tensor for tensor in model.module.parameters()}
    module = awakened(copy.deepcopy(model.module, shared), dtype=torch.float64)  # the same numbers
    exact = replace(model, module=module, mean=model.mean.double(), std=model.std.double())
    with sdpa_kernel(SDPBackend.MATH):
        again = _shown(method, exact, image.double())
    return again if again.startswith(FAILED) else f"{passes}, in float64"


class Counted:
    """A forward function that counts how often it is begun."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        self.forward, self.passes = forward, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.passes += 1
        return self.forward(*args, **kwargs)


def _middle(model: VisionModel) -> str:
    return (list(model.layers) or [""])[len(model.layers) // 2]


STAGES: dict[str, Callable[[str, dict[str, str]], Iterator[tuple[str, object]]]] = {
    "facts": facts,
    "head": head,
    "methods": methods,
}
