"""Grids: which axes of an output run over the places of a map, and which over its channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from featvis.network.axes import of_places
from featvis.network.node import Node
from featvis.types import Layout

__all__ = ["Grids"]

# The axes of a layout that run over places.
PLACES = {"NCHW": (-2, -1), "NHWC": (1, 2), "NLC": (1,), "NCL": (-1,), "LNC": (0,)}


class Grids:
    """The map sizes of a network, and how an output's axes are told apart by them."""

    def __init__(
        self,
        size: tuple[int, int],
        convolved: list[tuple[int, int]],
        prefix: int | None,
        joined: Mapping[int, tuple[int, int]],
    ) -> None:
        self.joined = joined
        self.prefixes = (0, 1, 2, 5) if prefix is None else (0, prefix)
        self.sizes = list(dict.fromkeys(reversed(convolved)))  # the latest first
        for h, w in [*self.sizes, size]:  # stages reached by merging, without a convolution
            while h > 1 or w > 1:
                h, w = (h + 1) // 2, (w + 1) // 2
                if (h, w) not in self.sizes:
                    self.sizes.append((h, w))

    def layout(
        self, shape: tuple[int, ...], conv: bool, made: Node | None = None
    ) -> tuple[Layout, tuple[int, int]] | None:
        """Layout and (h, w) of an output of two pictures, or None where it is no map.

        `made`, its node, tells where there are as many channels as rows, columns or tokens.
        """
        known = made if made and len(made.shape) == len(shape) else None
        maybe = None
        for found in self._possible(shape, conv):
            axes = [axis % len(shape) for axis in PLACES[found[0].kind]]
            over = [of_places(known, axis) for axis in axes] if known else []
            if over and all(over):
                return found
            if maybe is None and False not in over:
                maybe = found
        return maybe

    def _possible(
        self, shape: tuple[int, ...], conv: bool
    ) -> Iterator[tuple[Layout, tuple[int, int]]]:
        """As which maps an output of this shape may be read, the likelier first."""
        if len(shape) == 3 and shape[0] == 2:
            yield from self._tokens(shape[1], shape[2])
        elif len(shape) == 3 and shape[1] == 2:
            yield from self._pictures_second(shape[0])
        elif len(shape) == 4 and shape[2] == 1 and shape[3] > 1:  # on their way through a 2-D pool
            yield from self._tokens(shape[1], shape[3])
        elif len(shape) == 4 and shape[2] * shape[3] > 1:
            first, last = (shape[1], shape[2]), (shape[2], shape[3])
            channels_last = not conv and first in self.sizes
            if channels_last and last not in self.sizes:
                yield Layout("NHWC"), first
            yield Layout("NCHW"), last
            if channels_last and last in self.sizes:
                yield Layout("NHWC"), first

    def _tokens(self, first: int, last: int) -> Iterator[tuple[Layout, tuple[int, int]]]:
        for h, w in self.sizes:
            for around in self._around(h * w, first):
                yield Layout("NLC", *around), (h, w)
            if h * w > 1 and h * w == last:
                yield Layout("NCL"), (h, w)

    def _pictures_second(self, tokens: int) -> Iterator[tuple[Layout, tuple[int, int]]]:
        for h, w in self.sizes:
            for around in self._around(h * w, tokens):
                yield Layout("LNC", *around), (h, w)

    def _around(self, places: int, tokens: int) -> Iterator[tuple[int, int]]:
        """How many of the tokens are before and behind the places, if there can be so many."""
        extra = tokens - places
        if places > 1 and sum(self.joined.get(tokens, (-1, 0))) == extra:
            yield self.joined[tokens]
        elif places > 1 and extra in self.prefixes:
            yield extra, 0
