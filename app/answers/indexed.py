"""Probed: what the index of a model says of a state, kept for the next time it is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import PIL.Image
import torch
from torch import Tensor

import featvis
from featvis import Image, VisionModel, WrongRequest, render
from featvis.probe import Pooled, embed, patch, pooled
from featvis.types import Attribution, Rectangle
from zoo_adapters import read_image

from ..index import Hit, Index, Pool, no_index, open_index, pool
from ..index.pooled import AMONG
from ..machine.cache import model_of
from ..question import pictures
from ..question.state import IMAGE, State
from .prediction import image_of
from .run import cached

TOP = 9  # pictures of a channel that are shown


@dataclass(frozen=True, eq=False)
class Sight:
    """A picture that excites a channel: what the neuron sees of it, and what in that excites it."""

    hit: Hit
    label: str
    patch: PIL.Image.Image
    guided: PIL.Image.Image


def index_of(state: State) -> Index | None:
    """The index of the state's model, if there is one."""
    return open_index(model_of(state.model))


def need_index(state: State) -> Index:
    """The index of the state's model; without one the request is refused."""
    if (index := index_of(state)) is None:
        raise no_index(state.model)
    return index


def picked(state: State, name: str) -> str:
    """A picture of the index, as the window names pictures."""
    if IMAGE.fullmatch(name):
        return name
    index = index_of(state)
    if index is None or name not in index.rows:
        raise WrongRequest("this picture is not in the index any more; choose another one")
    return pictures.keep(index.picture(name))


def sights(state: State, index: Index, layer: str, channel: int, count: int) -> tuple[Sight, ...]:
    """The pictures that excite a channel the most, each with its patch."""
    model = model_of(state.model)

    def make() -> tuple[Sight, ...]:
        hits = index.top(layer, channel, count)
        whole = index.pictures([hit.image for hit in hits])
        images = [read_image(picture, model) for picture in whole]
        batch = torch.cat([image.values for image in images]).to(model.like)
        guided = featvis.guided_backprop(model, batch, layer=layer, channel=channel)
        return tuple(
            _sight(model, index, layer, hit, picture, image, _row(guided, row))
            for row, (hit, picture, image) in enumerate(zip(hits, whole, images, strict=True))
        )

    key = ("sights", state.model, index.folder, layer, channel, count)
    return cached(key, state, make, 3 * count)


def _row(guided: Attribution, row: int) -> Attribution:
    one = slice(row, row + 1)
    return replace(guided, values=guided.values[one], map=guided.map[one])


def _sight(
    model: VisionModel,
    index: Index,
    layer: str,
    hit: Hit,
    picture: PIL.Image.Image,
    image: Image,
    guided: Attribution,
) -> Sight:
    found = patch(model, layer, hit.position, image)
    strokes = render.to_pil(render.over(guided, image)[0, ..., :3])
    strokes = strokes.resize(picture.size)
    box = _inside(found.box, picture.size)
    return Sight(hit, index.label(hit.image), picture.crop(box), strokes.crop(box))


def _inside(box: Rectangle, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Whole pixels of a picture of (width, height): left, top, right, bottom."""
    left, top = max(0, int(box.left)), max(0, int(box.top))
    right, bottom = min(size[0], round(box.right)), min(size[1], round(box.bottom))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def overview(
    state: State, index: Index, layer: str, channels: Sequence[int]
) -> list[PIL.Image.Image]:
    """The strongest patch of each of some channels."""
    model = model_of(state.model)

    def make() -> list[PIL.Image.Image]:
        hits = [index.top(layer, channel, 1)[0] for channel in channels]
        whole = index.pictures([hit.image for hit in hits])
        boxes = [
            patch(model, layer, hit.position, read_image(picture, model)).box
            for hit, picture in zip(hits, whole, strict=True)
        ]
        return [p.crop(_inside(b, p.size)) for p, b in zip(whole, boxes, strict=True)]

    key = ("overview", state.model, index.folder, layer, tuple(channels))
    return cached(key, state, make)


def embedding(state: State) -> Tensor:
    """The embedding (D,) of the state's picture."""
    model = model_of(state.model)

    def make() -> Tensor:
        return embed(model, image_of(state).values.to(model.like))[0]

    return cached(("embedding", state.model, state.image), state, make)


def pooled_of(state: State, layer: str) -> Pooled:
    """What a layer makes of the state's picture."""
    model = model_of(state.model)

    def make() -> Pooled:
        return pooled(model, image_of(state), [layer])[layer]

    return cached(("pooled", state.model, state.image, layer), state, make)


def pool_of(state: State, index: Index, layer: str, say: Callable[[str], None]) -> Pool:
    """What a layer makes of pictures of the index; the first layer of a network takes long."""
    model = model_of(state.model)

    def make() -> Pool:
        say("Looking at pictures of the index; they are kept for the next time")
        return pool(index, model, layer)

    return cached(("pool", state.model, index.folder, layer), state, make, AMONG)
