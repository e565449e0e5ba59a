"""A small network and folders of pictures, for tests of indexes.

`python -m tests.support.small FOLDER PLACE:LAST ...` builds indexes, each in a process of its own.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import nn

import featvis
import zoo_adapters
from app.index import build, source_of
from featvis import VisionModel


def network(seed: int = 0, name: str = "mine:small") -> VisionModel:
    """Two convolutions and a linear classifier, 24 x 24 pixels."""
    make = torch.Generator().manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, 2, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=make) * 0.5
    return zoo_adapters.wrap(module, name=name, mean=(0.5,) * 3, std=(0.25,) * 3, size=(24, 24))


def pictures(root: Path, count: int = 40) -> Path:
    """A tree of pictures in three folders, and two files that are none."""
    random = np.random.default_rng(0)
    for i in range(count):
        place = root / f"class-{i % 3}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (20 + i % 7, 30, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(place / f"{i:03}.png")
    (root / "class-1" / "010.jpg").write_bytes(b"no picture")
    whole = (root / "class-0" / "003.png").read_bytes()
    (root / "class-2" / "cut.png").write_bytes(whole[: len(whole) // 2])
    return root


def literal(folder: Path, layer: str) -> dict[str, torch.Tensor]:
    """Name of each readable picture -> its maps (C, h, w), read one by one."""
    model = network()
    names = [f"class-{i % 3}/{i:03}.png" for i in range(40)]
    return {
        name: featvis.record(model, zoo_adapters.read_image(folder / name, model), layer)[layer][0]
        for name in sorted(names)
    }


def bytes_of(place: Path) -> dict[str, bytes]:
    """All files of an index."""
    return {file.name: file.read_bytes() for file in sorted(place.iterdir())}


def build_each(folder: str, builds: list[str]) -> None:
    """Build indexes of a folder one after the other, each in a fork.

    A build is PLACE:LAST: indexes are kept in PLACE, and the process dies by SIGKILL when LAST
    pictures are done; 0 is never. Printed are the exit code and the number of finished indexes.
    """
    network()  # whatever its first use imports is imported once
    for place, _, last in (each.rpartition(":") for each in builds):
        child = os.fork()
        if not child:
            os.environ["FEATVIS_INDEXES"] = place
            _build(folder, int(last))
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, len([*Path(place).glob("*/manifest.json")]))


def _build(folder: str, last: int) -> None:
    def progress(done: int, total: int | None) -> None:
        if done >= last > 0:
            os.kill(os.getpid(), signal.SIGKILL)

    build(network(), source_of(f"folder:{folder}"), batch=4, shard=8, progress=progress)


SWEPT = ["torchvision:squeezenet1_1", "torchvision:alexnet", "torchvision:not_there"]


def on_cluster(folder: str, pids: str) -> None:
    """The same by two workers of Ray, of which one is killed once a shard has arrived.

    Then, on the same cluster, a sweep over three architectures; beside it the same by one process,
    and what a call of a worker that dies each time becomes.
    """
    import ray

    from app.index.cluster import on_ray, spread
    from benchmarks import zoo

    begun, death = Path(pids), Path(pids).parent / "killed"

    def announced() -> VisionModel:
        """The network; once a worker is dead the others wait for its substitute."""
        (begun / str(os.getpid())).touch()
        model = network()
        forward, end = model.module.forward, time.monotonic() + 120

        def waiting(x: torch.Tensor) -> torch.Tensor:
            while death.exists() and len([*begun.iterdir()]) < 3 and time.monotonic() < end:
                time.sleep(0.05)
            return forward(x)

        model.module.forward = waiting
        return model

    killed: list[int] = []

    def progress(done: int, total: int | None) -> None:
        if done and not killed:
            killed.append(int(sorted(file.name for file in begun.iterdir())[0]))
            death.touch()
            os.kill(killed[0], signal.SIGKILL)

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    shards = on_ray(load=announced)
    source = source_of(f"folder:{folder}")
    build(network(), source, batch=4, shard=8, shards=shards, progress=progress)
    workers = len(list(begun.iterdir()))
    swept = Path(pids).parent
    for stage in ("facts", "head"):
        zoo.sweep(stage, SWEPT, swept / "swept", partial(zoo.by_ray, workers=2))
        for name in SWEPT:  # `work` ends early in a process that has been large, as ours may seem
            zoo.work(stage, [name], swept / "alone swept")
    halves = sorted(spread(_half, [(1,), (2,), (3,)], lost=lambda n: -n))
    ray.shutdown()
    # a file: Ray writes to the output of this process, in the midst of our lines
    outcome = {"halves": halves, "killed": killed[0], "workers": workers}
    (swept / "outcome.json").write_text(json.dumps(outcome))


def _half(number: int) -> int:
    """Of two workers one that dies at its call, however often it is made."""
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


if __name__ == "__main__":
    if ":" in sys.argv[2]:
        build_each(sys.argv[1], sys.argv[2:])
    else:
        on_cluster(sys.argv[1], sys.argv[2])
