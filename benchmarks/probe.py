"""The probe: what a pass over all layers costs beyond the bare forward pass; memory; neighbours.

    python -m benchmarks probe [--parts passes,peers,memory,queries] [--rounds N]
        [--pictures 1000,10000] [--scanned N]

Candidates take turns; a ratio is the median over the rounds. Each round shows pictures that were
not seen before, after as many as a small data set has: the places of the strongest are contested.
Processor time is disturbed less by other work on the machine; set GOMP_SPINCOUNT=0 for it. The
peers are in probe_peers.py, which says what zennit-crp needs.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from torch import Tensor

import featvis
import zoo_adapters
from app.index import build
from app.index.neighbours import exact, faiss_flat, faiss_graph
from app.index.source import Shot
from benchmarks.probe_peers import peers
from benchmarks.timing import interleaved
from featvis.probe import Batch, Probe, probe, scan

BATCH = 32
SEEN = 512  # pictures before the timing begins
AIM = 0.85
SIZES = (100_000, 1_000_000)
DIMENSIONS = 128


PARTS = ("passes", "peers", "memory", "queries")


def main(arguments: Sequence[str] = ()) -> None:
    """A table for each part."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks probe")
    parser.add_argument("--parts", default=",".join(PARTS), help="which tables")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", default="1000,10000", help="for the peak memory")
    parser.add_argument("--scanned", type=int, default=128, help="pictures shown to the peers")
    given = parser.parse_args(list(arguments))
    parts = given.parts.split(",")
    print(f"{torch.get_num_threads()} threads, float32, batch {BATCH}, {given.rounds} rounds")
    if "passes" in parts:
        throughput(given.rounds)
    if "peers" in parts:
        peers(noise, given.scanned, min(given.rounds, 3), BATCH)
    if "memory" in parts:
        memory([int(count) for count in given.pictures.split(",")])
    if "queries" in parts:
        queries()


def throughput(rounds: int) -> None:
    """What the probe costs beyond the bare pass, of pictures as they come and channels last."""
    print("\n| network | layers | channels | bare pass, ms | probe, ms | throughput | by processor "
          "time | bare pass, channels last, ms | throughput |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, pretrained in (("timm:resnet50", False), ("bundled:scenes-resnet", True)):
        model = zoo_adapters.load(name, pretrained=pretrained)
        found, state = passes(model, rounds)
        channels = sum(len(t.maxima) for t in state.tallies.values())
        bare, ours, last = (1000 * found[kind][0] / BATCH for kind in ("bare", "probe", "last"))
        print(f"| {name} | {len(state.layers)} | {channels:,} | {bare:.2f} | {ours:.2f} "
              f"| {1 / found['probe'][1]:.3f} (aim {AIM}) | {1 / found['probe'][2]:.3f} "
              f"| {last:.2f} | {last / ours:.3f} |", flush=True)  # fmt: skip


def noise(model: featvis.VisionModel, seed: int, count: int = BATCH) -> Tensor:
    """Pictures (count, 3, H, W) of coarse and fine noise."""
    make = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 8, generator=make)
    wide = torch.nn.functional.interpolate(coarse, model.size, mode="bilinear")
    return (wide + 0.2 * torch.randn(count, 3, *model.size, generator=make)).clamp(0, 1)


def passes(
    model: featvis.VisionModel, rounds: int
) -> tuple[dict[str, tuple[float, float, float]], Probe]:
    """Of a bare pass, a probing one, and a bare one, channels last: see `throughput`; the probe.

    Of each: seconds, ratio of seconds, ratio of processor time.
    """
    state, numbers = probe(model), iter(range(10**9))

    def batch() -> Batch:
        number = next(numbers)
        images = torch.arange(number * BATCH, (number + 1) * BATCH)
        return Batch(noise(model, number), images, torch.full((BATCH,), -1))

    for _ in range(SEEN // BATCH):
        list(scan(model, [batch()], into=state))
    prepared: Iterator[Batch] = iter([batch() for _ in range(rounds + 1)])
    pixels = noise(model, 10**6)
    ordered = pixels.contiguous(memory_format=torch.channels_last)

    def bare(images: Tensor) -> None:
        with torch.no_grad():
            model(images)

    runs: dict[str, Callable[[], object]] = {
        "bare": lambda: bare(pixels),
        "probe": lambda: list(scan(model, [next(prepared)], into=state)),
        "last": lambda: bare(ordered),
    }
    spent: dict[str, list[float]] = {name: [] for name in runs}

    def counted(name: str, run: Callable[[], object]) -> Callable[[], None]:
        def work() -> None:
            begin = process_time()
            run()
            spent[name].append(process_time() - begin)

        return work

    found = interleaved({name: counted(name, run) for name, run in runs.items()}, rounds, 1)
    shares = {
        name: median(a / b for a, b in zip(spent[name][1:], spent["bare"][1:], strict=True))
        for name in runs
    }
    return {name: (*told, shares[name]) for name, told in found.items()}, state


class Noise:
    """A source of noise pictures."""

    spec, classes, digest = "noise:", (), "noise"

    def __init__(self, count: int) -> None:
        self.count = count

    def shots(self, model: Any, numbers: range) -> Iterator[Shot]:
        """Made as they are asked for."""
        for number in numbers:
            image = featvis.Image(noise(model, number, 1), (0, 0, *model.size), model.size)
            yield Shot(number, f"{number:06}", -1, image)


def memory(counts: Sequence[int]) -> None:
    """Peak memory of whole builds (scenes-alexnet), each in a process of its own."""
    print("\n| pictures | peak memory of the process, MB |\n| ---: | ---: |")
    for count in counts:
        code = f"from benchmarks.probe import one; one({count})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        print(f"| {count:,} | {done.stdout.strip() or done.stderr[-200:]} |", flush=True)


def one(count: int) -> None:
    """Build an index over noise, and say the peak."""
    model = zoo_adapters.load("bundled:scenes-alexnet")
    with tempfile.TemporaryDirectory() as folder:
        build(model, Noise(count), folder=Path(folder) / "index")
    print(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def queries(rounds: int = 20) -> None:
    """Twelve neighbours among many vectors, and how many of them the graph finds."""
    print(f"\n{DIMENSIONS} dimensions, one query, 12 neighbours\n")
    print(
        "| vectors | search | to build, s | query, ms | found |\n"
        "| ---: | --- | ---: | ---: | ---: |"
    )
    for count in SIZES:
        random = np.random.default_rng(0)
        centers = random.normal(size=(1000, DIMENSIONS)).astype(np.float32)
        vectors = centers[random.integers(0, 1000, count)]
        vectors += 0.7 * random.standard_normal((count, DIMENSIONS), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        asked = vectors[random.integers(0, count, rounds)] + 0.02
        right = None
        for name, make in (
            ("torch", exact),
            ("FAISS flat", faiss_flat),
            ("FAISS HNSW", faiss_graph),
        ):
            begin = perf_counter()
            search = make(vectors)
            built = perf_counter() - begin
            search(asked[0], 12)
            begin = perf_counter()
            found = [set(search(query, 12)[0].tolist()) for query in asked]
            spent = (perf_counter() - begin) / rounds
            right = right or found
            share = np.mean([len(a & b) / 12 for a, b in zip(found, right, strict=True)])
            told = f"{count:,} | {name} | {built:.1f} | {1000 * spent:.2f} | {100 * share:.0f} %"
            print(f"| {told} |", flush=True)
