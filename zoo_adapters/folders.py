"""Folders in the hub's format: config.json, and weights beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from featvis.model import WrongRequest
from zoo_adapters.facts import HEADS, KINDS

__all__ = ["FILES", "config", "has_weights", "measured_of"]

FILES = (  # safetensors first: they cannot hold code
    "model.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
)
ENDINGS = (".safetensors", ".bin", ".pth", ".tar")


def config(path: Path) -> dict[str, Any]:
    """What config.json tells of the weights, and the architecture."""
    try:
        told = json.loads((path / "config.json").read_text(encoding="utf-8"))
        cfg = {**told, **told.get("pretrained_cfg", {}), "architecture": told["architecture"]}
        return {**cfg, "num_classes": told.get("num_classes", cfg.get("num_classes", 1000))}
    except OSError:
        raise WrongRequest(
            f"{path} holds no config.json; a folder for timm has config.json and model.safetensors"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WrongRequest(
            f"{path / 'config.json'} is not a configuration of timm ({error!r}); "
            'the least it needs is {"architecture": "resnet18", "num_classes": 10}'
        ) from error


def has_weights(path: Path) -> bool:
    """Is there a file that timm would load?"""
    return path.is_dir() and any(file.suffix in ENDINGS for file in path.iterdir())


def measured_of(cfg: dict[str, Any]) -> dict[str, Any]:
    """What a configuration tells of its network as it was measured, as ours do: fields of Facts."""
    told = cfg.get("measured")
    if not isinstance(told, dict):
        return {}
    count, gmacs = told.get("parameters"), told.get("gmacs")
    found: dict[str, Any] = {}
    if isinstance(count, int):
        found |= {"parameters": count, "about": count}
    if isinstance(gmacs, int | float):
        found["gmacs"] = float(gmacs)
    for name, possible in (("kind", KINDS), ("head", HEADS)):
        if told.get(name) in possible:
            found[name] = told[name]
    return found
