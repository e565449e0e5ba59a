"""The probe against a pass per layer, and against zennit-crp: the same pictures, layers and k.

    python -m venv ../crp
    ../crp/bin/pip install torch==X torchvision==Y timm zennit-crp==0.6.0
    FEATVIS_CRP=../crp/bin/python python -m benchmarks probe

with X and Y as they are here: crp has an environment of its own and is driven through a pipe, in
turn with ours. Given are ratios of wall-clock and of processor time, which other work on the
machine disturbs less. A peer that finds other pictures than ours is said to.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
import torch
from torch import Tensor

import featvis
import zoo_adapters
from featvis import VisionModel
from featvis.probe import Batch, probe, scan

__all__ = ["peers"]

NAME, K, SHOWN = "scenes-resnet", 9, "layer3"
Spent = tuple[float, float]  # wall and processor seconds
Run = Callable[[], tuple[Spent, list[list[int]]]]  # and the k best pictures of SHOWN's channels


def peers(make: Callable[[VisionModel, int, int], Tensor], count: int, rounds: int, b: int) -> None:
    """A table: how much longer each peer takes over `count` pictures in batches of b."""
    model = zoo_adapters.load(f"bundled:{NAME}")
    pixels = make(model, 0, count)
    runs: dict[str, Run] = {
        "featvis, all layers in one pass": lambda: ours(model, pixels, b),
        "a pass per layer, torch.topk over what was kept": lambda: naive(model, pixels, b),
    }
    if python := os.environ.get("FEATVIS_CRP"):
        crp = Crp(python, model, pixels, b)
        runs["zennit-crp: activations, and relevances too"] = crp.run
    found: dict[str, list[Spent]] = {name: [] for name in runs}
    best: dict[str, list[list[int]]] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            spent, best[name] = run()
            found[name].append(spent)
    print(
        f"\n{NAME}, {len(model.layers)} layers, {count} pictures, the {K} strongest per channel\n"
    )
    print("| | s | times ours | of processor time | same pictures |")
    print("| --- | ---: | ---: | ---: | ---: |")
    first, right = next(iter(found.values())), next(iter(best.values()))
    for name, times in found.items():
        wall, spent = (
            median(b[i] / a[i] for a, b in zip(first, times, strict=True)) for i in (0, 1)
        )
        same = np.mean([set(a) == set(b) for a, b in zip(right, best[name], strict=True)])
        seconds = median(t[0] for t in times)
        told = f"{name} | {seconds:.2f} | {wall:.1f} | {spent:.1f} | {100 * same:.0f} %"
        print(f"| {told} |", flush=True)


def timed(work: Callable[[], list[list[int]]]) -> tuple[Spent, list[list[int]]]:
    """Its wall and processor seconds, and what it gives."""
    begin = perf_counter(), process_time()
    made = work()
    return (perf_counter() - begin[0], process_time() - begin[1]), made


def ours(model: VisionModel, pixels: Tensor, size: int) -> tuple[Spent, list[list[int]]]:
    """The scan, with all that it finds beside the strongest."""

    def work() -> list[list[int]]:
        state = probe(model, k=K)
        numbers = torch.arange(len(pixels))
        parts = zip(pixels.split(size), numbers.split(size), strict=True)
        for _ in scan(model, (Batch(p, n, torch.full_like(n, -1)) for p, n in parts), into=state):
            pass
        return state.tally(SHOWN).top.images.tolist()

    return timed(work)


def naive(model: VisionModel, pixels: Tensor, size: int) -> tuple[Spent, list[list[int]]]:
    """For each layer a pass over all pictures, up to it; its maps are kept, then torch.topk."""

    def work() -> list[list[int]]:
        best: list[list[int]] = []
        for name in model.layers:
            kept = []
            with torch.no_grad():
                for part in pixels.split(size):  # recording ends a pass at its layer
                    kept.append(featvis.record(model, part, name)[name])
            maps = torch.cat(kept)
            images = maps.flatten(2).amax(2).topk(K, dim=0).indices.T
            if name == SHOWN:
                best = images.tolist()
        return best

    return timed(work)


class Crp:
    """The other side of the pipe: a question is one line of JSON, and so is the answer."""

    def __init__(self, python: str, model: VisionModel, pixels: Tensor, size: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name) / "pixels.npy"
        np.save(file, pixels.numpy())
        weights = Path(zoo_adapters.__file__).parent / "bundled" / "weights" / NAME
        self.question = json.dumps({
            "folder": str(weights), "mean": model.mean.flatten().tolist(), "k": K, "show": SHOWN,
            "std": model.std.flatten().tolist(), "pixels": str(file), "batch": size,
            "layers": list(model.layers),
        })  # fmt: skip
        self.process = subprocess.Popen(
            [python, "-I", "-W", "ignore", str(Path(__file__).with_name("crp_worker.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def run(self) -> tuple[Spent, list[list[int]]]:
        """What crp needs for the same, on its own clock."""
        assert self.process.stdin
        assert self.process.stdout
        print(self.question, file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        return tuple(answer["seconds"]), answer["best"]
