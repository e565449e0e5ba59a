"""The store: where indexes lie, and how they are written so that a kill at any moment harms none.

    FOLDER/manifest.json        which network, which pictures, how many; `Manifest`
    FOLDER/index.safetensors    the arrays (compressed by xz in those that come with featvis)
    FOLDER/names.txt            of folders and the hub: the name of each picture, a line each
    FOLDER.part/                an index in the making: the state after the last shard

A file is written beside its place and then moved there, which happens wholly or not at all.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
from numpy.typing import NDArray
from torch import Tensor

from featvis import VisionModel, WrongRequest
from zoo_adapters import bundled

from ..machine import disk_store

FORMAT = 1
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Manifest:
    """What an index is of. Nothing here depends on when or how fast it was made."""

    format: int
    featvis: str  # version that made it
    model: str
    weights: str  # hash of the weights and of the preprocessing
    source: str  # "scenes:3000"
    digest: str  # of the pictures
    count: int  # pictures seen
    broken: tuple[tuple[str, str], ...]  # those skipped: name and reason
    k: int
    layers: dict[str, int]  # layer -> number under which its arrays are kept
    sizes: dict[str, tuple[int, int]]  # (h, w) of its map
    classes: tuple[str, ...]
    per_class: tuple[int, ...]  # pictures of each
    embedding: str  # what it is, in words
    parts: tuple[str, ...]  # that were looked for, () where pictures have no masks
    dissected: int  # pictures over which they were
    bounds: dict[str, str] = field(default_factory=dict)  # layer -> before what its units are taken


def root() -> Path:
    """Where a user's indexes lie: FEATVIS_INDEXES, or the cache folder."""
    given = os.environ.get("FEATVIS_INDEXES")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(cache) / "featvis" / "indexes"


def folder_of(model: str, source: str) -> Path:
    """The folder of an index."""
    short = [re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")[-60:] for text in (model, source)]
    exact = hashlib.sha256(f"{model}\0{source}".encode()).hexdigest()[:8]
    return root() / f"{short[0]}--{short[1]}--{exact}"


def own() -> list[Path]:
    """The folders of the user's indexes."""
    found = (path.parent for path in root().glob("*/manifest.json"))
    return sorted(folder for folder in found if folder.suffix != ".part")


def shipped(model: str) -> Path:
    """Where the index that comes with featvis lies, if there is one for that model."""
    zoo, _, name = model.partition(":")
    known = zoo == "bundled" and name in bundled.names()
    return bundled.indexes() / (name if known else "none")  # no other name becomes a path


def told_of(folder: Path) -> dict[str, Any]:
    """What the manifest of an index says, whatever its version; {} where there is none."""
    try:
        told = json.loads((folder / "manifest.json").read_text("utf8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def read(folder: Path) -> Manifest:
    """The manifest of an index; one of another version is refused."""
    told = told_of(folder)
    if not told:
        raise WrongRequest(f"{folder.name} holds no index that can be read; build it again")
    if told.get("format") != FORMAT:
        raise WrongRequest(
            f"the index {folder.name} is of format {told.get('format')}, but this version of "
            f"featvis reads format {FORMAT}; build it again with: featvis index build "
            f"--model {told.get('model')} --source {told.get('source')}"
        )
    try:
        for name in ("broken", "classes", "per_class", "parts"):
            told[name] = tuple(tuple(x) if isinstance(x, list) else x for x in told[name])
        told["sizes"] = {name: tuple(size) for name, size in told["sizes"].items()}
        return Manifest(**told)
    except (KeyError, TypeError, AttributeError) as error:
        raise WrongRequest(
            f"the index {folder.name} has no manifest that can be read; build it again"
        ) from error


def load(folder: Path) -> Arrays:
    """The arrays of an index."""
    plain, packed = folder / "index.safetensors", folder / "index.safetensors.xz"
    try:
        data = plain.read_bytes() if plain.exists() else lzma.decompress(packed.read_bytes())
        return safetensors.numpy.load(data)
    except (OSError, EOFError, lzma.LZMAError, safetensors.SafetensorError) as error:
        raise damaged(folder) from error


def damaged(folder: Path) -> WrongRequest:
    """The refusal of an index that cannot be read to its end."""
    return WrongRequest(
        f"the index {folder.name} is damaged; remove it and build it again with: featvis index "
        "build"
    )


def names(folder: Path) -> list[str] | None:
    """The name of each picture, None where it follows from its number."""
    file = folder / "names.txt"
    return file.read_text("utf8", "surrogateescape").split("\n") if file.exists() else None


def save(
    folder: Path, manifest: Manifest, arrays: Arrays, names: list[str] | None, *, packed: bool
) -> None:
    """Put an index in its place, wholly or not at all; one that lies there is replaced."""
    made = folder.with_name(f"{folder.name}.part") / "whole"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    data = safetensors.numpy.save({name: np.ascontiguousarray(a) for name, a in arrays.items()})
    if packed:
        write(made / "index.safetensors.xz", lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
    else:
        write(made / "index.safetensors", data)
    if names is not None:
        write(made / "names.txt", "\n".join(names).encode("utf8", "surrogateescape"))
    text = json.dumps(asdict(manifest), indent=1, ensure_ascii=False) + "\n"
    write(made / "manifest.json", text.encode("utf8"))
    old = folder.with_name(f"{folder.name}.part") / "old"
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    made.rename(folder)
    shutil.rmtree(folder.with_name(f"{folder.name}.part"), ignore_errors=True)


def write(file: Path, data: bytes) -> None:
    """Write a file wholly or not at all, also when the power fails."""
    disk_store.write(file, data, sure=True)


def save_state(file: Path, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
    """The state of an index in the making: tensors, and what JSON can hold, in one file."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write(file, safetensors.torch.save(whole, metadata={"told": json.dumps(told)}))


def load_state(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """That state, or None where there is none that can be read: then it is made again."""
    if not file.exists():
        return None
    try:
        with safetensors.safe_open(file, "pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            return tensors, json.loads(opened.metadata()["told"])
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError):
        return None


def weights(model: VisionModel) -> str:
    """A hash of a network: its weights, and how pictures are made its input."""
    facts = (model.fingerprint, model.mean.tolist(), model.std.tolist(), model.size, model.input)
    return hashlib.sha256(repr(facts).encode()).hexdigest()
