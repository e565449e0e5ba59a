"""Zoo adapters: the name of a model in, a `featvis.model.VisionModel` out.

    model = zoo_adapters.load("timm:resnet50")
    image = zoo_adapters.read_image("cat.jpg", model)

The libraries are imported on use. What is on disk is loaded without asking the network.
"""

from __future__ import annotations

from featvis.model import VisionModel
from zoo_adapters.facts import Facts
from zoo_adapters.hub import Found, inspect, search_hub
from zoo_adapters.module import wrap
from zoo_adapters.pictures import read_image
from zoo_adapters.registry import Zoo, adapter, split, zoos
from zoo_adapters.weights import Progress, Unavailable

__all__ = [
    "Facts",
    "Found",
    "Progress",
    "Unavailable",
    "Zoo",
    "describe",
    "families",
    "inspect",
    "load",
    "names",
    "parameters",
    "read_image",
    "search_hub",
    "wrap",
    "zoos",
]


def load(name: str, *, pretrained: bool = True, progress: Progress | None = None) -> VisionModel:
    """The model of that name: "timm:resnet50.a1_in1k", "torchvision:alexnet", ...

    Without `pretrained` its weights are random, the same ones every time. A download is told to
    `progress(done, total, what)`, in bytes; what it raises ends the download.
    """
    zoo, rest = split(name)
    module = adapter(zoo)
    model: VisionModel = module.load(rest, pretrained=pretrained, progress=progress)
    return model


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
