"""The state of a scan as tensors that a file can hold, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from featvis.probe import Best, Probe, Tally

SPLIT = ("ends",)
STATE = 4  # the form of all this: a state in another one is not gone on with


def packed(probe: Probe) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A probe as tensors by name, and the rest of it; none shares its memory with another."""
    tensors = {"per_class": probe.per_class, "sampled": probe.sampled}
    for i, tally in enumerate(probe.tallies.values()):
        for f in fields(Tally):
            part = getattr(tally, f.name)
            if f.name in SPLIT:
                for b in fields(Best):
                    tensors[f"{i}.{f.name}.{b.name}"] = getattr(part, b.name).clone()
            else:
                tensors[f"{i}.{f.name}"] = part.clone()
    rest = {
        "k": probe.k,
        "classes": probe.classes,
        "layers": list(probe.layers),
        "counted": list(probe.tallies),
        "same": probe.same,
        "pictures": probe.pictures,
    }
    return tensors, rest


def unpacked(
    tensors: Mapping[str, Tensor], rest: Mapping[str, Any], device: torch.device | str
) -> Probe:
    """The probe again, its tallies on a device."""

    def part(name: str, key: str) -> Any:
        if key in SPLIT:
            return Best(*(tensors[f"{name}.{key}.{b.name}"].to(device) for b in fields(Best)))
        return tensors[f"{name}.{key}"].to(device)

    tallies = {
        layer: Tally(**{f.name: part(str(i), f.name) for f in fields(Tally)})
        for i, layer in enumerate(rest["counted"])
    }
    return Probe(
        k=rest["k"],
        classes=rest["classes"],
        layers=tuple(rest["layers"]),
        tallies=tallies,
        same=dict(rest["same"]),
        pictures=rest["pictures"],
        per_class=tensors["per_class"],
        sampled=tensors["sampled"],
    )
