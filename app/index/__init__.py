"""Indexes: what excites every channel of a network, found once over a set of pictures and kept.

    index = open_index(model)                     # None where there is no index of that model
    index.layers, index.count                     # names of the layers; number of pictures
    index.top("layer3", 17, k=9)                  # (Hit(image, value, position), ...); .bottom
    index.picture(hit.image), index.label(hit.image)
    index.patch(model, "layer3", hit.position, hit.image)      # Patch(box, effective, note)
    index.stats("layer3", 17)                     # Statistics: mean, std, histogram, ...
    index.ties("layer3", 17, k=9)                 # Ties(count, value) of more than are listed
    index.percentile("layer3", 17, 2.5)           # of pictures whose maximum lies below 2.5
    index.selectivity("layer3", 17)               # per class: mean of the maxima
    index.parts("layer3", 17)                     # (Part(name, iou), ...), the best first
    index.similar("layer3", 17, k=8)              # (Similar(channel, correlation), ...)
    index.neighbours(featvis.probe.embed(model, image), k=12)  # (Neighbour(image, cosine), ...)
    index.embedding("scene-100042")
    seen = featvis.probe.pooled(model, image, ["layer3"])["layer3"]
    found = pool(index, model, "layer3")          # what the layer makes of 500 of the pictures
    by_layer(found, seen, k=12)                   # (Neighbour(image, cosine), ...)
    by_channel(found, seen, 17, k=12)             # (Match(image, value), ...)

An index of other weights, or of another version, is refused with the reason.
`featvis index build --model bundled:scenes-resnet --source scenes:` makes one; see docs/probe.md.
"""

from __future__ import annotations

from .build import build
from .opening import need_index, no_index, open_index
from .pooled import Pool, by_channel, by_layer, pool
from .reading import Index
from .records import Hit, Match, Neighbour, Part, Selectivity, Similar, Statistics, Ties
from .sources import source_of

__all__ = [
    "Hit",
    "Index",
    "Match",
    "Neighbour",
    "Part",
    "Pool",
    "Selectivity",
    "Similar",
    "Statistics",
    "Ties",
    "build",
    "by_channel",
    "by_layer",
    "need_index",
    "no_index",
    "open_index",
    "pool",
    "source_of",
]
