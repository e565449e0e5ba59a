"""Activation maximization against lucent: seconds per step, and until as high an activation.

    python -m venv ../lucent
    ../lucent/bin/pip install torch==X torchvision==Y timm torch-lucent==0.1.8 "kornia==0.4.1"
    FEATVIS_LUCENT=../lucent/bin/python python -m benchmarks synthesis

with X and Y as they are here: lucent needs an older kornia than can be had beside the rest, so it
has an environment of its own and is driven through a pipe, in turn with ours. Both see 224 px. A
"whole ascent" begins with smaller pictures, and with what is found out about the network; lucent's
is so many of its steps. With FEATVIS_REAL_DATA, which names a folder with `weights` of real
networks, the second table has one of those, too.
Given are wall-clock seconds and the ratio of processor time too, which other work on the machine
disturbs less. Waiting threads count there; with GOMP_SPINCOUNT=0 they do not, but every parallel
part then begins later, which takes a third off the speed of short steps.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch

import featvis
import zoo_adapters
from featvis import VisionModel
from featvis.ascent import objectives
from featvis.ascent.climb import Climb
from featvis.ascent.viewer import Sight
from featvis.methods.maximize import PRESETS

LAYERS = {
    "layer1": (4, 6),
    "layer2": (4, 6),
    "layer3": (3, 5),
    "layer4": (3, 5),
}  # what is aimed at
SIDE, STEPS, ROUNDS = 224, 4, 5
TRIED = range(16, 513, 16)  # steps
WHOLE = 64  # steps of a whole ascent that is timed
GOALS = {  # network -> layers, and a channel of each
    "bundled:scenes-resnet": (("layer1", "layer2", "layer3", "layer4"), 17),
    "mobilenetv2_100.coral_qat_in1k": (("blocks.1", "blocks.3", "blocks.5"), 17),
}


class Lucent:
    """The other side of the pipe: a question is one line of JSON, and so is the answer."""

    def __init__(self, python: str) -> None:
        self.process = subprocess.Popen(
            [python, "-I", "-W", "ignore", str(Path(__file__).with_name("lucent_worker.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, **question: Any) -> Any:
        """What lucent says."""
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(question), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


def main() -> None:
    """Two tables."""
    python = os.environ.get("FEATVIS_LUCENT")
    if not python:
        print(f"FEATVIS_LUCENT names the python of lucent's environment; see {__file__}")
        return
    lucent = Lucent(python)
    print(
        f"ResNet-50, random weights, {SIDE} px, {torch.get_num_threads()} threads, {ROUNDS} rounds "
        f"of {STEPS} steps\n"
    )
    _row("layer", "pictures", "featvis, s", "lucent, s", "ratio", "of processor time", "aim",
         f"whole ascent of {WHOLE}, ratio")  # fmt: skip
    _row("---", *["---:"] * 7)
    model = zoo_adapters.load("timm:resnet50", pretrained=False)
    for layer, aims in LAYERS.items():
        for count, aim in zip((1, 8), aims, strict=True):
            ours, theirs = _per_step(model, lucent, layer, count)
            wall, spent = (
                median(b / a for a, b in zip(ours[i], theirs[i], strict=True)) for i in (0, 1)
            )
            seconds = f"{median(ours[0]):.3f}", f"{median(theirs[0]):.3f}"
            whole = WHOLE * median(theirs[0]) / _whole(model, layer, count)
            _row(layer, count, *seconds, f"{wall:.1f}", f"{spent:.1f}", f">= {aim}", f"{whole:.1f}")
    for name, (layers, channel) in GOALS.items():
        if folder := _folder(name):
            _until(lucent, name, folder, layers, channel)


def _row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def _per_step(
    model: VisionModel, lucent: Lucent, layer: str, count: int
) -> tuple[list[list[float]], list[list[float]]]:
    """Wall and processor seconds of a step, ours and lucent's, round by round."""
    start = PRESETS["Fourier + robust"]
    canvas, plan = start((SIDE, SIDE), range(count), model.like, thing=False, bands=3)
    sight = Sight(model, objectives.channel(layer, [3] * count))
    climb = Climb(sight, canvas, plan, "auto")
    climb.waking = False  # as after the first steps
    generator = torch.Generator().manual_seed(0)
    ours: list[list[float]] = [[], []]
    theirs: list[list[float]] = [[], []]
    for i in range(ROUNDS + 1):
        wall, spent = perf_counter(), process_time()
        for _ in range(STEPS):
            climb.step(generator)
        mine = (perf_counter() - wall) / STEPS, (process_time() - spent) / STEPS
        other = lucent.ask(model="resnet50", layer=layer, channel=3, count=count, steps=STEPS)
        for kind in (0, 1):
            if i:
                ours[kind].append(mine[kind])
                theirs[kind].append(other["seconds"][kind])
    return ours, theirs


def _whole(model: VisionModel, layer: str, count: int) -> float:
    """Seconds of an ascent as anybody would ask for it."""
    begin = perf_counter()
    for _ in featvis.maximize(
        model, layer=layer, channel=3, copies=count, steps=WHOLE, size=SIDE, frames=0
    ):
        pass
    return perf_counter() - begin


def _folder(name: str) -> Path | None:
    """Where the weights of a network are, bundled or real."""
    zoo, _, rest = name.rpartition(":")
    if zoo:
        return Path(zoo_adapters.__file__).parent / zoo / "weights" / rest
    real = os.environ.get("FEATVIS_REAL_DATA")
    return Path(real) / "weights" / name if real else None


def _until(lucent: Lucent, name: str, folder: Path, layers: Sequence[str], channel: int) -> None:
    """Seconds until the activation that lucent has after its 512 steps, on a trained network."""
    model = zoo_adapters.load(name if ":" in name else f"timm:local-dir:{folder}")
    print(f"\n{name}, channel {channel}, {SIDE} px: until the activation of lucent's 512 steps\n")
    _row("layer", "activation", "lucent, s", "featvis, s", "ratio", "of processor time", "steps")
    _row("---", *["---:"] * 6)
    for layer in layers:
        other = lucent.ask(
            folder=str(folder), mean=model.mean.flatten().tolist(), layer=layer, channel=channel,
            std=model.std.flatten().tolist(), count=1, steps=512, picture=True,
        )  # fmt: skip
        whole = [512 * seconds for seconds in other["seconds"]]
        sight = Sight(model, objectives.excitation(layer, channel))
        theirs = float(sight.plainly(torch.tensor(other["picture"]))[0])
        for steps in TRIED:  # each from the beginning, as whoever asks for so many would wait
            wall, spent = perf_counter(), process_time()
            *_, made = featvis.maximize(model, layer=layer, channel=channel, steps=steps, size=SIDE)
            mine = perf_counter() - wall, process_time() - spent
            if float(made.activation[0]) >= theirs:
                break
        end = float(made.activation[0])
        ratios = [f"{a / b:.1f}" for a, b in zip(whole, mine, strict=True)]
        reached = steps if end >= theirs else f"{steps}: only {end:.3g}"
        _row(layer, f"{theirs:.3g}", f"{whole[0]:.1f}", f"{mine[0]:.1f}", *ratios, reached)
