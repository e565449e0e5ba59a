"""Records: the answers that an index gives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Hit(NamedTuple):
    """A picture that excites a channel, and where."""

    image: str
    value: float
    position: tuple[int, int]  # row and column in the layer's map


class Ties(NamedTuple):
    """Pictures in which a channel has one and the same value, of which a sample is listed."""

    count: int
    value: float


class Statistics(NamedTuple):
    """One channel over all pictures."""

    mean: float  # over all positions of all pictures
    std: float
    active: float  # share of pictures in which it exceeds 0
    positive: float  # share of positions at which it does
    threshold: float  # exceeded by 0.5 % of all positions
    counts: NDArray[np.int64]  # (n,) pictures by the channel's maximum in them
    edges: NDArray[np.float64]  # (n + 1,) ends of the bins of the maximum


class Selectivity(NamedTuple):
    """How a channel's maximum depends on the class of the picture."""

    means: dict[str, float]  # class -> mean of the maxima, the largest first
    share: float  # (largest - mean of the others) / (|largest| + |mean of the others|), in [0, 1]


class Part(NamedTuple):
    """A part of objects, and how well a channel's detector covers it."""

    name: str
    iou: float


class Similar(NamedTuple):
    """A channel whose maxima rise and fall with those of another."""

    channel: int
    correlation: float


class Neighbour(NamedTuple):
    """A picture near another one."""

    image: str
    cosine: float


class Match(NamedTuple):
    """A picture of which a channel makes nearly the same as of another one."""

    image: str
    value: float  # the channel's maximum in it
