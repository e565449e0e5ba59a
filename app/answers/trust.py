"""Trust: what is measured of a map, to say how far it can be believed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

import torch
from torch import Tensor

from featvis import Image, VisionModel, boxes, deletion, insertion, pointing, sanity
from featvis.measures.faithfulness import STEPS
from featvis.measures.localization import iou, surrounding
from featvis.measures.sanity import DRAWS, STAGES, Stage
from featvis.types import Attribution, Heatmap, Rectangle
from zoo_adapters.bundled.scenes import scene

from ..question.pictures import SCENE
from ..question.state import State
from .ask import Ask
from .prediction import image_of, logits_of
from .run import Answer, cached

PASSES = 2 * (STEPS + 1)  # of one map: in and out
RANDOM = 4  # random maps whose mean areas stand beside a map's own


@dataclass(frozen=True)
class Faith:
    """Areas under the curves of a map, and those of random maps of the same picture."""

    insertion: float
    deletion: float
    random_insertion: float
    random_deletion: float


@dataclass(frozen=True)
class Place:
    """Where a map points, in a picture whose object is known to the pixel."""

    on_object: bool
    iou: float  # of the box round the evidence with the object's


def box(result: Heatmap | Attribution, image: Image) -> Rectangle | None:
    """The box round the strongest evidence, in pixels of the original picture."""
    h, w = image.values.shape[2:]
    found = boxes(result, (h, w))[0]
    if found is None:
        return None
    top, left, bottom, right = image.box
    down, along = (bottom - top) / h, (right - left) / w
    return Rectangle(
        top + found.top * down,
        left + found.left * along,
        top + found.bottom * down,
        left + found.right * along,
    )


def place(answer: Answer) -> Place | None:
    """Does the map point at the object? Known where its class is explained and drawn by us."""
    mask = _object(answer.ask)
    if mask is None:
        return None
    result, true = answer.result, surrounding(mask)
    assert isinstance(result, Heatmap | Attribution)
    evidence = boxes(result, (mask.shape[0], mask.shape[1]))[0]
    overlap = iou(evidence, true) if evidence and true else 0.0
    return Place(bool(pointing(result, mask[None])[0]), overlap)


def _object(ask: Ask) -> Tensor | None:
    """The object's pixels (H, W) on the input; None where they are not known or not asked for."""
    state, model = _state(ask), ask.model
    if not state.image.startswith("scene-") or state.of_neuron or not model.labels:
        return None
    target = ask.aim.target
    number = model.output.goal(logits_of(state), None) if target is None else target
    drawn = scene(int(state.image[6:]), size=SCENE)
    if not isinstance(number, int) or model.labels[number] != drawn.name:
        return None
    image = image_of(state)
    top, left, bottom, right = image.box
    h, w = image.values.shape[2:]
    rows = (top + (torch.arange(h) + 0.5) / h * (bottom - top)).long().clamp(0, SCENE - 1)
    columns = (left + (torch.arange(w) + 0.5) / w * (right - left)).long().clamp(0, SCENE - 1)
    return torch.from_numpy(drawn.object)[rows][:, columns]


def _state(ask: Ask) -> State:
    assert ask.state is not None, "only the questions of states are measured"
    return ask.state


def faith(answer: Answer) -> Faith:
    """The map's insertion and deletion areas; those of random maps are measured once."""
    ask, result = answer.ask, answer.result
    state, aim = _state(ask), ask.aim
    assert isinstance(result, Heatmap | Attribution)
    image = image_of(state).values.to(aim.model.like)

    def areas(evidence: Heatmap | Attribution | Tensor) -> tuple[float, float]:
        curves = (insertion(aim, image, evidence), deletion(aim, image, evidence))
        put_in, taken_out = (float(curve.auc.mean()) for curve in curves)
        return put_in, taken_out

    def chance() -> tuple[float, float]:
        make = torch.Generator().manual_seed(0)
        return areas(torch.rand(RANDOM, *image.shape[2:], generator=make).to(image))

    what = (state.model, state.image, state.target, aim.layer, aim.channel, aim.position)
    random = cached(("random maps", *what), state, chance, RANDOM * PASSES)
    own = cached(("faith", ask.key, *what), state, lambda: areas(result), PASSES)
    return Faith(*own, *random)


def faith_words(found: Faith) -> str:
    """The areas in words."""
    if not isfinite(found.insertion + found.deletion):
        return "insertion and deletion: not measurable, the blurred picture scores the same"
    return (
        f"insertion {found.insertion:.2f} (random map {found.random_insertion:.2f}), "
        f"deletion {found.deletion:.2f} (random map {found.random_deletion:.2f})"
    )


def stages(answer: Answer) -> list[Stage]:
    """The maps of the network while its weights are drawn anew; what is explained stays fixed."""
    ask, state = answer.ask, _state(answer.ask)
    image = image_of(state).values.to(ask.model.like)

    def measure() -> list[Stage]:
        aim, _ = ask.aim.settled(image)
        arguments = {**ask.terms, "image": image}
        if "target" in arguments:
            arguments["target"] = aim.target
        if arguments.get("position", ()) is None and isinstance(aim.position, Tensor):
            row, column = aim.position[0].tolist()
            arguments["position"] = (row, column)

        def explain(network: VisionModel) -> Heatmap | Attribution:
            return ask.method.run(network, **arguments)  # type: ignore[no-any-return]

        return [_slim(stage) for stage in sanity(explain, ask.model)]

    return cached(("sanity", ask.key), state, measure, (STAGES + DRAWS) * ask.passes)


def _slim(stage: Stage) -> Stage:
    """Without the colours of an attribution, which its picture in the strip does not show."""
    result = stage.result
    if isinstance(result, Attribution) and not result.colors:
        result = replace(result, values=result.map)
    return replace(stage, result=result)


def verdict(found: list[Stage]) -> str:
    """What the last stage, where nothing learned is left, says of the method."""
    result = found[-1].verdict
    drawn = f"{result.correlation} with all weights random, {result.draws} draws"
    if result.fails:
        return f"fails the sanity check, as the map is much the same: rank correlation {drawn}"
    if result.passes:
        return f"passes the sanity check: rank correlation {drawn}"
    return f"the sanity check cannot tell: rank correlation {drawn}"
