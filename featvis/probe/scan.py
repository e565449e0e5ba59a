"""The scan: one pass over pictures that looks at every channel of every layer at once.

Maps are reduced while they pass and never kept, so that memory does not grow with the number of
pictures, and the pass costs little more than the bare forward pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from featvis.hooks import first_tensor, hooked
from featvis.model import VisionModel
from featvis.probe.best import EMPTY
from featvis.probe.embed import Embedder, embedder
from featvis.probe.exact import hashed
from featvis.probe.reduction import Reduced, reduced
from featvis.probe.tally import Tally, drawn, empty, fold, joined, merged
from featvis.record import unbound, unit_maps

__all__ = ["Batch", "Embedded", "Probe", "combined", "probe", "scan"]

SAMPLE = 512  # pictures whose maxima are kept, to compare channels
TOGETHER = 8192  # channels, of several layers, that are counted at a time: each operation costs


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures in one forward pass."""

    pixels: Tensor  # (B, 3, H, W), RGB in [0, 1]
    images: Tensor  # (B,) their numbers, >= 0, each one once in a data set
    labels: Tensor  # (B,) their classes, -1 where unknown


@dataclass(frozen=True, eq=False)
class Embedded:
    """The embeddings of a batch."""

    images: Tensor  # (B,)
    labels: Tensor  # (B,)
    values: Tensor  # (B, D)


@dataclass(eq=False)
class Probe:
    """All that is known of a network's channels from the pictures seen so far."""

    k: int
    classes: int
    layers: tuple[str, ...]  # those asked for
    tallies: dict[str, Tally] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)  # layer -> the layer that gives its output
    pictures: int = 0
    per_class: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))  # (K,)
    sampled: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))  # (S,)
    # of layers that are counted together, whose tallies are parts of it
    _joined: dict[tuple[str, ...], Tally] = field(default_factory=dict, init=False, repr=False)

    def together(self, found: Mapping[str, Reduced]) -> Tally:
        """The tallies of these layers in one, begun where there are none."""
        names = tuple(found)
        if names not in self._joined:
            old = [self.tallies.get(name) or self._empty(one.ends) for name, one in found.items()]
            whole, parts = joined(old)
            kept = {key: one for key, one in self._joined.items() if found.keys().isdisjoint(key)}
            self._joined = {**kept, names: whole}
            self.tallies |= zip(names, parts, strict=True)
        return self._joined[names]

    def _empty(self, like: Tensor) -> Tally:
        sample = len(self.sampled)
        return empty(like.shape[2], k=self.k, classes=self.classes, sample=sample, like=like)

    def tally(self, layer: str) -> Tally:
        """The tally of a layer; several may be one and the same tensor, which is counted once."""
        return self.tallies[self.same.get(layer, layer)]


def probe(
    model: VisionModel,
    layers: Sequence[str] | None = None,
    *,
    k: int = 9,
    classes: int = 0,
    sample: int = SAMPLE,
) -> Probe:
    """A probe that has seen nothing; of all layers where none are named."""
    names = tuple(model.layer(name).name for name in (model.layers if layers is None else layers))
    none = torch.full((sample,), EMPTY)
    return Probe(k, classes, names, per_class=torch.zeros(classes).long(), sampled=none)


def scan(model: VisionModel, batches: Iterable[Batch], into: Probe) -> Iterator[Embedded]:
    """Show batches to `into`, one after the other; what is given is their embeddings.

    The statistics of the maps are exact and do not depend on the batches; the network's own
    rounding may, in the last digits of a float32.
    """
    modules = {name: model.module.get_submodule(name) for name in into.layers}
    how = embedder(model)
    for batch in batches:
        with torch.no_grad():
            yield _seen(model, modules, how, batch, into)


def _seen(
    model: VisionModel,
    modules: Mapping[str, nn.Module],
    how: Embedder,
    batch: Batch,
    into: Probe,
) -> Embedded:
    # convolutions and pools go over them faster so, and the probe over what they give
    pixels = batch.pixels.to(model.like).contiguous(memory_format=torch.channels_last)
    images, labels = batch.images.to(pixels.device), batch.labels.to(pixels.device)
    sampled, chosen = _sampled(into.sampled, batch.images)
    chosen = None if chosen is None else chosen.to(pixels.device)
    done: set[str] = set()
    places: dict[int, Tensor] = {}  # drawn once for all layers of a size
    before: list[tuple[Tensor, int, str]] = []  # the last output: a container gives it again
    found: dict[str, Reduced] = {}  # of layers that are not counted yet

    def seen(name: str, _: nn.Module, out: Any) -> None:
        if name in done:  # a shared module: its first call is the layer
            return
        done.add(name)
        raw = first_tensor(out)
        if before and before[0][0] is raw and before[0][1] == raw._version:
            into.same[name] = before[0][2]
            return
        before[:] = [(raw, raw._version, name)]
        maps = unit_maps(model, name, raw).detach()
        size = maps.shape[2] * maps.shape[3]
        if size not in places:
            places[size] = drawn(images, size)
        known = into.tallies.get(name)
        found[name] = reduced(maps, places[size], known.ends.values if known else None, into.k)
        if sum(one.ends.shape[2] for one in found.values()) >= TOGETHER:
            count()

    def count() -> None:
        if found:
            fold(into.together(found), [*found.values()], images, labels, chosen)
            found.clear()

    with unbound(model, modules), hooked(modules, seen):
        embedding = how.run(pixels)
    count()
    into.pictures += len(images)
    into.sampled = sampled
    known = batch.labels[batch.labels >= 0]
    if into.classes:
        into.per_class += torch.bincount(known, minlength=into.classes)
    return Embedded(batch.images, batch.labels, embedding)


def _sampled(old: Tensor, new: Tensor) -> tuple[Tensor, Tensor | None]:
    """The sample (S,) of old and new pictures, and where they stand in old + new; None: as before.

    Those whose numbers have the smallest hashes: a random choice that knows no order.
    """
    joined = torch.cat([old, new])
    keys = torch.where(joined == EMPTY, EMPTY, hashed(joined, salt=7))
    order = keys.argsort(stable=True)[: len(old)]
    if bool((order == torch.arange(len(old))).all()):
        return old, None
    return joined[order], order


def combined(a: Probe, b: Probe) -> Probe:
    """What was seen by both, of different pictures: the same as if one had seen them all."""
    if (a.k, a.classes, a.layers) != (b.k, b.classes, b.layers):
        raise ValueError("only probes of the same layers, with the same k and classes, are merged")
    sampled, chosen = _sampled(a.sampled, b.sampled)
    if chosen is None:
        chosen = torch.arange(len(sampled))
    if not b.tallies or not a.tallies:
        return a if a.tallies else b
    tallies = {
        name: merged(a.tallies[name], b.tallies[name], chosen.to(a.tallies[name].sums.device))
        for name in a.tallies
    }
    pictures, per_class = a.pictures + b.pictures, a.per_class + b.per_class
    return Probe(a.k, a.classes, a.layers, tallies, dict(a.same), pictures, per_class, sampled)
