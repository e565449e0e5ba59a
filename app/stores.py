"""Stores: what is kept in memory for all visitors, bounded."""

from __future__ import annotations

import zoo_adapters
from featvis import VisionModel
from zoo_adapters import Progress
from zoo_adapters.downloads import make_room

from . import pictures
from .kept import Kept
from .limits import check_model, limits

__all__ = ["IMAGES", "MODELS", "ON_THE_WAY", "PASSES", "RESULTS", "forget", "free", "model_of"]

MODELS = Kept(
    lambda: limits().models or 10**6,
    lambda model: 4 * model.parameters,
    lambda: int(1e9 * limits().model_memory) or 10**15,
)
IMAGES, PASSES, RESULTS = Kept(24), Kept(24), Kept(96)
ON_THE_WAY = Kept(8)  # steps of the last pictures made
OF_PICTURES = (IMAGES, PASSES, RESULTS, ON_THE_WAY)  # their keys hold a picture's name


def model_of(name: str, progress: Progress | None = None) -> VisionModel:
    """The model of that name, loaded once, if it may be loaded here."""

    def load() -> VisionModel:
        check_model(name)
        model = zoo_adapters.load(name, progress=progress)
        if limits().downloads_gb and not name.startswith("bundled:"):
            make_room(1e9 * limits().downloads_gb)
        return model

    return MODELS.get_or(name, load)


def free() -> None:
    """Let go of all that no job uses."""
    for store in (IMAGES, PASSES, RESULTS, MODELS):
        store.free()


def forget(name: str) -> None:
    """Drop all that was computed from an upload that is deleted."""
    for store in OF_PICTURES:
        store.drop_all(lambda key: name in repr(key))


pictures.ON_DELETE.append(forget)
