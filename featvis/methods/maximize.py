"""Activation maximization: the picture that excites a channel, a neuron or a class the most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from torch import Tensor

from featvis.ascent import groups, objectives, param, regularize, transform
from featvis.ascent.climb import Plan, adam, ascend, normalized
from featvis.ascent.memory import check_memory
from featvis.ascent.objectives import Objective
from featvis.ascent.param import Canvas
from featvis.ascent.viewer import Sight
from featvis.classes import Classes
from featvis.model import VisionModel, WrongRequest
from featvis.network.neuron import check_channel, check_position
from featvis.spec import Range, Tuning, method
from featvis.target import Likeness
from featvis.types import Synthesis

__all__ = ["PRESETS", "goal", "maximize"]

Preset = Literal["Fourier + robust", "MACO", "regularized pixels", "raw gradient"]
Numbers = int | Sequence[int] | None
Size = tuple[int, int]
Begun = tuple[Canvas, Plan]


L2, TV = 0.15, 0.3  # weights of the prior: less is glaring colour, more is grey
TUNED = 224  # pixels of the pictures for which L2 was found
COARSE = ((0.3, 0.5), (0.55, 0.71))  # share of the steps until which, share of the size
VIEWS = {"MACO": 2}  # of one step; of the other presets one


def _raw(size: Size, starts: Sequence[int], like: Tensor, *, thing: bool, bands: int) -> Begun:
    return param.pixels(size, starts, like, bands=bands), Plan(normalized(0.02))


def _regularized(
    size: Size, starts: Sequence[int], like: Tensor, *, thing: bool, bands: int
) -> Begun:
    plan = Plan(
        normalized(0.03),
        transform.jitter(max(1, min(size) // 20)),
        after=(
            regularize.decay(0.01),
            regularize.blur(0.6),
            regularize.clip_norm(5),
            regularize.clip_contribution(5),
        ),
    )
    return param.pixels(size, starts, like, bands=bands), plan


def _robust(size: Size, starts: Sequence[int], like: Tensor, *, thing: bool, bands: int) -> Begun:
    # A network of small pictures was trained on little, and runs away into colour: at 128 pixels
    # nine times the weight gave the shapes of its objects, and a ninth of it blots.
    most = L2 * min(max((TUNED / min(size)) ** 4, 0.5), 16)
    calm = regularize.calm(l2=most, variation=TV)
    if thing:  # its outlines first: small pictures, low frequencies, short steps
        canvas = param.fourier(size, starts, like, bands=bands)
        view = transform.robust(min(size))
        return canvas, Plan(adam(0.04), view, coarse=COARSE, ease=0.3, prior=calm)
    # A channel that sees a part asks for a pattern of a size of its own, again and again. Made in
    # small pictures first it was twice too large, and reached half the activation.
    canvas = param.fourier(
        size, starts, like, decay=1.25, spread=0.03, bands=bands
    )  # as much contrast
    return canvas, Plan(adam(0.08), transform.gentle(min(size)), ease=0.3, prior=calm)


def _maco(size: Size, starts: Sequence[int], like: Tensor, *, thing: bool, bands: int) -> Begun:
    plan = Plan(adam(0.1), transform.crop(0.4, 1.0, size), views=VIEWS["MACO"])
    return param.maco(size, starts, like, bands=bands), plan


# how a picture is stored, and how it climbs: towards a thing, or a pattern
PRESETS = {
    "Fourier + robust": _robust,
    "MACO": _maco,
    "regularized pixels": _regularized,
    "raw gradient": _raw,
}


@method(
    "Activation maximization",
    family="Synthesis",
    paper="Erhan et al. 2009; Olah et al. 2017, doi:10.23915/distill.00007",
    cost=lambda model, given: _cost(model, given),
)
def maximize(
    model: VisionModel,
    target: Numbers | Likeness = None,
    layer: str | None = None,
    channel: Numbers = None,
    position: tuple[int, int] | None = None,
    *,
    preset: Annotated[Preset, "From plain ascent on pixels to what keeps a picture one"] = (
        "Fourier + robust"
    ),
    steps: Annotated[int, Range(1, 4096), "Steps of the ascent"] = 256,
    size: Annotated[int, Range(0, 1024), "Longer side in pixels; 0: the network's own"] = 0,
    copies: Annotated[int, Range(1, 16), "Pictures of each subject, from different starts"] = 1,
    diversity: Annotated[float, Range(0, 100), "How hard copies are kept apart"] = 0.0,
    every: Annotated[bool, "All channels of the layer, one picture each"] = False,
    frames: Annotated[
        int, Range(0, 240), Tuning("Pictures shown on the way, evenly; 0: by the clock")
    ] = 0,
    seed: Annotated[int, Range(0, 2**31 - 1), Tuning("Of the start and of the views")] = 0,
) -> Iterator[Synthesis]:
    """The picture that excites a channel, a neuron or a class the most, found by ascent from noise.

        picture = argmax of activation(T(picture)),  picture <- picture + rate . gradient

    A channel is the mean of its positive part over all positions, a neuron one position of it, a
    class its score before the softmax, and a layer without a channel its mean square. T are small
    random moves, turns and zooms. Plain ascent on pixels finds grain that excites the network and
    means nothing to us; the presets show step by step what is needed against that. What sees all of
    the picture, a class or a late channel, is begun in small pictures and under wide zooms, which
    gives whole things; other channels ask for a pattern of a size of its own. The picture shows
    what suffices for a high activation, not what usually causes it: compare with natural pictures,
    which tell people more about a channel (Borowski et al. 2021).
    """
    if every:
        channel = list(range(_channels(model, layer)))
    make, numbers, subjects = goal(model, target, layer, channel, position)
    shape = _shape(model, size)
    # pictures of one subject stand side by side in the batch, each from a start of its own
    starts = [seed * 1009 + copy for copy in range(copies)]
    thing = _is_thing(model, target, layer, channel, shape)
    one, plan = PRESETS[preset](shape, starts, model.like, thing=thing, bands=model.bands)
    if diversity and copies > 1:
        apart = objectives.diversity(layer or model.last_layer, copies)
        plan = replace(plan, apart=diversity * apart)
    few = max(1, groups.AT_ONCE // copies)
    sight = Sight(model, make(numbers[:1]), plan.apart)
    check_memory(sight, model.like, shape, min(len(numbers), few) * copies * plan.views)
    parts = [slice(at, at + few) for at in range(0, len(numbers), few)]
    done: list[Synthesis] = []
    for group in parts:
        for made in ascend(
            model,
            make([number for number in numbers[group] for _ in range(copies)]),
            one.repeated(len(numbers[group])),
            plan,
            steps=steps,
            seed=seed,
            subjects=[words for words in subjects[group] for _ in range(copies)],
            frames=frames,
            before=steps * len(done),
            total=steps * len(parts),
        ):
            last = made
            yield groups.joined([*done, made])
        done.append(last)


def _cost(model: VisionModel, given: Mapping[str, Any]) -> float:
    """A step of a picture is a forward and a backward pass; the small ones first cost less."""
    asked = given.get("channel")
    asked = given.get("target") if asked is None else asked
    count = len(asked) if isinstance(asked, list | tuple) else 1
    if given["every"] and given.get("layer") is not None:
        count = model.layer(given["layer"]).channels
    target, layer, channel = (given.get(name) for name in ("target", "layer", "channel"))
    thing = _is_thing(model, target, layer, channel, _shape(model, given["size"]))
    small = thing and given["preset"] == "Fourier + robust"
    share = 0.7 if small else VIEWS.get(given["preset"], 1)
    return 3 * given["steps"] * given["copies"] * count * share


def _classes(model: VisionModel, layer: str | None, channel: Numbers) -> Classes | None:
    """The network's classes where one of them is asked for, as neither a layer nor a channel is."""
    output = model.output if layer is None and channel is None else None
    return output if isinstance(output, Classes) and output.count else None


