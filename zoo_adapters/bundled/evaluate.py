"""Measure the bundled networks on scenes they never saw: python -m zoo_adapters.bundled.evaluate.

Two figures each: top-1, and how often the peak of the class's evidence map lies on the object.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featvis.methods.cam import cam
from featvis.model import VisionModel
from zoo_adapters.bundled import folder, zoo
from zoo_adapters.bundled.data import HELD_OUT
from zoo_adapters.bundled.scenes import scene

__all__ = ["Measured", "Scenes", "draw", "measure"]

BATCH = 100


class Scenes(NamedTuple):
    """Scenes as arrays."""

    images: NDArray[np.uint8]  # (N, H, W, 3)
    labels: NDArray[np.int64]  # (N,)
    objects: NDArray[np.bool_]  # (N, H, W), visible pixels of the object's silhouette


class Measured(NamedTuple):
    """What is printed of a network."""

    top1: float
    peak: float  # share of maps of the true class that peak on the object; nan without
    kind: str  # of the head
    size: tuple[int, int]  # of the map


def main() -> None:
    """Print a table, a row for each network."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("names", nargs="*", default=zoo.names(), metavar="NAME")
    options.add_argument("--count", type=int, default=2000, help="held-out scenes")
    chosen = options.parse_args()
    held_out = draw(HELD_OUT, chosen.count)
    print(f"{chosen.count} held-out scenes, seeds from {HELD_OUT}\n")
    print("| network | parameters | file | last map | head | top-1 | peak on the object |")
    print("| --- | ---: | ---: | ---: | --- | ---: | ---: |")
    for name in chosen.names:
        print(row(name, zoo.load(name), held_out), flush=True)


def row(name: str, model: VisionModel, held_out: Scenes) -> str:
    """One network's line of the table."""
    found = measure(model, held_out)
    megabytes = (folder(name) / "model.safetensors").stat().st_size / 1e6
    peak = "-" if np.isnan(found.peak) else f"{100 * found.peak:.1f} %"
    h, w = found.size
    return (
        f"| {name} | {model.parameters / 1e6:.2f} M | {megabytes:.2f} MB | {h}x{w} | "
        f"{found.kind} | {100 * found.top1:.1f} % | {peak} |"
    )


def draw(first: int, count: int) -> Scenes:
    """The scenes of the seeds from `first` on, drawn by all processors."""
    chunks = np.array_split(np.arange(first, first + count), max(1, count // 50))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        drawn = list(pool.map(_draw, chunks))
    images, labels, objects = (np.concatenate(part) for part in zip(*drawn, strict=True))
    return Scenes(images, labels, objects)


def _draw(seeds: NDArray[np.int64]) -> Scenes:
    made = [scene(int(seed)) for seed in seeds]
    return Scenes(
        np.stack([s.image for s in made]),
        np.array([s.label for s in made]),
        np.stack([s.object for s in made]),
    )


def measure(model: VisionModel, scenes: Scenes) -> Measured:
    """Top-1 and the share of peaks on the object."""
    right, inside = 0, 0
    for start in range(0, len(scenes.labels), BATCH):
        images, labels, objects = (array[start : start + BATCH] for array in scenes)
        batch = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
        target = torch.from_numpy(labels)
        with torch.no_grad():
            right += int((model(batch).argmax(1) == target).sum())
        if model.head is not None:
            rows, columns = peaks(model, batch, target)
            inside += int(objects[np.arange(len(labels)), rows, columns].sum())
    count, head = len(scenes.labels), model.head
    if head is None:
        grid = model.layer(model.last_layer).size
        return Measured(right / count, float("nan"), "class token", grid)
    return Measured(right / count, inside / count, head.kind, head.size)


def peaks(model: VisionModel, batch: Tensor, target: Tensor) -> tuple[NDArray[np.int64], ...]:
    """Row and column of the pixel below the strongest position of each class activation map.

    Between positions a map is interpolated, so its peak is at the centre of a position.
    """
    heat = cam(model, batch, target)
    width = heat.values.shape[2]
    strongest = heat.values.flatten(1).argmax(1).tolist()
    centers = np.array([heat.place.center((k // width, k % width)) for k in strongest])
    found = np.clip(centers.astype(int), 0, np.array(model.size) - 1)
    return found[:, 0], found[:, 1]


if __name__ == "__main__":
    main()
