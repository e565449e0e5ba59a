"""The bundled zoo: our own small networks, trained on scenes that we draw ourselves."""

from __future__ import annotations

from pathlib import Path

__all__ = ["folder", "indexes", "names"]

WEIGHTS = Path(__file__).parent / "weights"


def names() -> list[str]:
    """The networks that come with the package."""
    return sorted(path.parent.name for path in WEIGHTS.glob("*/config.json"))


def folder(name: str) -> Path:
    """The hub folder (config.json, model.safetensors) of one of them."""
    return WEIGHTS / name


def indexes() -> Path:
    """Where the indexes over scenes lie that come with them; `app.index` writes and reads them."""
    return Path(__file__).parent / "indexes"