def _is_thing(
    model: VisionModel, target: object, layer: str | None, channel: Numbers, size: Size
) -> bool:
    """Is it a class, what another picture shows, or a layer that sees all of one everywhere?

    From a corner a field must reach twice as far as a picture of `size`.
    """
    if isinstance(target, Likeness) or _classes(model, layer, channel) is not None:
        return True
    field = model.layer(layer or model.last_layer).field
    return all(reach >= 2 * side for reach, side in zip(field, size, strict=True))


def _channels(model: VisionModel, layer: str | None) -> int:
    if layer is None:
        raise WrongRequest("every channel of which layer? Choose one; see: featvis show MODEL")
    return model.layer(layer).channels


def goal(
    model: VisionModel,
    target: Numbers | Likeness,
    layer: str | None,
    channel: Numbers,
    position: tuple[int, int] | None,
) -> tuple[Callable[[list[int]], Objective], list[int], list[str]]:
    """The objective for the numbers of a batch, the numbers asked for, and each in words."""
    if isinstance(target, Likeness):
        alike = objectives.likeness(target.embedding)
        return lambda numbers: alike, [0], [f"like {target.name}"]
    if (output := _classes(model, layer, channel)) is not None:
        classes = [output.check(number) for number in _numbers(0 if target is None else target)]
        return objectives.logit, classes, [output.label(number) for number in classes]
    name = layer or model.last_layer
    if layer is not None and channel is None:
        model.layer(name)
        return lambda numbers: objectives.layer(name), [0], [name]
    count = model.layer(name).channels
    channels = [check_channel(name, n, count) for n in _numbers(0 if channel is None else channel)]
    words = [f"{model.layer(name).units}, channel {number}" for number in channels]
    if position is None:
        return lambda numbers: objectives.excitation(name, numbers), channels, words
    size = model.layer(name).size
    check_position(name, position, size)
    row, column = position
    words = [f"{text}, position {row},{column}" for text in words]
    return lambda numbers: objectives.neuron(name, numbers, position, size), channels, words


def _numbers(given: int | Sequence[int]) -> list[int]:
    return [given] if isinstance(given, int) else [int(number) for number in given]


def _shape(model: VisionModel, size: int) -> Size:
    """Height and width with the network's proportions."""
    h, w = model.size
    factor = size / max(h, w) if size else 1.0
    return max(1, round(h * factor)), max(1, round(w * factor))
