"""Neighbours by a layer or by a channel: of what pictures do they make the same?

An index keeps an embedding of each picture, and of the layers only what excites them. So some of
its pictures, evenly spread, are shown to the network once more, and of every layer the pooled
activations are kept in a file of the user's, which is read from then on.

    by a layer     the cosine of the means of all channels, each less its mean over those pictures
    by a channel   pictures whose maximum of the channel differs the least from the query's
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from featvis import VisionModel, WrongRequest
from featvis.network.neuron import check_channel
from featvis.probe import Pooled, pooled
from featvis.probe.exact import hashed
from featvis.progress import tick
from zoo_adapters import read_image

from ..machine import disk, disk_store
from . import store
from .reading import Index
from .records import Match, Neighbour

AMONG = 500  # pictures that are looked at, at most
BATCH = 16
ROOM = 5e8  # bytes of all files together, but always the last one


@dataclass(frozen=True, eq=False)
class Pool:
    """The pooled activations of one layer."""

    layer: str
    images: tuple[str, ...]  # names of the n pictures
    seen: Pooled  # (n, C)


def sampled(index: Index, among: int | None = None) -> tuple[str, ...]:
    """The pictures that are looked at: one in so many that they are `among` at most."""
    step = max(1, -(-index.count // (among or AMONG)))
    return tuple(index.names[int(number)] for number in index.arrays["images"][::step])


def pool(
    index: Index,
    model: VisionModel,
    layer: str,
    among: int | None = None,
    each: Callable[[int, int], None] = tick,
) -> Pool:
    """Of some pictures of the index; `each` is told how many of how many were looked at."""
    names, number = sampled(index, among), index.number(layer)
    file = store.root() / "pooled" / f"{_key(index, names)}.safetensors"
    keys = [f"{number}.{field}" for field in Pooled._fields]
    try:
        with safetensors.safe_open(file, "pt") as kept:
            return Pool(layer, names, Pooled(*(kept.get_tensor(key).clone() for key in keys)))
    except (OSError, safetensors.SafetensorError):  # none yet, or none that can be read
        tensors = _made(index, model, names, each)
    with suppress(OSError, WrongRequest):  # a disk that is full or read-only: it is made again
        file.parent.mkdir(parents=True, exist_ok=True)
        disk_store.write(file, safetensors.torch.save(tensors))
        disk.make_room(file.parent, "*", ROOM, file)
    return Pool(layer, names, Pooled(*(tensors[key] for key in keys)))


def by_layer(found: Pool, query: Pooled, k: int) -> tuple[Neighbour, ...]:
    """The pictures of which the layer makes the most alike, by the cosine, the nearest first.

    Each channel's mean over the map, less its average over the pictures, so that what a layer
    makes of every picture counts for nothing. `query` (1, C).
    """
    middle = found.seen.mean.double().mean(0)
    rows, asked = found.seen.mean.double() - middle, query.mean[0].double().cpu() - middle
    cosines = rows @ asked / (rows.norm(dim=1) * asked.norm()).clamp_min(1e-12)
    order = cosines.argsort(descending=True, stable=True)[:k].tolist()
    return tuple(Neighbour(found.images[row], float(cosines[row])) for row in order)


def by_channel(found: Pool, query: Pooled, channel: int, k: int) -> tuple[Match, ...]:
    """The pictures whose maximum of a channel is closest to the query's, the closest first.

    Of equal ones a random choice: behind a rectifier a channel is 0 in most pictures.
    """
    check_channel(found.layer, channel, found.seen.high.shape[1])
    values = found.seen.high[:, channel]
    mixed = hashed(torch.arange(len(values))).argsort(stable=True)
    apart = (values - query.high[0, channel].cpu()).abs()
    order = mixed[apart[mixed].argsort(stable=True)][:k].tolist()
    return tuple(Match(found.images[row], float(values[row])) for row in order)


def _key(index: Index, names: Sequence[str]) -> str:
    told = index.manifest
    of = [store.FORMAT, told.weights, told.source, told.digest, told.layers, names]
    of += [told.bounds] if told.bounds else []  # of most networks nothing is bounded
    return hashlib.sha256(json.dumps(of).encode("utf8", "surrogateescape")).hexdigest()[:32]


def _made(
    index: Index, model: VisionModel, names: Sequence[str], each: Callable[[int, int], None]
) -> dict[str, Tensor]:
    """The pooled activations of all layers, under their numbers in the index."""
    layers = {number: name for name, number in index.manifest.layers.items()}  # one of each number
    parts: list[dict[str, Pooled]] = []
    shown = index.source.pictures(names, max(model.size))
    each(0, len(names))
    for start in range(0, len(names), BATCH):
        some = [read_image(next(shown), model).values for _ in names[start : start + BATCH]]
        parts.append(pooled(model, torch.cat(some).to(model.like), list(layers.values())))
        each(min(start + BATCH, len(names)), len(names))
    return {
        f"{number}.{field}": torch.cat([getattr(part[name], field) for part in parts]).cpu()
        for number, name in layers.items()
        for field in Pooled._fields
    }
