"""A source: pictures by their numbers, in order, as a network takes them, and by their names.

A picture that cannot be read is given without pixels, with the reason: it is skipped, never the
end of a scan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import PIL.Image
import torch
from torch import Tensor

from featvis import Image, VisionModel, WrongRequest
from zoo_adapters.pictures import read_image

T, V = TypeVar("T"), TypeVar("V")


@dataclass(frozen=True, eq=False)
class Shot:
    """One picture of a source as a network takes it."""

    number: int
    name: str
    label: int  # index into the source's classes, -1 where unknown
    image: Image | None  # None: it cannot be read
    reason: str = ""  # why not
    owner: Any = None  # scenes: (H, W) uint8, whose pixel is whose: 0, or 1 + index of the part


class Source(Protocol):
    """What a scan may know of a set of pictures."""

    @property
    def spec(self) -> str:
        """As it is named: "scenes:3000"."""

    @property
    def count(self) -> int | None:
        """Number of pictures, None where only the end will tell."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, () where there are none."""

    @property
    def digest(self) -> str:
        """Changes when the set of pictures does."""

    def shots(self, model: VisionModel, numbers: range) -> Iterator[Shot]:
        """The pictures of these numbers, in order; it ends early where there are no more."""

    def picture(self, name: str) -> PIL.Image.Image:
        """The whole picture, RGB."""

    def pictures(self, names: Sequence[str], size: int = 0) -> Iterator[PIL.Image.Image]:
        """Several, in order, which is faster; what is drawn is at least `size` pixels wide."""


def shot_of(
    number: int, name: str, label: int, picture: Path | bytes | PIL.Image.Image, model: VisionModel
) -> Shot:
    """A picture as a network takes it, or the reason why not."""
    try:
        return Shot(number, name, label, read_image(picture, model))
    except WrongRequest as error:
        return Shot(number, name, label, None, str(error))


def ahead(pool: Executor, make: Callable[[T], V], items: Iterable[T], window: int = 32) -> Any:
    """What `make` gives of each item, in order; at most `window` of them are made ahead."""
    todo = iter(items)
    waiting = [pool.submit(make, item) for item in islice(todo, window)]
    while waiting:
        done = waiting.pop(0).result()
        waiting.extend(pool.submit(make, item) for item in islice(todo, 1))
        yield done


def pixels(shots: list[Shot]) -> Tensor:
    """Their values (B, 3, H, W)."""
    return torch.cat([shot.image.values for shot in shots if shot.image is not None])
