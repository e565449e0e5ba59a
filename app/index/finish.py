"""Finishing: what was counted becomes the arrays and the manifest that an index keeps.

Arrays of layer number i, C channels: `i.top.image`, `.value`, `.position` (C, k), `.ties` (C,) how
many pictures have the value of the last one, `i.bottom...`,
`i.maxima` (C, BINS), `i.moments` (5, C), `i.classes` (K, C), `i.alike` and `i.correlation` (C, 8),
`i.part` and `i.iou` (C, 3); of N pictures: `images`, `labels` (N,), `embeddings` (N, D). In a small
index they are `embeddings` (N, AXES) times `scales` (N,), along the principal `axes` (D, AXES), and
`classes` are steps (255: none) from the first to the second of `ranges` (2, C).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featvis import VisionModel, __version__
from featvis.probe import (
    Best,
    Masked,
    Moments,
    Probe,
    alike,
    class_means,
    dissect,
    embedder,
    moments,
    ties_at,
)
from zoo_adapters.bundled.scenes import PARTS

from . import store
from .plan import Plan, Shard
from .scenes import Scenes, shares
from .source import Source, pixels

ALIKE = 8  # channels named as most alike
PARTED = 3  # parts named per channel
BOTTOM = 4  # weakest pictures kept in a small index
AXES = 64  # principal directions along which a small index keeps embeddings, as 8-bit numbers
DISSECTED = 1000  # scenes over which parts are looked for
STEPS, NONE = 254, 255  # of a class's mean in a small index
Array = NDArray[Any]


def finished(
    model: VisionModel, source: Source, plan: Plan, probe: Probe, shards: list[Shard]
) -> tuple[store.Manifest, dict[str, Array]]:
    """The manifest and the arrays."""
    arrays = _pictures(shards, small=plan.packed)
    numbers = {name: i for i, name in enumerate(probe.tallies)}
    found = {name: moments(tally, probe.pictures) for name, tally in probe.tallies.items()}
    for name, i in numbers.items():
        arrays |= {f"{i}.{key}": a for key, a in _layer(probe, name, found[name], plan.packed)}
    dissected = min(DISSECTED, source.count or 0) if isinstance(source, Scenes) else 0
    if isinstance(source, Scenes):
        limits = {name: moment.threshold for name, moment in found.items()}
        for name, iou in dissect(model, _masked(model, source, dissected), limits).items():
            best, part = iou.cpu().sort(dim=1, descending=True, stable=True)
            arrays[f"{numbers[name]}.part"] = part[:, :PARTED].numpy().astype(np.uint8)
            arrays[f"{numbers[name]}.iou"] = best[:, :PARTED].numpy().astype(np.float16)
    layers = {name: numbers[probe.same.get(name, name)] for name in probe.layers}
    return store.Manifest(
        format=store.FORMAT,
        featvis=__version__,
        model=plan.model,
        weights=plan.weights,
        source=plan.source,
        digest=plan.digest,
        count=probe.pictures,
        broken=tuple((name, reason) for s in shards for _, name, reason in s.broken),
        k=plan.k,
        layers=layers,
        sizes={name: model.layer(name).size for name in layers},
        classes=source.classes,
        per_class=tuple(probe.per_class.tolist()),
        embedding=embedder(model).what,
        parts=PARTS if dissected else (),
        dissected=dissected,
        bounds=bounds(model, layers),
    ), arrays


def bounds(model: VisionModel, layers: Iterable[str]) -> dict[str, str]:
    """The layers whose units are those before a bound, and its name."""
    pairs = ((name, model.layers.get(name)) for name in layers)
    return {name: str(layer.bound) for name, layer in pairs if layer and layer.bound}


def _pictures(shards: list[Shard], *, small: bool) -> dict[str, Array]:
    """Numbers, classes and embeddings of all pictures, each embedding of length 1."""
    images = torch.cat([s.images for s in shards])
    made = {
        "images": images.numpy().astype(_whole(int(images.max()) if len(images) else 0)),
        "labels": torch.cat([s.labels for s in shards]).numpy().astype(np.int32),
    }
    values = torch.cat([s.embeddings for s in shards if len(s.images)]).float()
    values = torch.nn.functional.normalize(values, dim=1)
    if not small:
        return {**made, "embeddings": values.half().numpy()}
    _, _, directions = torch.linalg.svd(values.double().T @ values.double())
    axes = directions[:AXES].T.float()
    along = values @ axes
    scales = along.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
    return {
        **made,
        "embeddings": (along / scales).round().to(torch.int8).numpy(),
        "scales": scales[:, 0].half().numpy(),
        "axes": axes.half().numpy(),
    }


def _layer(probe: Probe, name: str, moment: Moments, small: bool) -> Iterator[tuple[str, Array]]:
    tally = probe.tallies[name]
    for key, best, kept in (("top", tally.top, probe.k), ("bottom", tally.bottom, BOTTOM)):
        sign = 1 if key == "top" else -1
        yield from _best(key, best, min(kept, probe.k) if small else probe.k, sign, small)
    yield "maxima", _counts(tally.maxima)
    yield "moments", torch.stack(moment).cpu().numpy().astype(np.float32)
    means = _real(class_means(tally, probe.per_class), small)
    yield from eighths(means).items() if small and means.size else {"classes": means}.items()
    channels, correlations = alike(tally, probe.sampled, ALIKE)
    yield "alike", channels.cpu().numpy().astype(_whole(len(tally.maxima)))
    yield "correlation", correlations.cpu().numpy().astype(np.float16)


def _best(key: str, best: Best, k: int, sign: int, small: bool) -> Iterator[tuple[str, Array]]:
    """Of places that are not taken, the value is nan."""
    taken = (best.values[:, :k] > -torch.inf).cpu()
    images = torch.where(taken, best.images[:, :k].cpu(), 0)
    positions = torch.where(taken, best.positions[:, :k].cpu(), 0)
    values = torch.where(taken, sign * best.values[:, :k].cpu(), torch.nan)
    yield f"{key}.image", images.numpy().astype(_whole(int(images.max())))
    yield f"{key}.position", positions.numpy().astype(_whole(int(positions.max())))
    yield f"{key}.value", _real(values, small)
    ties = ties_at(best, k - 1).cpu()
    yield f"{key}.ties", ties.numpy().astype(_whole(int(ties.max())))


def _real(values: Tensor, small: bool) -> Array:
    """Half precision where that is asked for and can hold them."""
    made = values.cpu().numpy()
    fits = small and np.nanmax(np.abs(made), initial=0) < 60_000
    return made.astype(np.float16 if fits else np.float32)


def eighths(means: Array) -> dict[str, Array]:
    """Means (K, C) as 8-bit steps of the range of each channel."""
    wide = means.astype(np.float32)
    known = np.isfinite(wide)
    low = np.where(known, wide, np.inf).min(0).astype(means.dtype).astype(np.float32)
    high = np.where(known, wide, -np.inf).max(0).astype(means.dtype).astype(np.float32)
    steps = np.rint((np.where(known, wide, low) - low) / np.maximum(high - low, 1e-12) * STEPS)
    steps = np.where(known, steps.clip(0, STEPS), NONE).astype(np.uint8)
    return {"classes": steps, "ranges": np.stack([low, high]).astype(means.dtype)}


def means_of(arrays: Mapping[str, Array], number: int) -> Array:
    """The means (K, C) that were kept of layer `number`, nan where there are none."""
    kept = arrays[f"{number}.classes"]
    if f"{number}.ranges" not in arrays:
        return kept
    low, high = arrays[f"{number}.ranges"].astype(np.float32)
    return np.where(kept == NONE, np.nan, low + kept.astype(np.float32) / STEPS * (high - low))


def _counts(counts: Tensor) -> Array:
    return counts.cpu().numpy().astype(_whole(int(counts.max())))


def _whole(largest: int) -> type[np.unsignedinteger[Any]]:
    return np.uint16 if largest < 2**16 else np.uint32


def _masked(model: VisionModel, source: Scenes, count: int) -> Iterator[Masked]:
    """Scenes with their masks, a batch at a time."""
    shots = list[Any]()
    for shot in source.shots(model, range(count)):
        shots.append(shot)
        if len(shots) == 16:
            yield Masked(pixels(shots), torch.stack([shares(s) for s in shots]))
            shots = []
    if shots:
        yield Masked(pixels(shots), torch.stack([shares(s) for s in shots]))
