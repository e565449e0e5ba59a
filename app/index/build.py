"""Building an index: shard after shard of a source, each counted once, whoever computes it.

A shard is a run of pictures, cut into the same batches always; what a shard gives depends on
nothing else. After each one the state is written, so that a build that was killed goes on from
there and ends with the same bytes, on one machine or on a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch

from featvis import VisionModel, WrongRequest
from featvis.probe import Batch, Probe, combined, probe, scan

from . import store
from .finish import finished
from .plan import Plan, Shard
from .source import Shot, Source, pixels
from .state import packed, unpacked

SHARD, LONG = 512, 4096  # pictures between two states; of a source with more than MANY
MANY = 20_000
BATCH = 32


Progress = Callable[[int, int | None], None]  # pictures done, pictures in all
# Given the shards that are still to be done; yields them in any order, each with its own probe.
Shards = Callable[[Plan, Sequence[int]], Iterator[tuple[int, Probe, Shard]]]


def build(
    model: VisionModel,
    source: Source,
    *,
    layers: Sequence[str] | None = None,
    k: int = 9,
    batch: int = BATCH,
    shard: int | None = None,
    shards: Shards | None = None,
    folder: Path | None = None,
    small: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Build the index of a model over a source, or go on with one; its folder.

    `shards`: who computes them, if not this process; `small`: as those that come with featvis.
    """
    plan = plan_of(model, source, layers, k=k, batch=batch, shard=shard, packed=small)
    place = folder or store.folder_of(model.name, source.spec)
    making = place.with_name(f"{place.name}.part")
    making.mkdir(parents=True, exist_ok=True)
    seen, done = _resumed(making / "state.safetensors", plan, model, len(source.classes))
    whole = seen
    if progress:
        progress(whole.pictures, plan.count)
    for number, seen, given in _made(plan, model, source, whole, done, shards, progress):
        whole = seen
        _keep(making, number, given)
        done.append(number)
        tensors, rest = packed(whole)
        told = {"key": plan.key, "done": sorted(done), "probe": rest}
        store.save_state(making / "state.safetensors", tensors, told)
        if progress and shards is not None:
            progress(whole.pictures, plan.count)
    if not whole.pictures:
        raise WrongRequest(f"no picture of {source.spec} can be read; give another source")
    kept = [_kept(making, number) for number in sorted(done)]
    manifest, arrays = finished(model, source, plan, whole, kept)
    listed = None if source.spec.startswith("scenes:") else [n for s in kept for n in s.names]
    store.save(place, manifest, arrays, listed, packed=small)
    return place


def plan_of(
    model: VisionModel,
    source: Source,
    layers: Sequence[str] | None = None,
    *,
    k: int = 9,
    batch: int = BATCH,
    shard: int | None = None,
    packed: bool = False,
) -> Plan:
    """The plan of a build, see there."""
    return Plan(
        model=model.name,
        weights=store.weights(model),
        source=source.spec,
        digest=source.digest,
        count=source.count,
        layers=tuple(model.layer(n).name for n in (model.layers if layers is None else layers)),
        k=k,
        batch=batch,
        shard=shard or (LONG if (source.count or 0) > MANY else SHARD),
        packed=packed,
    )


def _resumed(file: Path, plan: Plan, model: VisionModel, classes: int) -> tuple[Probe, list[int]]:
    """The state that was kept for the same plan, or the beginning."""
    found = store.load_state(file)
    if found is not None and found[1]["key"] == plan.key:
        tensors, told = found
        return unpacked(tensors, told["probe"], model.like.device), list(told["done"])
    return probe(model, plan.layers, k=plan.k, classes=classes), []


def _made(
    plan: Plan,
    model: VisionModel,
    source: Source,
    whole: Probe,
    done: list[int],
    shards: Shards | None,
    progress: Progress | None,
) -> Iterator[tuple[int, Probe, Shard]]:
    """Each shard that is still to be done, with the probe of all up to it."""
    if shards is not None:
        todo = [n for n in range(plan.shards or 0) if n not in done]
        for number, part, given in shards(plan, todo):
            whole = combined(whole, part)
            yield number, whole, given
        return
    for number in count() if plan.shards is None else range(plan.shards):
        if number in done:
            continue
        given = shard_of(plan, model, source, number, whole, progress)
        if not given.names:
            return
        yield number, whole, given


def shard_of(
    plan: Plan,
    model: VisionModel,
    source: Source,
    number: int,
    into: Probe,
    progress: Progress | None = None,
) -> Shard:
    """Show one shard to `into`, in the batches that belong to it."""
    seen: list[Shot] = []

    def batches() -> Iterator[Batch]:
        shots = source.shots(model, plan.numbers(number))
        while some := list(islice(shots, plan.batch)):
            seen.extend(replace(shot, image=None, owner=None) for shot in some)
            whole = [shot for shot in some if shot.image is not None]
            if whole:
                images = torch.tensor([shot.number for shot in whole])
                yield Batch(pixels(whole), images, torch.tensor([shot.label for shot in whole]))

    parts = []
    for embedded in scan(model, batches(), into=into):
        parts.append((embedded.values.half().cpu(), embedded.images, embedded.labels))
        if progress:
            progress(into.pictures, plan.count)
    none = torch.zeros(0, dtype=torch.long)
    values, images, labels = (
        (torch.cat(x) for x in zip(*parts, strict=True)) if parts else (none[:, None], none, none)
    )
    broken = tuple((s.number, s.name, s.reason) for s in seen if s.reason)
    return Shard(values, images, labels, tuple(s.name for s in seen), broken)


def _keep(making: Path, number: int, given: Shard) -> None:
    told: dict[str, Any] = {"names": given.names, "broken": given.broken}
    tensors = {"values": given.embeddings, "images": given.images, "labels": given.labels}
    store.save_state(making / f"shard-{number:06}.safetensors", tensors, told)


def _kept(making: Path, number: int) -> Shard:
    file = making / f"shard-{number:06}.safetensors"
    found = store.load_state(file)
    if found is None:
        raise WrongRequest(f"{file} is damaged; remove the folder {making} and build again")
    tensors, told = found
    return Shard(
        tensors["values"],
        tensors["images"],
        tensors["labels"],
        tuple(told["names"]),
        tuple((n, name, reason) for n, name, reason in told["broken"]),
    )
