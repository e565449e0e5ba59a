"""Every architecture of the zoos: facts and layers, head, cheap methods. `--help` says how.

One process takes a chunk of architectures at a time, so that memory stays bounded and a crash
costs one row. With `--engine ray` the workers of a Ray cluster take one at a time, as they do the
shards of an index. Rows are appended to a CSV file for each stage as they are made: `--resume`
goes on where a run ended, or where what it published ends if the files are gone. Small networks
come first. `--page` writes docs/zoo.md, docs/zoo.csv and the zoos' table.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch

import zoo_adapters
from app.index.cluster import spread
from benchmarks.sweep import published
from benchmarks.sweep.page import write
from benchmarks.sweep.row import FAILED, STAGES

ZOOS = ("timm", "torchvision", "transformers")
CHUNK = 40  # architectures of a process, which ends earlier ...
MEMORY = 3e6  # ... when it holds more than this, in KiB
LONGEST = 240  # seconds of the processor that one cell may take
NICE = 15  # others come first on this machine
FOLDER = Path("build/zoo")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    options = _options(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for stage, known in (published.stages() if options.resume else {}).items():
        if not _file(stage, options.folder).exists():
            for name, row in known.items():
                _append(stage, options.folder, {"name": name, **row})
    for stage in options.stages:
        if not options.resume:
            _file(stage, options.folder).unlink(missing_ok=True)
        sweep(stage, _chosen(options), options.folder, _engine(options))
    if options.page:
        write(_listed(), *(rows(stage, options.folder) for stage in STAGES))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks zoo", description=__doc__)
    parser.add_argument("--all", action="store_true", help="all architectures of all zoos")
    parser.add_argument("--family", help="those of one family: resnet")
    parser.add_argument("--zoo", choices=ZOOS, help="those of one zoo")
    parser.add_argument("--resume", action="store_true", help="keep the rows that there are")
    parser.add_argument("--stages", nargs="*", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"of the tables: {FOLDER}")
    parser.add_argument("--page", action="store_true", help="then write docs/zoo.md and the table")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--engine", choices=("local", "ray"), default="local",
                        help="ray: by the workers of a Ray cluster")  # fmt: skip
    parser.add_argument("--address", help="of a running cluster; without it, one is begun here")
    options = parser.parse_args(arguments)
    if not (options.all or options.family or options.zoo):
        parser.error("say what is swept: --all, --zoo ZOO or --family FAMILY")
    return options


def architectures(zoo: str) -> list[str]:
    """Its architectures, without their sets of weights; what only the hub has is left out."""
    names = zoo_adapters.names(zoo)
    if zoo == "transformers":
        return [name for name in names if not zoo_adapters.describe(name).weights]
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


def _listed() -> dict[str, list[str]]:
    """The rows of the page's tables: torchvision's backbones apart from its classifiers."""
    listed: dict[str, list[str]] = {}
    for name in (name for zoo in ZOOS for name in architectures(zoo)):
        known = zoo_adapters.describe(name)
        apart = name.startswith("torchvision:") and known.classes == 0
        key = f"torchvision, {known.family}" if apart else name.partition(":")[0]
        listed.setdefault(key, []).append(name)
    return listed


def _chosen(options: argparse.Namespace) -> list[str]:
    names = [n for zoo in ZOOS if options.zoo in (None, zoo) for n in architectures(zoo)]
    if options.family:
        names = [n for n in names if zoo_adapters.describe(n).family == options.family]
    return names


Engine = Callable[[str, list[str], Path], Iterator[list[str]]]  # names that failed, as rows come


def _engine(options: argparse.Namespace) -> Engine:
    if options.engine == "ray":
        return partial(by_ray, address=options.address, workers=options.workers)
    return partial(by_processes, workers=options.workers)


def sweep(stage: str, names: list[str], folder: Path, engine: Engine) -> None:
    """Make the rows that are missing, small networks first."""
    done = rows(stage, folder)
    cost = {n: float(r.get("parameters") or 1e12) for n, r in rows("facts", folder).items()}
    todo = sorted((n for n in names if n not in done), key=lambda n: cost.get(n, 1e12))
    begin = time.monotonic()
    for bad in engine(stage, todo, folder):
        made = len(rows(stage, folder).keys() & set(names))
        print(f"{stage}: {made} of {len(names)}, {time.monotonic() - begin:.0f} s"
              + (f"; failed: {', '.join(bad)}" if bad else ""), flush=True)  # fmt: skip


def by_processes(stage: str, todo: list[str], folder: Path, workers: int) -> Iterator[list[str]]:
    """Processes of this machine, a chunk of architectures each."""
    server = multiprocessing.get_context("forkserver")  # it imports the libraries once
    server.set_forkserver_preload(
        ["benchmarks.sweep.row", "zoo_adapters.timm", "zoo_adapters.torchvision"]
    )
    chunks = [todo[i : i + CHUNK] for i in range(0, len(todo), CHUNK)]
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda chunk: _finished(stage, chunk, folder, server), chunks)


def by_ray(
    stage: str, todo: list[str], folder: Path, workers: int | None, address: str | None = None
) -> Iterator[list[str]]:
    """Workers of a Ray cluster, as for an index; the rows are appended here, as they arrive."""
    known = rows("facts", folder)
    calls = [(stage, name, known.get(name, {})) for name in todo]
    bad: list[str] = []
    found = spread(row_of, calls, address, workers=workers, together=CHUNK, lost=died)
    for count, row in enumerate(found, 1):
        _append(stage, folder, row)
        bad += [row["name"]] if row["error"] else []
        if count % CHUNK == 0 or count == len(todo):
            yield bad
            bad = []


def _finished(stage: str, chunk: list[str], folder: Path, server: Any) -> list[str]:
    """Have a chunk done, by as many processes as it takes; those of it that failed."""
    todo = chunk
    while todo:
        process = server.Process(target=work, args=(stage, todo, folder))
        process.start()
        process.join()
        made = rows(stage, folder)
        left = [name for name in todo if name not in made]
        if len(left) == len(todo):  # the process died at the first of them
            _append(stage, folder, died(stage, left.pop(0), {}))
        todo = left
    made = rows(stage, folder)
    return [name for name in chunk if made[name].get("error")]


def died(stage: str, name: str, known: dict[str, str]) -> dict[str, Any]:
    """The row of an architecture that ended its process."""
    return {"name": name, "error": f"{FAILED} the process died"}


def work(stage: str, names: list[str], folder: Path) -> None:
    """The rows of a chunk, each appended when it is made."""
    known = rows("facts", folder)
    for name in names:
        _append(stage, folder, row_of(stage, name, known.get(name, {})))
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MEMORY:
            return


def row_of(stage: str, name: str, known: dict[str, str]) -> dict[str, Any]:
    """One row, in a process that does nothing else."""
    os.nice(max(0, NICE - os.nice(0)))
    torch.set_num_threads(1)
    row: dict[str, Any] = {"name": name, "error": ""}
    begin = time.monotonic()
    signal.signal(signal.SIGPROF, _late)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for column, cell in STAGES[stage](name, known):
                row[column] = cell
                signal.setitimer(signal.ITIMER_PROF, LONGEST)  # the next one begins
    except Exception as error:
        said = (str(error).strip() or "nothing said").splitlines()[0]
        row["error"] = f"{FAILED} {type(error).__name__}: {said}"
    signal.setitimer(signal.ITIMER_PROF, 0)
    row["seconds"] = f"{time.monotonic() - begin:.1f}"
    return row


def _late(*_: Any) -> None:
    raise TimeoutError(f"it took more than {LONGEST} s")


def _file(stage: str, folder: Path) -> Path:
    return folder / f"{stage}.csv"


def rows(stage: str, folder: Path) -> dict[str, dict[str, str]]:
    """The rows of a stage by name; a later row of a name replaces an earlier one."""
    return {row["name"]: row for row in _read(_file(stage, folder))}


def _read(path: Path) -> Iterator[dict[str, str]]:
    if path.exists():
        with path.open(encoding="utf8", newline="") as file:
            for name, cells in csv.reader(file):
                yield {"name": name, **json.loads(cells)}


def _append(stage: str, folder: Path, row: dict[str, Any]) -> None:
    """Two columns, name and cells, as long as it runs: a row may end early."""
    cells = {
        key: "" if value is None else str(value) for key, value in row.items() if key != "name"
    }
    with _file(stage, folder).open("a", encoding="utf8", newline="") as file:
        csv.writer(file).writerow([row["name"], json.dumps(cells)])
