"""Folders in the hub's format: config.json, and weights beside it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from featvis.model import WrongRequest, brief
from zoo_adapters import fields
from zoo_adapters.facts import HEADS, KINDS

__all__ = ["FILES", "config", "document", "has_weights", "measured_of", "reason"]

FILES = (  # safetensors first: they cannot hold code
    "model.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
)
ENDINGS = (".safetensors", ".bin", ".pth", ".tar")
LONGEST = 16_000_000  # bytes of a file that describes a network


def document(
    path: Path, file: str, possible: Mapping[str, fields.Field], name: str, library: str
) -> dict[str, Any]:
    """What a JSON file of the folder of network `name` tells, its fields checked."""
    if not _is_file(path / file):
        raise WrongRequest(
            f"{name} holds no {file}; a folder for {library} has config.json and model.safetensors"
        )
    try:
        with (path / file).open("rb") as opened:
            data = opened.read(LONGEST + 1)
        if len(data) > LONGEST:
            raise ValueError(f"it is larger than {LONGEST / 1e6:g} MB")
        table = json.loads(data.decode("utf-8"), parse_constant=_constant)
        if not isinstance(table, dict):
            raise ValueError(f"it is a table of fields, not {brief(table)}")
    except (OSError, ValueError, RecursionError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise WrongRequest(
            f"{name}: {file} cannot be read ({cause}); it is JSON in UTF-8, as {library} writes it"
        ) from None
    fields.check(table, possible, f"{name}, {file}")
    return table


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _is_file(path: Path) -> bool:
    """Is it a plain file? Pipes and devices have no end."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def config(path: Path, name: str) -> dict[str, Any]:
    """What config.json tells of the weights, and the architecture."""
    table = document(path, "config.json", fields.TIMM, name, "timm")
    if "architecture" not in table:
        raise WrongRequest(
            f"{name}: config.json names no architecture; the least it needs is "
            '{"architecture": "resnet18", "num_classes": 10}'
        )
    nested = table.get("pretrained_cfg", {})
    fields.check(nested, fields.TIMM, f"{name}, config.json")
    cfg = {**table, **nested, "architecture": table["architecture"]}
    return {**cfg, "num_classes": table.get("num_classes", cfg.get("num_classes", 1000))}


def has_weights(path: Path, name: str) -> bool:
    """Is there a file that timm would load?"""
    try:
        files = [file for file in path.iterdir() if file.suffix in ENDINGS]
    except OSError:
        return False
    if not all(map(_is_file, files)):
        raise WrongRequest(
            f"{name} holds weights that are no plain file; take them away, or put the file there"
        )
    return bool(files)


def measured_of(cfg: dict[str, Any]) -> dict[str, Any]:
    """What a configuration tells of its network as it was measured, as ours do: fields of Facts."""
    told = cfg.get("measured")
    if not isinstance(told, dict):
        return {}
    count, gmacs = told.get("parameters"), told.get("gmacs")
    found: dict[str, Any] = {}
    if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
        found |= {"parameters": count, "about": count}
    if isinstance(gmacs, int | float) and not isinstance(gmacs, bool) and 0 <= gmacs < 1e9:
        found["gmacs"] = float(gmacs)
    for name, possible in (("kind", KINDS), ("head", HEADS)):
        if told.get(name) in possible:
            found[name] = told[name]
    return found


def reason(error: BaseException) -> str:
    """What a library's error says, in a short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return textwrap.shorten(text, 200, placeholder=" ...").rstrip(":.")
