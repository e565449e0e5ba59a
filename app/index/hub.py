"""The source `hf:NAME`: a data set of the Hugging Face hub, or a folder in its format, streamed.

`hf:NAME`, `hf:NAME@SPLIT` (train by default). Nothing is kept on disk; a picture is named by its
place in the stream, and reading one alone again walks there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import PIL.Image

from featvis import VisionModel, WrongRequest
from zoo_adapters.pictures import upright

from .source import Shot, ahead, shot_of


@dataclass(frozen=True)
class Hub:
    """A stream of rows with a picture, and a class where there is one."""

    name: str
    split: str
    count: int | None
    rows: Any  # datasets.IterableDataset, whose pictures are not decoded
    column: str  # of the picture
    label: str | None  # column of the class
    classes: tuple[str, ...]
    digest: str

    @property
    def spec(self) -> str:
        """As it is named."""
        return f"hf:{self.name}@{self.split}"

    def shots(self, model: VisionModel, numbers: range) -> Iterator[Shot]:
        """From the stream, decoded by threads."""

        def shot(pair: tuple[int, Any]) -> Shot:
            number, row = pair
            label = row[self.label] if self.label else -1
            return shot_of(number, f"{number:09}", label, _bytes(row[self.column]), model)

        with ThreadPoolExecutor() as pool:
            yield from ahead(pool, shot, zip(numbers, self._from(numbers.start), strict=False))

    def _from(self, start: int) -> Iterator[Any]:
        return islice(iter(self.rows.skip(start) if start else self.rows), None)

    def picture(self, name: str) -> PIL.Image.Image:
        """The row of that number."""
        return next(self.pictures([name]))

    def pictures(self, names: Sequence[str], size: int = 0) -> Iterator[PIL.Image.Image]:
        """Those rows; as long as their numbers rise, the stream is walked once."""
        at = 0
        rows: Iterator[Any] = iter(())
        for number in map(int, names):
            if number < at or not at:
                at, rows = number, self._from(number)
            row = next(islice(rows, number - at, None), None)
            if row is None:
                raise WrongRequest(f"{self.spec} has no row {number}")
            at = number + 1
            yield upright(_bytes(row[self.column]))


@lru_cache(maxsize=4)
def hub(rest: str, count: int | None = None) -> Hub:
    """The source "hf:REST"."""
    name, _, split = rest.partition("@")
    split = split or "train"
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise WrongRequest(
            f"hf:{rest} needs the package datasets, which is not installed; install it with: "
            "pip install 'featvis[hub]'"
        ) from error
    try:
        rows = datasets.load_dataset(name, split=split, streaming=True)
    except Exception as error:  # of the hub, its hosts, or its formats
        first = str(error).strip().partition("\n")[0]
        raise WrongRequest(
            f"hf:{rest} cannot be opened ({first}); check its name and split"
        ) from error
    features = rows.features or {}
    column = next((n for n, f in features.items() if isinstance(f, datasets.Image)), None)
    if column is None:
        raise WrongRequest(f"hf:{rest} has no column of pictures; it has {', '.join(features)}")
    label = next((n for n, f in features.items() if isinstance(f, datasets.ClassLabel)), None)
    known = rows.info.splits.get(split) if rows.info.splits else None
    total = known.num_examples if known and known.num_examples else None
    there = [n for n in (total, count) if n is not None]
    told = f"{name} {split} {rows.info.version} {rows.info.dataset_size} {total} {count}"
    return Hub(
        name,
        split,
        min(there) if there else None,
        rows.cast_column(column, datasets.Image(decode=False)),
        column,
        label,
        tuple(features[label].names) if label else (),
        hashlib.sha256(told.encode()).hexdigest(),
    )


def _bytes(cell: Any) -> Any:
    return cell["bytes"] if cell["bytes"] is not None else cell["path"]
