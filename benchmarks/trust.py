"""How far each method can be trusted on each bundled network: writes docs/trust.md.

Measured on held-out scenes, whose objects are known to the pixel; only on those that the network
gets right, and for their true class.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor

import featvis
import zoo_adapters
from featvis import METHODS, Aim, Method, VisionModel
from featvis.measures.faithfulness import CELLS, STEPS
from featvis.measures.localization import iou, surrounding
from featvis.measures.sanity import DRAWS, FAILS, Verdict
from featvis.types import Attribution, Heatmap, Rectangle
from zoo_adapters.bundled.data import HELD_OUT
from zoo_adapters.bundled.evaluate import draw

PICTURES, BATCH = 20, 10
CHECKED = 10  # pictures of the sanity check
TIMED = 5
FILE = Path(__file__).parent.parent / "docs" / "trust.md"
HEAD = (
    "| method | pointing | box IoU | insertion | deletion | sanity | ms |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


class Pictures(NamedTuple):
    """Scenes that a network gets right."""

    images: Tensor  # (N, 3, H, W)
    classes: Tensor  # (N,)
    objects: Tensor  # (N, H, W) booleans


class Row(NamedTuple):
    """What is measured of a method on a network."""

    title: str
    pointing: float
    iou: float
    insertion: float
    deletion: float
    sanity: Verdict | None  # None: not asked
    milliseconds: float | None

    def __str__(self) -> str:
        sanity = "" if self.sanity is None else str(self.sanity.correlation)
        if self.sanity is not None and self.sanity.fails:
            sanity = f"**{sanity}**"
        spent = "" if self.milliseconds is None else f"{self.milliseconds:.0f}"
        return (
            f"| {self.title} | {100 * self.pointing:.0f} % | {self.iou:.2f} "
            f"| {self.insertion:.3f} | {self.deletion:.3f} | {sanity} | {spent} |"
        )


def main() -> None:
    """Measure all, write the page, and print what is done."""
    sections, failing = [], dict[str, list[str]]()
    for name in zoo_adapters.names("bundled"):
        model = zoo_adapters.load(name)
        pictures = right(model)
        rows = [chance(model, pictures)]
        for method in METHODS.values():
            if method.family == "Class evidence" and not method.missing(model):
                rows.append(measured(method, model, pictures))
                print(f"{name} {rows[-1]}", flush=True)
                check = rows[-1].sanity
                if check is not None and check.fails:
                    failing.setdefault(method.title, []).append(name.partition(":")[2])
        table = "\n".join(map(str, rows))
        sections.append(f"## {name.partition(':')[2]}\n\n{HEAD}\n{table}\n")
    FILE.write_text(page(sections, failing), encoding="utf8")
    print(f"written: {FILE}")


def right(model: VisionModel) -> Pictures:
    """The first held-out scenes that the network gets right."""
    kept: list[Pictures] = []
    for chunk in count():
        scenes = draw(HELD_OUT + chunk * PICTURES, PICTURES)
        images = torch.from_numpy(scenes.images).permute(0, 3, 1, 2) / 255
        classes = torch.from_numpy(scenes.labels)
        with torch.no_grad():
            good = model(images).argmax(1) == classes
        objects = torch.from_numpy(scenes.objects)
        kept.append(Pictures(images[good], classes[good], objects[good]))
        if sum(len(part.classes) for part in kept) >= PICTURES:
            break
    return Pictures(*(torch.cat(parts)[:PICTURES] for parts in zip(*kept, strict=True)))


def chance(model: VisionModel, pictures: Pictures) -> Row:
    """Random maps: what the other rows must beat."""
    make = torch.Generator().manual_seed(0)
    maps = torch.rand(pictures.objects.shape, generator=make)

    def noise(images: Tensor, classes: Tensor) -> Attribution:
        at = (images[:, None] == pictures.images).flatten(2).all(2).int().argmax(1)
        return Attribution(maps[at], "noise", classes.float(), maps[at])

    return Row("*random map*", *_figures(noise, model, pictures), None, None)


def measured(method: Method, model: VisionModel, pictures: Pictures) -> Row:
    """One method, at its defaults."""

    def explain(images: Tensor, classes: Tensor) -> Heatmap | Attribution:
        return _run(method, model, images, classes)

    spent = []
    for i in range(TIMED + 1):
        begin = perf_counter()
        explain(pictures.images[i : i + 1], pictures.classes[i : i + 1])
        spent.append(1000 * (perf_counter() - begin))
    images, classes = pictures.images[:CHECKED], pictures.classes[:CHECKED]
    stages = featvis.sanity(lambda m: _run(method, m, images, classes), model, stages=2)
    figures = _figures(explain, model, pictures)
    return Row(method.title, *figures, stages[-1].verdict, median(spent[1:]))


def _run(
    method: Method, model: VisionModel, images: Tensor, classes: Tensor
) -> Heatmap | Attribution:
    given = {"target": classes} if "target" in method.subject else {}
    return method.run(model, images, **given)  # type: ignore[no-any-return]


def _figures(
    explain: Callable[[Tensor, Tensor], Heatmap | Attribution],
    model: VisionModel,
    pictures: Pictures,
) -> tuple[float, float, float, float]:
    """Pointing, box IoU, insertion and deletion, each the mean over all pictures."""
    hits, overlaps, put_in, taken_out = [], [], [], []
    for part in torch.arange(len(pictures.classes)).split(BATCH):
        images, classes, objects = (tensor[part] for tensor in pictures)
        result, aim = explain(images, classes), Aim(model, classes)
        hits += featvis.pointing(result, objects).tolist()
        found = featvis.boxes(result, model.size)
        overlaps += [_overlap(a, surrounding(b)) for a, b in zip(found, objects, strict=True)]
        put_in += featvis.insertion(aim, images, result, batch=50).auc.tolist()
        taken_out += featvis.deletion(aim, images, result, batch=50).auc.tolist()
    return mean(hits), mean(overlaps), mean(put_in), mean(taken_out)


def _overlap(found: Rectangle | None, true: Rectangle | None) -> float:
    return iou(found, true) if found and true else 0.0


def page(sections: list[str], failing: dict[str, list[str]]) -> str:
    """The page, from the tables and the networks on which a method fails the sanity check."""
    lines = [f"- **{title}** on {', '.join(networks)}" for title, networks in failing.items()]
    named, tables = "\n".join(lines) or "None.", "\n".join(sections)
    return f"""# How far each map can be trusted

Made by `python -m benchmarks trust`, on the first {PICTURES} held-out scenes that a network gets
right, with every method at its defaults and for the true class.

- **pointing**: how often the map's peak lies on the object, whose pixels are known exactly.
- **box IoU**: of the box round the largest region over a fifth of the maximum with the object's.
- **insertion**, **deletion**: area under the curve of the class's probability while the picture's
  cells, {CELLS} along a side, are put into a blurred picture, or painted over, the most important
  first, in {STEPS} steps. High is good for insertion and low for deletion; the random map says
  what no knowledge gives.
- **sanity**: the rank correlation with the map of the same network with all its weights drawn anew,
  mean of {CHECKED} pictures, and its 95 % interval over {DRAWS} draws. It is bold where all of the
  interval lies over {FAILS}: such a map looks much the same whatever the network has learned. A low
  figure does not make a map right.
- **ms**: one picture, on {torch.get_num_threads()} processor threads, median of {TIMED}; roughly,
  as other work may have run beside it.

A method can point at the object and yet fail the sanity check: in a scene the object is what has
edges, and a map that follows strong activations finds it in any network.

## Which fail the sanity check

{named}

{tables}"""
