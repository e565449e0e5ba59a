"""Zoo adapters: the name of a model in, a `featvis.model.VisionModel` out.

    model = zoo_adapters.load("timm:resnet50")
    image = zoo_adapters.read_image("cat.jpg", model)

The libraries are imported on use. What is on disk is loaded without asking the network.
"""

from __future__ import annotations

from pathlib import Path

import torch

from featvis.model import VisionModel, WrongRequest
from zoo_adapters.checkpoints import Sizes
from zoo_adapters.facts import Facts
from zoo_adapters.find import find
from zoo_adapters.given import Labels
from zoo_adapters.hub import Found, inspect, search_hub
from zoo_adapters.measured import table
from zoo_adapters.module import wrap
from zoo_adapters.own import load_own
from zoo_adapters.pictures import read_image
from zoo_adapters.registry import Zoo, adapter, is_listed, split, zoos
from zoo_adapters.weights import COPIES, Progress, Unavailable, memory

__all__ = [
    "Facts",
    "Found",
    "Progress",
    "Unavailable",
    "Zoo",
    "describe",
    "families",
    "find",
    "inspect",
    "is_listed",
    "load",
    "names",
    "parameters",
    "read_image",
    "search_hub",
    "too_large",
    "wrap",
    "zoos",
]


def load(
    name: str,
    *,
    pretrained: bool = True,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    num_classes: int | None = None,
    in_chans: int | None = None,
    labels: Labels | None = None,
) -> VisionModel:
    """The model of that name: "timm:resnet50.a1_in1k", "torchvision:alexnet", ...

    Args:
        name: the zoo, a colon, and the name within it.
        pretrained: without it the weights are random, the same ones every time.
        progress: is told of a download, `progress(done, total, what)`, in bytes; what it raises
            ends the download.
        checkpoint: a file of weights of your own for that architecture, of torch or safetensors.
            Weights alone are read, and no code in it is run.
        num_classes: of the checkpoint, or of random weights; by default as the checkpoint has it.
        in_chans: bands of its pictures; likewise.
        labels: one for each class, as `wrap` takes them.

    Raises:
        WrongRequest: there is no such model, its weights cannot be had, or do not fit.
    """
    zoo, rest = split(name)
    module = adapter(zoo)
    sizes = Sizes(num_classes, in_chans)
    if checkpoint is not None or labels is not None or sizes != Sizes():
        return load_own(name, checkpoint, sizes, labels, pretrained=pretrained)
    if reason := too_large(name):
        raise WrongRequest(reason)
    model: VisionModel = module.load(rest, pretrained=pretrained, progress=progress)
    return model


def too_large(name: str) -> str | None:
    """Why a model does not fit into this machine's memory, in a sentence, or None.

    Told by the tables alone, before anything is downloaded; None where they do not tell.
    """
    zoo, rest = split(name)
    module = adapter(zoo)
    if not table() or torch.get_default_device().type == "meta" or not hasattr(module, "describe"):
        return None
    try:
        facts: Facts = module.describe(rest)
    except WrongRequest:  # `load` says it better
        return None
    need, free = 4 * COPIES * (facts.about or 0), memory()
    if free is None or need <= free:
        return None
    return (
        f"{facts.name} needs about {need / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are "
        "free; choose a smaller one, as zoo_adapters.find(most_parameters=...) lists them"
    )


def names(zoo: str) -> list[str]:
    """All models of a zoo, as `load` takes them."""
    return [f"{zoo}:{name}" for name in adapter(zoo).names()]


def families(zoo: str) -> dict[str, tuple[str, ...]]:
    """Family -> models of a zoo, as `load` takes them; the popular families first."""
    module = adapter(zoo)
    if not hasattr(module, "families"):
        return {zoo: tuple(names(zoo))}
    return {
        family: tuple(f"{zoo}:{name}" for name in members)
        for family, members in module.families().items()
    }


def describe(name: str) -> Facts:
    """What is known of a model before it is built; the network is never asked."""
    zoo, rest = split(name)
    module = adapter(zoo)
    if not hasattr(module, "describe"):
        return Facts(name=name, family=zoo, variant=rest)
    facts: Facts = module.describe(rest)
    return facts


def parameters(name: str) -> int | None:
    """The number of weights of a model: from the tables, or counted without making them."""
    zoo, rest = split(name)
    module, known = adapter(zoo), describe(name).parameters
    if known is not None or not hasattr(module, "parameters"):
        return known
    count: int = module.parameters(rest)
    return count
