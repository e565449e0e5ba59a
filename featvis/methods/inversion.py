"""Inversion: pictures made from what a layer has of a picture, and from that alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor

from featvis.ascent import objectives, param, transform
from featvis.ascent.climb import Plan, adam, ascend
from featvis.ascent.memory import check_memory
from featvis.ascent.objectives import Objective
from featvis.ascent.regularize import calm
from featvis.ascent.transform import warp
from featvis.ascent.viewer import Sight, seen_size
from featvis.model import Image, VisionModel, values
from featvis.record import record
from featvis.spec import Range, Tuning, method
from featvis.types import Synthesis

__all__ = ["caricature", "inversion"]

Steps = Annotated[int, Range(1, 4096), "Steps of the ascent"]
Frames = Annotated[int, Range(0, 240), Tuning("Pictures shown on the way, evenly; 0: by the clock")]
Seed = Annotated[int, Range(0, 2**31 - 1), Tuning("Of the start and of the views")]


@method(
    "Feature inversion",
    family="Synthesis",
    paper="Mahendran and Vedaldi 2015, arXiv:1412.0035",
    cost=lambda _, given: 3 * given["steps"],
)
def inversion(
    model: VisionModel,
    image: Tensor | Image,
    layer: str | None = None,
    *,
    steps: Steps = 256,
    frames: Frames = 0,
    seed: Seed = 0,
) -> Iterator[Synthesis]:
    """What a layer keeps of a picture: another picture, made of noise, with the same activations.

        picture = argmin |a(picture) - a(image)|^2 / |a(image)|^2

    What comes back the layer has kept; what is lost, it cannot tell. Early layers give the picture
    back, late ones its things without their places. The activation is minus the distance left: 0
    is the same, -1 as far as nothing at all. A picture found is one of many with the same
    activations, and the ascent may not find the best.
    """
    name, maps = _kept(model, image, layer)
    plan = Plan(adam(0.05), ease=0.3, prior=calm(variation=0.1))
    goal = objectives.inversion(name, maps)
    yield from _ascend(model, image, goal, plan, (f"what {name} keeps", steps, frames, seed))


@method(
    "Caricature",
    family="Synthesis",
    paper="Olah et al. 2018, doi:10.23915/distill.00010",
    cost=lambda _, given: 3 * given["steps"],
)
def caricature(
    model: VisionModel,
    image: Tensor | Image,
    layer: str | None = None,
    *,
    steps: Steps = 256,
    frames: Frames = 0,
    seed: Seed = 0,
) -> Iterator[Synthesis]:
    """What a layer noticed in a picture, exaggerated: noise that is changed to have more of it.

        picture = argmax <a(T(picture)), a(image)> . cos(a(T(picture)), a(image))

    T are small random moves. What was strong in the picture becomes stronger, what the layer did
    not notice is gone. It shows what the activations stand for, at their places, and not how the
    picture looked.
    """
    name, maps = _kept(model, image, layer)
    far = max(1, min(values(image).shape[2:]) // 28)
    view = transform.compose(
        transform.jitter(far), transform.scale(0.95, 1.05), transform.rotate(3)
    )
    plan = Plan(adam(0.04), view, ease=0.3, prior=calm(l2=0.15, variation=0.3))
    goal = objectives.caricature(name, maps)
    yield from _ascend(model, image, goal, plan, (f"caricature by {name}", steps, frames, seed))


def _kept(model: VisionModel, image: Tensor | Image, layer: str | None) -> tuple[str, Tensor]:
    """The layer, and its maps of the pictures as it sees them while others are made."""
    name, pictures = model.layer(layer).name if layer else model.middle_layer, values(image)
    size = seen_size(model, (pictures.shape[2], pictures.shape[3]))
    with torch.no_grad():
        return name, record(model, warp(pictures, torch.eye(3).double()[None], size), name)[name]


def _ascend(
    model: VisionModel,
    image: Tensor | Image,
    goal: Objective,
    plan: Plan,
    how: tuple[str, int, int, int],
) -> Iterator[Synthesis]:
    words, steps, frames, seed = how
    pictures = values(image)
    size = (pictures.shape[2], pictures.shape[3])
    check_memory(Sight(model, goal), pictures, size, len(pictures))
    canvas = param.fourier(size, [seed], pictures, bands=model.bands).repeated(len(pictures))
    subjects = [words] * len(pictures)
    yield from ascend(
        model, goal, canvas, plan, steps=steps, seed=seed, subjects=subjects, frames=frames
    )
