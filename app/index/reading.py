"""Reading an index: every question that the window or a script may ask of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import Tensor

from featvis import Image, VisionModel, WrongRequest
from featvis.probe import Patch, patch, percentile
from featvis.probe.exact import edges
from zoo_adapters.pictures import framing

from . import store
from .finish import means_of
from .neighbours import Nearest, nearest
from .records import Hit, Neighbour, Part, Selectivity, Similar, Statistics, Ties
from .scenes import FIRST
from .source import Source
from .sources import source_of

FEW = 16  # pictures, below which their average embedding says little


class Index:
    """An index on disk. Its arrays are read once; nothing is changed."""

    def __init__(self, folder: Path, manifest: store.Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that were looked at, in the order in which they run."""
        return tuple(self.manifest.layers)

    @property
    def count(self) -> int:
        """Number of pictures."""
        return self.manifest.count

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that is kept, see `app.index.finish`."""
        return store.load(self.folder)

    @cached_property
    def source(self) -> Source:
        """Where the pictures come from."""
        return source_of(self.manifest.source)

    @cached_property
    def names(self) -> list[str]:
        """The name of each picture by its number."""
        named, count = store.names(self.folder), int(self.arrays["images"].max()) + 1
        if named is not None and len(named) < count:
            raise store.damaged(self.folder)
        return named or [f"scene-{FIRST + n}" for n in range(count)]

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Name of a picture -> row of its embedding."""
        return {self.names[number]: row for row, number in enumerate(self.arrays["images"])}

    def channels(self, layer: str) -> int:
        """Number of channels of a layer."""
        return len(self._of(layer, "maxima"))

    def top(self, layer: str, channel: int, k: int = 9) -> tuple[Hit, ...]:
        """The pictures in which a channel is strongest, one place each."""
        return self._hits("top", layer, channel, k)

    def bottom(self, layer: str, channel: int, k: int = 9) -> tuple[Hit, ...]:
        """The pictures in which it is weakest, where it is; all 0 behind a rectifier."""
        return self._hits("bottom", layer, channel, k)

    def ties(self, layer: str, channel: int, k: int = 9, which: str = "top") -> Ties | None:
        """The pictures that tie with the last one of `top`, or `bottom`, if more do than it lists.

        None also from an index that was built before they were counted.
        """
        hits = self._hits(which, layer, channel, k)
        if not hits or f"{self.number(layer)}.{which}.ties" not in self.arrays:
            return None
        value = hits[-1].value
        every = self._hits(which, layer, channel, self.manifest.k)
        count = sum(hit.value == value for hit in every)
        if value == every[-1].value:
            count = max(count, int(self._row_of(layer, f"{which}.ties", channel)))
        listed = sum(hit.value == value for hit in hits)
        return Ties(count, value) if count > listed else None

    def picture(self, image: str) -> PIL.Image.Image:
        """The whole picture: a scene is drawn again, a file is read."""
        return self.source.picture(image)

    def pictures(self, images: Sequence[str]) -> list[PIL.Image.Image]:
        """Several at once, which is faster than one by one where they have to be drawn."""
        return list(self.source.pictures(images))

    def label(self, image: str) -> str:
        """The class of a picture, "" where it has none."""
        number = int(self.arrays["labels"][self._row(image)])
        return self.manifest.classes[number] if number >= 0 else ""

    def patch(self, model: VisionModel, layer: str, position: tuple[int, int], image: str) -> Patch:
        """What a position sees, on the picture as `picture` gives it."""
        seen = self.picture(image)
        original = (seen.height, seen.width)
        box = framing(original, model.size, model.input).box(original)
        frame = torch.empty(1, 3, *model.size, device="meta")  # where it lies is all that matters
        return patch(model, layer, position, Image(frame, box, original))

    def stats(self, layer: str, channel: int) -> Statistics:
        """The distribution of a channel: exact moments, and a histogram of its maxima."""
        numbers = self._row_of(layer, "moments", channel, axis=1)
        counts = self._row_of(layer, "maxima", channel).astype(np.int64)
        full = counts.nonzero()[0]
        first, last = (int(full[0]), int(full[-1])) if len(full) else (0, 0)
        mean, std, active, positive, threshold = (float(x) for x in numbers)
        return Statistics(
            mean, std, active, positive, threshold,
            counts[first : last + 1], edges().numpy()[first : last + 2],
        )  # fmt: skip

    def percentile(self, layer: str, channel: int, value: float) -> float:
        """Percentage of the pictures whose maximum of the channel lies below a value."""
        best = self.top(layer, channel, 1)
        if best and value >= best[0].value:
            return 100.0
        counts = self._row_of(layer, "maxima", channel).astype(np.int64)
        return percentile(torch.from_numpy(counts), value)

    def selectivity(self, layer: str, channel: int) -> Selectivity | None:
        """The classes that excite a channel, None where pictures have no classes."""
        self._row_of(layer, "maxima", channel)  # or refused
        means = means_of(self.arrays, self.manifest.layers[layer])[:, channel]
        known = [(float(m), c) for m, c in zip(means, self.manifest.classes, strict=True)
                 if np.isfinite(m)]  # fmt: skip
        if not known:
            return None
        known.sort(key=lambda pair: -pair[0])
        largest = known[0][0]
        others = float(np.mean([m for m, _ in known[1:]])) if len(known) > 1 else 0.0
        size = abs(largest) + abs(others)
        return Selectivity({c: m for m, c in known}, (largest - others) / size if size else 0.0)

    def parts(self, layer: str, channel: int) -> tuple[Part, ...]:
        """The parts of scenes that a channel detects, the best first; () for other pictures."""
        if not self.manifest.parts:
            return ()
        part = self._row_of(layer, "part", channel)
        iou = self._row_of(layer, "iou", channel)
        return tuple(
            Part(self.manifest.parts[int(p)], float(v)) for p, v in zip(part, iou, strict=True)
        )

    def similar(self, layer: str, channel: int, k: int = 8) -> tuple[Similar, ...]:
        """The channels of the layer that are most alike, by the correlation of their maxima."""
        near = self._row_of(layer, "alike", channel)[:k]
        how = self._row_of(layer, "correlation", channel)[:k]
        return tuple(Similar(int(c), float(r)) for c, r in zip(near, how, strict=True))

    def embedding(self, image: str) -> Tensor:
        """The embedding (D,) of a picture, of length 1."""
        return torch.from_numpy(self.embeddings()[self._row(image)])

    def neighbours(self, embedding: Tensor, k: int = 12) -> tuple[Neighbour, ...]:
        """The pictures nearest to an embedding (D,) or (1, D), by the cosine.

        All are taken less the average of the index, where it has some pictures: behind a rectifier
        every embedding points the same way, and what sets one apart is the rest (docs/probe.md has
        the figures).
        """
        query = embedding.detach().float().cpu().reshape(-1).numpy()
        size = self.embeddings().shape[1]
        if len(query) != size:
            raise WrongRequest(
                f"an embedding of {self.manifest.model} has {size} numbers, not {len(query)}; "
                "featvis.probe.embed(model, image) makes one"
            )
        query = query / max(float(np.linalg.norm(query)), 1e-12)
        rows, cosines = self._nearest(query - self._average, k)
        numbers = self.arrays["images"]
        return tuple(
            Neighbour(self.names[int(numbers[row])], float(cosine))
            for row, cosine in zip(rows, cosines, strict=True)
        )

    @cached_property
    def _nearest(self) -> Nearest:
        return nearest(self.centered())

    def centered(self) -> NDArray[np.float32]:
        """The embeddings (N, D) less their average, each of length 1: these are compared."""
        apart = self.embeddings() - self._average
        made: NDArray[np.float32] = apart / np.maximum(
            np.linalg.norm(apart, axis=1, keepdims=True), 1e-12
        )
        return made

    @cached_property
    def _average(self) -> NDArray[np.float32]:
        """The average embedding (D,); of a few pictures it says little, and is taken as zero."""
        known = self.embeddings()
        average: NDArray[np.float32] = known.mean(0)
        return average if len(known) >= FEW else np.zeros_like(average)

    def embeddings(self) -> NDArray[np.float32]:
        """Of all pictures (N, D), each of length 1, in the order of `rows`."""
        if "_embeddings_kept" not in self.__dict__:
            made = self.arrays["embeddings"].astype(np.float32)
            if "scales" in self.arrays:
                made *= self.arrays["scales"].astype(np.float32)[:, None]
                made = made @ self.arrays["axes"].astype(np.float32).T
            made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
            self.__dict__["_embeddings_kept"] = made
        kept: NDArray[np.float32] = self.__dict__["_embeddings_kept"]
        return kept

    def _hits(self, which: str, layer: str, channel: int, k: int) -> tuple[Hit, ...]:
        images, values, positions = (
            self._row_of(layer, f"{which}.{key}", channel) for key in ("image", "value", "position")
        )
        width = self.manifest.sizes[layer][1]
        return tuple(
            Hit(self.names[int(image)], float(value), divmod(int(position), width))
            for image, value, position in zip(images, values, positions, strict=True)
            if np.isfinite(value)
        )[:k]

    def number(self, layer: str) -> int:
        """Under which a layer's arrays are kept; layers that give the same output share it."""
        number = self.manifest.layers.get(layer)
        if number is None:
            raise WrongRequest(
                f"the index of {self.manifest.model} has no layer {layer!r}; "
                f"it has {', '.join(self.layers)}"
            )
        return number

    def _of(self, layer: str, key: str) -> NDArray[Any]:
        return self.arrays[f"{self.number(layer)}.{key}"]

    def _row_of(self, layer: str, key: str, channel: int, axis: int = 0) -> NDArray[Any]:
        whole = self._of(layer, key)
        if not 0 <= channel < whole.shape[axis]:
            raise WrongRequest(
                f"{layer} has the channels 0 to {whole.shape[axis] - 1}, not {channel}"
            )
        return whole[channel] if axis == 0 else whole[:, channel]

    def _row(self, image: str) -> int:
        if image not in self.rows:
            raise WrongRequest(
                f"the index has no picture {image!r}; it has {self.count} of {self.manifest.source}"
            )
        return self.rows[image]
