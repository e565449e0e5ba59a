"""torchvision: its classifiers, the backbones of its other models, and their weights.

The only file with torchvision besides torchvision_backbones.py.
"""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torchvision import models

from featvis.model import Preprocessing, VisionModel, WrongRequest
from zoo_adapters import torchvision_backbones, weights
from zoo_adapters.checkpoints import Sizes
from zoo_adapters.facts import Facts
from zoo_adapters.measured import completed
from zoo_adapters.module import wrap
from zoo_adapters.registry import unknown
from zoo_adapters.torchvision_backbones import Backbone, Seen, family, seen, whole
from zoo_adapters.weights import Progress

__all__ = ["describe", "families", "load", "names"]

POPULAR = ("resnet", "alexnet", "vgg", "googlenet", "densenet", "convnext", "vision_transformer")
SHORT = {"vision_transformer": "vit", "swin_transformer": "swin"}
FIXED = ("vision_transformer", "maxvit")  # families that take no other input size
# with these, the randomly initialized network is the one that the weights are for, and quickly made
RANDOM: dict[str, dict[str, Any]] = {
    name: {"aux_logits": False, "transform_input": True, "init_weights": False}
    for name in ("googlenet", "inception_v3")
}


@lru_cache(maxsize=1)
def names() -> list[str]:
    """Every set of weights: "resnet50.IMAGENET1K_V2"."""
    return [f"{name}.{chosen.name}" for name in _architectures() for chosen in _all(name)]


@lru_cache(maxsize=1)
def families() -> dict[str, tuple[str, ...]]:
    """Family -> names, one family per module of torchvision, the popular ones first."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names():
        found[_family(name)] = (*found.get(_family(name), ()), name)
    first = [SHORT.get(family, family) for family in POPULAR]
    return {family: found[family] for family in [*first, *(f for f in found if f not in first)]}


def describe(name: str) -> Facts:
    """What torchvision's tables tell of a model without building it."""
    name, chosen = _found(name)
    side, path = _seen(name, chosen).side, weights.url_path(chosen.url)
    headless = family(name.partition(".")[0])
    facts = Facts(
        name=f"torchvision:{name}",
        family=_family(name),
        variant=name,
        size=(side, side),
        classes=0 if headless else len(chosen.meta.get("categories") or ()) or None,
        parameters=None if headless else chosen.meta["num_params"],
        licence=_licence(chosen),
        source=chosen.url,
        training=_training(chosen),
        on_disk=path.exists(),
        download=round(chosen.meta["_file_size"] * 2**20),
    )
    return completed(facts, f"torchvision:{name.partition('.')[0]}")


def load(name: str, *, pretrained: bool = True, progress: Progress | None = None) -> VisionModel:
    """An architecture with its default weights, or "architecture.WEIGHTS"."""
    name, chosen = _found(name)
    full, how = f"torchvision:{name}", _seen(name, chosen)
    headless = family(name.partition(".")[0])
    if pretrained:
        _check(weights.url_file(chosen.url, model=full, progress=progress), full)
    categories = () if headless else chosen.meta.get("categories") or ()
    return wrap(
        _build(name, chosen, full, pretrained),
        name=full,
        mean=how.mean,
        std=how.std,
        size=(how.side, how.side),
        labels=categories if pretrained else (),
        input=how.input,
        embeds=bool(headless),
        info={
            "licence": _licence(chosen),
            "source": chosen.url,
            "training": _training(chosen) if pretrained else "none",
            **({} if headless else {"gmacs": chosen.meta["_ops"]}),  # of the whole model
            "pretrained": pretrained,
        },
    )


def blank(name: str, sizes: Sizes) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The untrained classifier of an architecture, and what `wrap` is told of it."""
    name, chosen = _found(name)
    architecture = name.partition(".")[0]
    if family(architecture):
        raise WrongRequest(f"torchvision:{name} is a backbone; a checkpoint is for a classifier")
    if sizes.bands not in (None, 3):
        raise WrongRequest(
            f"torchvision:{name} takes pictures of three bands; timm builds networks of others"
        )
    how = RANDOM.get(architecture, {})
    how = how if sizes.classes is None else {**how, "num_classes": sizes.classes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module: torch.nn.Module = models.get_model(architecture, **how)
    ready = _seen(name, chosen)
    return module, {
        "mean": ready.mean,
        "std": ready.std,
        "size": ready.side,
        "input": ready.input,
    }


def _seen(name: str, chosen: Any) -> Seen:
    """How the network takes a picture."""
    architecture = name.partition(".")[0]
    if family(architecture):
        return seen(architecture, chosen)
    how = chosen.transforms()
    side, resized = how.crop_size[0], how.resize_size[0]
    shown = Preprocessing(
        crop_pct=side / resized,
        interpolation=how.interpolation.value,
        resize=resized,
        fixed_size=_module(name) in FIXED,
    )
    return Seen(side, how.mean, how.std, shown)


def _architectures() -> list[str]:
    return [*models.list_models(module=models), *torchvision_backbones.architectures()]


def _all(name: str) -> Any:
    return models.get_model_weights(name)


def _found(name: str) -> tuple[str, Any]:
    """The full name, with the default weights where none are given, and the weights."""
    architecture, _, tag = name.partition(".")
    if architecture not in _architectures() or (tag and name not in names()):
        unknown("torchvision", name, names())
    chosen = _all(architecture)[tag] if tag else _all(architecture).DEFAULT
    return f"{architecture}.{chosen.name}", chosen


def _module(name: str) -> str:
    return str(models.get_model_builder(name.partition(".")[0]).__module__).rpartition(".")[2]


def _family(name: str) -> str:
    return family(name.partition(".")[0]) or SHORT.get(_module(name), _module(name))


def _build(name: str, chosen: Any, full: str, pretrained: bool) -> torch.nn.Module:
    """The module, built without touching the caller's random numbers."""
    architecture = name.partition(".")[0]
    how: dict[str, Any] = {"weights": chosen} if pretrained else RANDOM.get(architecture, {})
    if not pretrained and _module(name) == "vision_transformer":
        how = {"image_size": chosen.transforms().crop_size[0]}
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            if family(architecture):
                return Backbone(whole(architecture, chosen if pretrained else None))
            module: torch.nn.Module = models.get_model(architecture, **how)
            return module
    except RuntimeError as error:
        raise WrongRequest(
            f"{full} does not fit its file {weights.url_path(chosen.url).name}; delete the file "
            "from torch's folder of checkpoints and load it again"
        ) from error


def _check(path: Path, full: str) -> None:
    """Refuse a file that is damaged or holds more than weights: torchvision would run it."""
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # unpicklers raise anything
        raise WrongRequest(
            f"the file {path.name} of {full} is damaged or holds more than weights; delete it from "
            "torch's folder of checkpoints and load the model again"
        ) from error


def _licence(chosen: Any) -> str:
    return chosen.meta.get("license") or "bsd-3-clause"


def _training(chosen: Any) -> str:
    if chosen.name.startswith("COCO"):
        return "COCO"
    return "Instagram, then ImageNet-1k" if "SWAG" in chosen.name else "ImageNet-1k"
