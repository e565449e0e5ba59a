"""The indexes that come with featvis: of the five bundled networks, over the same scenes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import zoo_adapters

from . import store
from .build import Progress, build
from .scenes import COUNT, Scenes


def build_all(progress: Progress | None = None, source: Scenes | None = None) -> Iterator[Path]:
    """Build them again into the package; the scenes are drawn once. Their folders."""
    source = source or Scenes(COUNT, keep=COUNT)
    for name in zoo_adapters.names("bundled"):
        place = store.shipped(name)
        place.parent.mkdir(exist_ok=True)
        yield build(zoo_adapters.load(name), source, folder=place, small=True, progress=progress)
        shutil.rmtree(place.with_name(f"{place.name}.part"), ignore_errors=True)
