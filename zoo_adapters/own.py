"""Own weights in an architecture of a zoo: a checkpoint, other classes, other bands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from featvis.model import VisionModel, WrongRequest

from .checkpoints import Sizes, fitted, read_weights, sizes_of
from .given import Labels
from .module import wrap
from .registry import adapter, split

__all__ = ["load_own"]

Info = dict[str, str | int | float]


def load_own(
    name: str,
    checkpoint: str | Path | None,
    sizes: Sizes,
    labels: Labels | None,
    *,
    pretrained: bool,
) -> VisionModel:
    """An architecture with the weights of a checkpoint, or with random ones of other sizes.

    An adapter takes part by a function `blank(name, sizes)`: the untrained module of these sizes,
    and what `wrap` is told of it.
    """
    zoo, rest = split(name)
    module = adapter(zoo)
    if not hasattr(module, "blank"):
        raise WrongRequest(
            f"{zoo}: has no architectures for weights of your own; timm:, torchvision: and "
            "transformers: have"
        )
    if checkpoint is None:
        if pretrained:
            raise WrongRequest(
                f"{name} with other classes, bands or labels has weights of your own: give them as "
                "checkpoint=, or load it with pretrained=False (random weights)"
            )
        network, facts = module.blank(rest, sizes)
        info: Info = {"pretrained": False, "training": "none"}
        return _record(network, name, labels, facts, info)
    weights = read_weights(checkpoint)
    with torch.device("meta"):
        skeleton, _ = module.blank(rest, sizes)
    told = sizes_of(weights, skeleton)
    sizes = Sizes(sizes.classes or told.classes, sizes.bands or told.bands)
    network, facts = module.blank(rest, sizes)
    fitted(name, Path(checkpoint).name, weights, network)
    info = {"pretrained": True, "training": "your own", "source": Path(checkpoint).name}
    return _record(network, name, labels, facts, info)


def _record(
    network: torch.nn.Module,
    name: str,
    labels: Labels | None,
    facts: dict[str, Any],
    info: Info,
) -> VisionModel:
    own = () if labels is None else labels
    return wrap(network, name=name, labels=own, info={"licence": "unknown", **info}, **facts)
