"""Plans: all that the bytes of an index depend on, and what one shard of a plan gives."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from torch import Tensor

from featvis import __version__

from . import store
from .state import STATE


@dataclass(frozen=True)
class Plan:
    """All that the bytes of an index depend on."""

    model: str
    weights: str
    source: str
    digest: str
    count: int | None  # None: as many as there are
    layers: tuple[str, ...]
    k: int
    batch: int
    shard: int
    packed: bool

    def numbers(self, shard: int) -> range:
        """The pictures of a shard."""
        end = (shard + 1) * self.shard
        return range(shard * self.shard, end if self.count is None else min(end, self.count))

    @property
    def shards(self) -> int | None:
        """How many there are, None where only the end will tell."""
        return None if self.count is None else -(-self.count // self.shard)

    @property
    def key(self) -> str:
        """Hash the plan and the version that carries it out."""
        told = {**asdict(self), "format": store.FORMAT, "state": STATE, "featvis": __version__}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Shard:
    """The results of one shard, besides its probe."""

    embeddings: Tensor  # (n, D) float16
    images: Tensor  # (n,)
    labels: Tensor  # (n,)
    names: tuple[str, ...]  # of all its pictures, broken ones too
    broken: tuple[tuple[int, str, str], ...]  # number, name, reason
