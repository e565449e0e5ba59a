"""Facts that a module carries: its normalization, its size and its labels.

Networks of timm have a `pretrained_cfg`, those of transformers a `config`. Which library reads them
is told by the attribute, and the library is there, as it made the module.
"""

from __future__ import annotations

from statistics import mean
from typing import NamedTuple

from torch import nn

from featvis.model import Preprocessing

from .registry import adapter

__all__ = ["Carried", "carried"]


class Carried(NamedTuple):
    """What a module says of itself; None where it says nothing."""

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    labels: tuple[str, ...] | None = None
    input: Preprocessing | None = None
    embeds: bool = False


def carried(module: nn.Module, bands: int) -> Carried:
    """The facts that a module of timm or transformers carries; of others none.

    Where it takes another number of bands than three, each gets the average of the three numbers.
    """
    known = Carried()
    if isinstance(getattr(module, "pretrained_cfg", None), dict):
        known = adapter("timm").carried(module)
    elif hasattr(getattr(module, "config", None), "model_type"):
        known = adapter("transformers").carried(module)
    if known.mean is None or known.std is None or len(known.mean) == bands:
        return known
    return known._replace(mean=(mean(known.mean),) * bands, std=(mean(known.std),) * bands)
