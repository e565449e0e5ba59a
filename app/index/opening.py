"""Opening an index: the one of a model, if there is one that fits it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from featvis import VisionModel, WrongRequest

from . import store
from .finish import bounds
from .reading import Index

OPENED: dict[tuple[str, float], Index] = {}


def open_index(model: VisionModel, source: str | None = None) -> Index | None:
    """The index of a model: the user's, or the one that comes with featvis; None without one.

    `source`: only that over these pictures, "scenes:", "scenes:500", "folder:PATH". An index of
    the same name but of other weights, or of another version, is refused.
    """
    refused: WrongRequest | None = None
    for folder in [*store.own(), store.shipped(model.name)]:
        told = store.told_of(folder)
        if told.get("model") != model.name:
            continue
        if source is not None and not _same(str(told.get("source")), source):
            continue
        try:
            index = _opened(folder)
            _check(index.manifest, model)
        except WrongRequest as error:
            refused = error
        else:
            return index
    if refused is not None:
        raise refused
    return None


def need_index(model: VisionModel, source: str | None = None) -> Index:
    """The index of a model; without one the request is refused."""
    index = open_index(model, source)
    if index is None:
        raise no_index(model.name, source)
    return index


def no_index(model: str, source: str | None = None) -> WrongRequest:
    """That there is no index, and how to build it."""
    if source is None:
        return WrongRequest(f"{model} has no index; featvis index build --model {model} makes one")
    return WrongRequest(
        f"{model} has no index over {source}; featvis index build --model {model} "
        f"--source {source} makes one"
    )


def _opened(folder: Path) -> Index:
    key = (str(folder), (folder / "manifest.json").stat().st_mtime)
    if key not in OPENED:
        OPENED[key] = Index(folder, store.read(folder))
    return OPENED[key]


def _same(there: str, asked: str) -> bool:
    kind, _, rest = asked.partition(":")
    return there == asked or (kind == "scenes" and not rest and there.startswith("scenes:"))


def _check(manifest: store.Manifest, model: VisionModel) -> None:
    if manifest.weights != store.weights(model):
        raise WrongRequest(
            f"the index of {manifest.model} over {manifest.source} was built with other weights or "
            f"another input size; build it again with: featvis index build "
            f"--model {manifest.model} --source {manifest.source}"
        )
    now, then = bounds(model, manifest.layers), manifest.bounds
    names = [name for name in manifest.layers if now.get(name) != then.get(name)]
    if names:
        raise WrongRequest(
            f"the index of {manifest.model} over {manifest.source} ranks {names[0]} by the "
            f"values {_where(then, names[0])}, and this version of featvis by those "
            f"{_where(now, names[0])}; build it again with: featvis index build "
            f"--model {manifest.model} --source {manifest.source}"
        )


def _where(bounds: Mapping[str, str], layer: str) -> str:
    return f"before {bounds[layer]}" if layer in bounds else "that it passes on"
