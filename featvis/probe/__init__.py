"""Probing: what excites each channel of a network, from one pass over any number of pictures.

>>> state = probe(model, k=9, classes=32)
>>> for embedded in scan(model, batches, into=state): ...
>>> strongest(state.tally("layer3").top, channel=17)
[(102, 3.1, 77), ...]

`combined` merges what was seen on several machines; see `featvis.probe.tally` for what is kept.
"""

from featvis.probe.best import Best, ties_at
from featvis.probe.dissect import Masked, dissect
from featvis.probe.embed import embed, embedder
from featvis.probe.patch import Patch, patch
from featvis.probe.pooled import Pooled, pooled
from featvis.probe.query import (
    Moments,
    alike,
    class_means,
    moments,
    percentile,
    quantile,
    strongest,
)
from featvis.probe.scan import Batch, Embedded, Probe, combined, probe, scan
from featvis.probe.tally import Tally

__all__ = [
    "Batch",
    "Best",
    "Embedded",
    "Masked",
    "Moments",
    "Patch",
    "Pooled",
    "Probe",
    "Tally",
    "alike",
    "class_means",
    "combined",
    "dissect",
    "embed",
    "embedder",
    "moments",
    "patch",
    "percentile",
    "pooled",
    "probe",
    "quantile",
    "scan",
    "strongest",
    "ties_at",
]
