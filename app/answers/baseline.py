"""Natural: where the activation of a made picture lies among those of pictures not made for it.

The drawn scenes stand for them. For each layer all channels are looked at once, and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import PIL.Image
import torch
from torch import Tensor

import zoo_adapters
from featvis import Classes, VisionModel
from featvis.ascent.objectives import Objective, watch
from featvis.methods.maximize import goal
from featvis.progress import tick
from featvis.types import Synthesis
from zoo_adapters.bundled.scenes import scene

from .ask import Ask
from .run import cached

Make = Callable[[list[int]], Objective]
SCENES = 48
FIRST = 500  # the seed of the first
BATCH = 8


def places(ask: Ask, result: Synthesis) -> list[str]:
    """For each picture, in words, how its activation compares with the scenes'."""
    model, state = ask.model, ask.state
    assert state is not None
    target, layer = ask.subject["target"], ask.subject["layer"]
    position, channel = ask.subject["position"], ask.subject["channel"]
    if ask.params["every"]:
        channel = list(range(model.layer(layer).channels))
    make, numbers, _ = goal(model, target, layer, channel, position)
    key = ("natural", state.model, layer, channel is None, position)
    if not isinstance(target, int | None):
        key = (*key, state.target)
    if channel is not None:
        count = model.layer(layer or model.last_layer).channels
    elif layer is None and isinstance(target, int) and isinstance(model.output, Classes):
        count = model.output.count
    else:
        count = 1
    table = cached(key, state, lambda: _table(model, make, count), 2 * SCENES)
    copies = len(result.values) // len(numbers)
    rows = [table[min(n, len(table) - 1)] for n in numbers for _ in range(copies)]
    return [_words(v, row) for v, row in zip(result.activation.tolist(), rows, strict=True)]


def _table(model: VisionModel, make: Make, count: int) -> Tensor:
    """The activations (count, SCENES) of all channels, or classes, on the scenes."""
    made = []
    for at in range(0, SCENES, BATCH):
        tick(at, SCENES)
        images = torch.cat([_taken(model, FIRST + at + i) for i in range(BATCH)]).to(model.like)
        with torch.no_grad():
            seen = watch(model, images, make([0]))
            made.append(torch.stack([make([n])(seen) for n in range(count)]))
    return torch.cat(made, 1).cpu()


def _taken(model: VisionModel, seed: int) -> Tensor:
    return zoo_adapters.read_image(_scene(seed), model).values


@lru_cache(maxsize=SCENES)
def _scene(seed: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(scene(seed, size=160).image)


def _words(value: float, row: Tensor) -> str:
    below = int((row < value).sum())
    highest = float(row.max())
    if below < len(row):
        return f"above {below} of {len(row)} scenes; the highest has {highest:.3g}"
    times = f", {value / highest:.1f} times the highest" if highest > 0 and value > 0 else ""
    return f"above all {len(row)} scenes{times}"
