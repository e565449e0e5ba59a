"""Indexes: what excites every channel of a network, found once over a set of pictures and kept.

    index = open_index(model)            # the user's own, or the one that comes with featvis
    for hit in index.top("layer3", 17):  # Hit(image="scene-100042", value=3.1, position=(4, 9))
        picture = index.picture(hit.image)

`featvis index build --model bundled:scenes-resnet --source scenes:` makes one; see docs/probe.md.
"""

from __future__ import annotations

from .build import build
from .reading import Hit, Index, Neighbour, Part, Selectivity, Similar, Statistics, open_index
from .sources import source_of

__all__ = [
    "Hit",
    "Index",
    "Neighbour",
    "Part",
    "Selectivity",
    "Similar",
    "Statistics",
    "build",
    "open_index",
    "source_of",
]
