"""The zoo of the bundled networks: folders in the hub's format, beside this file."""

from __future__ import annotations

from pathlib import Path

import zoo_adapters.bundled.alexnet  # noqa: F401  known to timm from here on
from featvis.model import VisionModel
from zoo_adapters import bundled, timm
from zoo_adapters.facts import Facts
from zoo_adapters.registry import unknown
from zoo_adapters.weights import Progress

__all__ = ["describe", "load", "names"]


def names() -> list[str]:
    """The networks that come with the package."""
    return list(bundled.names())


def describe(name: str) -> Facts:
    """What the network's configuration tells."""
    return timm.describe_folder(_folder(name), name=f"bundled:{name}")


def load(name: str, *, pretrained: bool = True, progress: Progress | None = None) -> VisionModel:
    """One of them, from its folder; nothing is downloaded."""
    return timm.folder(_folder(name), name=f"bundled:{name}", pretrained=pretrained)


def _folder(name: str) -> Path:
    """Where it lies."""
    if name not in names():
        unknown("bundled", name, names())
    return Path(bundled.folder(name))
