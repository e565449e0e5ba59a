"""Stores: what is kept in memory for all visitors, bounded; and whose turn it is on a model."""

from __future__ import annotations

from threading import RLock

import zoo_adapters
from featvis import VisionModel
from zoo_adapters import Progress

from .kept import Kept
from .limits import check_model, limits

__all__ = ["IMAGES", "MODELS", "PASSES", "RESULTS", "free", "lock_of", "model_of"]

MODELS = Kept(
    lambda: limits().models or 10**6,
    lambda model: 4 * model.parameters,
    lambda: int(1e9 * limits().model_memory) or 10**15,
)
IMAGES, PASSES, RESULTS = Kept(24), Kept(24), Kept(96)
LOCKS: dict[str, RLock] = {}  # hooks live on a module: one method at a time on each


def model_of(name: str, progress: Progress | None = None) -> VisionModel:
    """The model of that name, loaded once, if it may be loaded here."""

    def load() -> VisionModel:
        check_model(name)
        return zoo_adapters.load(name, progress=progress)

    return MODELS.get_or(name, load)


def lock_of(name: str) -> RLock:
    """Held while hooks are on a model: one method at a time."""
    return LOCKS.setdefault(name, RLock())


def free() -> None:
    """Let go of all that no job uses."""
    for store in (IMAGES, PASSES, RESULTS, MODELS):
        store.free()
