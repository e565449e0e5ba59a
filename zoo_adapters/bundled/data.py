"""The data set: scenes of many seeds, drawn once by all processors and kept in a cache folder."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo_adapters.bundled.scenes import SIZE, scene

__all__ = ["HELD_OUT", "TRAINING", "pictures"]

TRAINING = 1_000_000  # first seed of the training scenes
HELD_OUT = 9_000_000  # first seed of the scenes that measure; small seeds are for the app


def pictures(first: int, count: int, cache: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (count, SIZE, SIZE, 3) and labels (count,) of the seeds from `first` on.

    They are read from `cache` if they were drawn before, else drawn and kept there.
    """
    cache.mkdir(parents=True, exist_ok=True)
    file = cache / f"scenes-{SIZE}-{first}-{count}.npz"
    if not file.exists():
        chunks = np.array_split(np.arange(first, first + count), max(1, count // 250))
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            drawn = list(pool.map(_draw, chunks))
        images, labels = (np.concatenate(part) for part in zip(*drawn, strict=True))
        partial_file = file.with_suffix(f".{os.getpid()}.npz")
        np.savez(partial_file, images=images, labels=labels)
        partial_file.replace(file)
    with np.load(file) as kept:
        return kept["images"], kept["labels"]


def _draw(seeds: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    scenes = [scene(int(seed)) for seed in seeds]
    return np.stack([s.image for s in scenes]), np.array([s.label for s in scenes])
