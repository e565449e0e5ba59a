"""The source `scenes:`: drawn pictures with exact masks of their parts, by their seeds.

No picture is kept anywhere: what is shown is drawn again from its seed, at any size.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import Tensor

from featvis import VisionModel, WrongRequest
from featvis.probe.dissect import GRID
from zoo_adapters.bundled.scenes import CLASSES, PARTS, SIZE, scene
from zoo_adapters.pictures import read_image

from .source import Shot, ahead

FIRST = 100_000  # seed of the first picture: none is among the examples or was trained on
COUNT = 5000
CHUNK = 16  # scenes that a process draws at a time
FINE = 4  # points per cell and axis at which masks are read
Drawn = tuple[NDArray[np.uint8], int, NDArray[np.uint8]]  # picture, class, whose pixel is whose


@dataclass(frozen=True)
class Scenes:
    """The scenes of the seeds from FIRST on."""

    count: int = COUNT
    keep: int = 0  # the first so many are kept in memory once they are drawn
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    kept: dict[tuple[int, int], Drawn] = field(default_factory=dict, compare=False, repr=False)

    @property
    def spec(self) -> str:
        """As it is named."""
        return f"scenes:{self.count}"

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the objects."""
        return CLASSES

    @property
    def digest(self) -> str:
        """Of some of the pictures, and which there are."""
        return f"{_drawn_here()}-{FIRST}-{self.count}"

    def shots(self, model: VisionModel, numbers: range) -> Iterator[Shot]:
        """Drawn at the size at which the networks of the zoo were trained, or the model's own."""
        size = max(SIZE, *model.size)
        for number, drawn in self._drawn(numbers, size):
            image = read_image(PIL.Image.fromarray(drawn[0]), model)
            yield Shot(number, f"scene-{FIRST + number}", drawn[1], image, owner=drawn[2])

    def _drawn(self, numbers: range, size: int) -> Iterator[tuple[int, Drawn]]:
        todo = [n for n in numbers if n < self.count and (n, size) not in self.kept]
        fresh = self._fresh(todo, size)
        for number in (n for n in numbers if n < self.count):
            known = self.kept.get((number, size)) or next(fresh)
            if number < self.keep:
                self.kept[number, size] = known
            yield number, known

    def _fresh(self, numbers: list[int], size: int) -> Iterator[Drawn]:
        if self.workers < 2 or len(numbers) <= CHUNK:
            yield from (_draw(FIRST + number, size) for number in numbers)
            return
        chunks = [(numbers[i : i + CHUNK], size) for i in range(0, len(numbers), CHUNK)]
        drawn = 0
        try:
            for chunk in ahead(_pool(self.workers), _draw_chunk, chunks, 4 * self.workers):
                yield from chunk
                drawn += len(chunk)
        except BrokenProcessPool:  # of a script that is no file, say: then we draw ourselves
            _pool.cache_clear()
            yield from (_draw(FIRST + number, size) for number in numbers[drawn:])

    def picture(self, name: str, size: int = SIZE) -> PIL.Image.Image:
        """The scene of that name, drawn again."""
        return _shown(_seed(name), size)

    def pictures(self, names: Sequence[str], size: int = 0) -> Iterator[PIL.Image.Image]:
        """Drawn by threads."""
        for start in range(0, len(names), CHUNK):
            yield from draw_together(list(names[start : start + CHUNK]), max(SIZE, size))


def scenes(rest: str, count: int | None = None) -> Scenes:
    """The source "scenes:REST": REST is the number of pictures, or nothing."""
    if rest and not rest.isdecimal():
        raise WrongRequest(f"scenes:{rest} is no source; scenes:500 has a number of pictures")
    number = int(rest) if rest else COUNT
    if not 1 <= number <= 800_000:
        raise WrongRequest("there are 1 to 800000 scenes; without a number they are 5000")
    return Scenes(min(number, count or number))


def draw_together(names: list[str], size: int = SIZE) -> list[PIL.Image.Image]:
    """Several scenes, drawn by threads; those shown lately are at hand."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda name: _shown(_seed(name), size), names))


LATELY: dict[tuple[int, int], PIL.Image.Image] = {}  # seed and size -> picture
LOCK = Lock()


def _shown(seed: int, size: int) -> PIL.Image.Image:
    if (known := LATELY.get((seed, size))) is not None:
        return known
    return _remember((seed, size), PIL.Image.fromarray(scene(seed, size=size).image))


def _remember(key: tuple[int, int], picture: PIL.Image.Image) -> PIL.Image.Image:
    with LOCK:
        while len(LATELY) >= 256:
            LATELY.pop(next(iter(LATELY)))
        LATELY[key] = picture
    return picture


def _seed(name: str) -> int:
    if not name.startswith("scene-") or not name[6:].isdecimal():
        raise WrongRequest(f"there is no scene {name!r}; they are named as scene-{FIRST}")
    return int(name[6:])


@lru_cache(maxsize=1)
def _pool(workers: int) -> ProcessPoolExecutor:
    """Processes that draw; they are begun afresh, as threads of torch do not survive a fork."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _give_way)


def _give_way() -> None:
    """Draw while the network waits: the threads of a pass wait for the slowest one of them."""
    if hasattr(os, "nice"):  # not on Windows
        os.nice(19)


def _draw_chunk(argument: tuple[list[int], int]) -> list[Drawn]:
    return [_draw(FIRST + number, argument[1]) for number in argument[0]]


def _draw(seed: int, size: int) -> Drawn:
    made = scene(seed, size=size)
    owner = np.zeros((size, size), np.uint8)
    for name, mask in made.parts.items():
        owner[mask] = PARTS.index(name) + 1
    return made.image, made.label, owner


@lru_cache(maxsize=1)
def _drawn_here() -> str:
    """A hash of eight scenes as they are drawn here and now."""
    drawn = (_draw(FIRST + 101 * i, 64) for i in range(8))
    return hashlib.sha256(b"".join(image.tobytes() for image, _, _ in drawn)).hexdigest()[:16]


def shares(shot: Shot) -> Tensor:
    """The share of each cell of the network's input that each part covers: (P, GRID, GRID)."""
    assert shot.image is not None
    top, left, bottom, right = shot.image.box
    points = (np.arange(GRID * FINE) + 0.5) / (GRID * FINE)
    height, width = shot.owner.shape
    rows = np.clip((top + points * (bottom - top)).astype(int), 0, height - 1)
    columns = np.clip((left + points * (right - left)).astype(int), 0, width - 1)
    part = torch.from_numpy(shot.owner[np.ix_(rows, columns)]).long()
    cell = torch.arange(GRID * FINE) // FINE
    at = (part * GRID + cell[:, None]) * GRID + cell
    counts = torch.bincount(at.flatten(), minlength=(len(PARTS) + 1) * GRID * GRID)
    return counts.view(-1, GRID, GRID)[1:].float() / FINE**2
