"""Load: visitors on loopback who drive real jobs, and what each of them waits for.

Three of four look at things: open the window, choose pictures, networks and tabs, ask the API for
maps. The fourth asks for long work: ascents, dreams, occlusion. Each reads what came for some
seconds before the next request. An answer is compared with the direct call.

With `--attacker` one more address does its worst (benchmarks/attacker.py) in every second round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import httpx

import zoo_adapters
from app.answers.ask import ask_of
from app.answers.prediction import logits_of
from app.answers.run import run
from app.machine.cache import model_of
from app.question.pictures import EXAMPLES
from app.question.state import State
from benchmarks.client import Answer, Visitor
from benchmarks.server import ROOT, Server, serve

READS = 4.0  # seconds that a visitor looks at an answer, on average
VISITORS = 8  # beside the attacker
PEACE = 5.0  # seconds between two rounds, and until the attacker has begun
ROUNDS, EACH = 6, 10  # of the ratio: rounds, and answers in each


class Job(NamedTuple):
    """One request, and what became of it."""

    kind: str
    answer: Answer
    right: bool | None  # None: there was nothing to compare


def main(arguments: Sequence[str] = ()) -> None:
    """Print a table of the visitors, and what was slow, lost or wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks load")
    parser.add_argument("--visitors", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--attacker", action="store_true", help="8 visitors beside an attacker")
    parser.add_argument("--rounds", type=int, default=4, help="of each kind, with --attacker")
    options = parser.parse_args(arguments)
    known = _expected()
    if options.attacker:
        with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server:
            _print_attacked(server, options.rounds, options.seconds, known)
        return
    print(f"{os.cpu_count()} processors, {options.seconds:g} s each, a visitor reads {READS:g} s")
    print("| visitors | answers a minute | refused | lost | wrong | prediction p50 / p95 s "
          "| CAM p50 / p95 s | opening p50 / p95 s | window p50 / p95 s | long p50 / p95 s "
          "| memory before, after, peak MB | load |")  # fmt: skip
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server:
        asyncio.run(_drive(server, 4, 5.0, known))  # what is loaded once
        for count in options.visitors:
            before = server.memory()
            jobs, spent = asyncio.run(_drive(server, count, options.seconds, known))
            after = [server.memory(), server.peak_memory()]
            print(_row(count, jobs, spent, [before, *after]), flush=True)
            for job in {(j.kind, str(j.answer.value)[:200]) for j in jobs
                        if j.answer.fate != "answered"}:  # fmt: skip
                print("  not answered:", *job)
        print(asyncio.run(_beside(server)))


def _print_attacked(
    server: Server, rounds: int, seconds: float, known: dict[tuple[str, str], float]
) -> None:
    """A row without and a row with the attacker, of rounds in turn, and the ratio of the two."""
    asyncio.run(_drive(server, 4, 5.0, known))  # what is loaded once
    jobs: dict[bool, list[Job]] = {False: [], True: []}
    memory = {False: 0.0, True: 0.0}  # after the last round of a kind
    for attacked in [False, True] * rounds:
        with _attacker(server.url, attacked):
            jobs[attacked] += asyncio.run(_drive(server, VISITORS, seconds, known))[0]
            memory[attacked] = server.memory()
        time.sleep(PEACE)
    light = {
        attacked: [
            j.answer.seconds for j in done if j.answer.fate == "answered" if j.kind != "long"
        ]
        for attacked, done in jobs.items()
    }
    print(
        f"{os.cpu_count()} processors, {VISITORS} visitors, {rounds} rounds of {seconds:g} s each"
    )
    print("| | light answers | p50 / p95 s | refused | lost | wrong | memory MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for attacked, name in ((False, "without the attacker"), (True, "with the attacker")):
        fates = [job.answer.fate for job in jobs[attacked]]
        wrong = sum(job.right is False for job in jobs[attacked])
        print(f"| {name} | {len(light[attacked])} | {middle(light[attacked])} | "
              f"{fates.count('refused')} | {fates.count('lost')} | {wrong} | "
              f"{memory[attacked]:.0f} |")  # fmt: skip
    middles = [median(light[True]) / median(light[False]), _late(light[True]) / _late(light[False])]
    print(f"| ratio | | {middles[0]:.2f} / {middles[1]:.2f} | | | | |")
    for job in {(j.kind, str(j.answer.value)[:200]) for done in jobs.values() for j in done
                if j.answer.fate != "answered" or j.right is False}:  # fmt: skip
        print("  not answered, or wrong:", *job)


@contextmanager
def _attacker(url: str, present: bool) -> Iterator[None]:
    """One address that does its worst, in a process of its own, so that it slows no client."""
    if not present:
        yield
        return
    command = [sys.executable, "-m", "benchmarks.attacker", url]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        time.sleep(PEACE)  # it begins
        yield
    finally:
        process.terminate()
        process.wait()


def _expected() -> dict[tuple[str, str], float]:
    """Network and picture -> the score of the predicted class, by the direct call."""
    return {
        (model, image): float(run(ask_of("cam", State(model=model, image=image))).result.score[0])
        for model in _networks()
        for image in EXAMPLES
    }


def _networks() -> list[str]:
    return [n for n in zoo_adapters.names("bundled") if model_of(n).head is not None]


async def _drive(
    server: Server, count: int, seconds: float, known: dict[tuple[str, str], float]
) -> tuple[list[Job], float]:
    """All jobs of so many visitors, and the seconds until the last was answered."""
    config = httpx.get(f"{server.url}/config").json()
    begin = time.monotonic()
    made = await asyncio.gather(
        *(_visit(Visitor(server.url, n, config), n, begin + seconds, known) for n in range(count))
    )
    return [job for jobs in made for job in jobs], time.monotonic() - begin


async def _visit(
    visitor: Visitor, number: int, until: float, known: dict[tuple[str, str], float]
) -> list[Job]:
    """What one visitor asks for; every fourth asks for long work, every second uses the window."""
    chance, jobs = random.Random(number), []
    models = list(dict.fromkeys(model for model, _ in known))
    await asyncio.sleep(chance.uniform(0, min(READS, 1 + number)))
    window = number % 2 == 1
    if window:
        answer = await visitor.use("load", "load")
        jobs.append(Job("opening", answer, None))
    while time.monotonic() < until:
        model, image = chance.choice(models), chance.choice(EXAMPLES)
        if number % 4 == 3:
            jobs.append(Job("long", await _long(visitor, chance, model, image), None))
        elif window:
            jobs.append(await _looks(visitor, image))
        else:
            jobs.append(await _asks(visitor, chance, model, image, known))
        await asyncio.sleep(min(chance.expovariate(1 / READS), 3 * READS))
    await visitor.http.aclose()
    return jobs


async def _looks(visitor: Visitor, image: str) -> Job:
    """Another picture in the window: its prediction comes first, then its maps."""
    answer = await visitor.use("fv-examples", "select", pick=image)
    if answer.fate != "answered":
        return Job("window", answer, None)
    prediction = str(answer.value[visitor.place("fv-prediction")])
    return Job("window", answer, _label(image) in prediction or "__type__" in prediction)


def _label(image: str) -> str:
    state = State(image=image)
    model = model_of(state.model)
    return model.labels[int(logits_of(state).argmax())]


async def _asks(
    visitor: Visitor, chance: random.Random, model: str, image: str,
    known: dict[tuple[str, str], float],
) -> Job:  # fmt: skip
    """A map of a class by the API, or of what a layer sees."""
    if chance.random() < 0.7:
        answer = await visitor.call("run", "cam", model, image, "", "", -1, "", "{}")
        right = answer.fate == "answered" and abs(
            answer.value[0]["score"][0] - known[model, image]
        ) <= 1e-3 * max(1, abs(known[model, image]))
        return Job("CAM", answer, right if answer.fate == "answered" else None)
    layer = model_of(model).last_layer
    answer = await visitor.call("run", "feature_maps", model, image, "", layer, -1, "", "{}")
    channels = model_of(model).layer(layer).channels
    right = answer.fate == "answered" and answer.value[0]["shape"][1] == channels
    return Job("maps", answer, right if answer.fate == "answered" else None)


async def _beside(server: Server) -> str:
    """What CAM on a loaded network takes while long work of others runs, and while none does.

    In turn, so that the ratio holds on a busy machine; no two ask for the same class and picture.
    """
    visitor, chance = Visitor(server.url, 10_000), random.Random(0)
    model = "bundled:scenes-resnet"
    classes = len(model_of(model).labels)
    questions = [(image, str(k)) for k in range(classes) for image in EXAMPLES]
    others = [Visitor(server.url, 20_000 + n) for n in range(4)]
    spent: dict[bool, list[float]] = {False: [], True: []}
    for busy in [False, True] * ROUNDS:
        stop = asyncio.Event()

        async def keep(other: Visitor, stop: asyncio.Event = stop) -> None:
            while not stop.is_set():
                await _long(other, chance, model, chance.choice(EXAMPLES))

        working = [asyncio.create_task(keep(other)) for other in others if busy]
        await asyncio.sleep(1.0)
        for _ in range(EACH):
            image, target = questions.pop()
            answer = await visitor.call("run", "cam", model, image, target, "", -1, "", "{}")
            assert answer.fate == "answered", answer
            spent[busy].append(answer.seconds)
            await asyncio.sleep(0.2)
        stop.set()
        await asyncio.gather(*working)
    alone, beside = spent[False], spent[True]
    return (
        f"CAM of another class: alone {middle(alone)} s, while 4 others ask for long work "
        f"{middle(beside)} s (p50 / p95), ratio of the medians "
        f"{median(beside) / median(alone):.2f}; load {os.getloadavg()[0]:.1f}"
    )


async def _long(visitor: Visitor, chance: random.Random, model: str, image: str) -> Answer:
    """An ascent, a dream or occlusion; no two are the same."""
    layer, seed = model_of(model).last_layer, chance.randrange(10**6)
    name, channel, params = chance.choice([
        ("maximize", 1, f'{{"steps": 48, "seed": {seed}}}'),
        ("deepdream", -1, f'{{"steps": 6, "size": 192, "seed": {seed}}}'),
        ("occlusion", -1, f'{{"window": 0.2, "across": {chance.randrange(14, 24)}}}'),
    ])  # fmt: skip
    if name == "occlusion":
        layer = ""
    return await visitor.call("run", name, model, image, "", layer, channel, "", params)


def _row(count: int, jobs: list[Job], spent: float, memory: list[float]) -> str:
    fates = [job.answer.fate for job in jobs]
    done = [job for job in jobs if job.answer.fate == "answered"]
    predicted = [job.answer.first for job in done if job.kind == "window"]
    cells: list[Any] = [
        count,
        f"{60 * len(done) / spent:.0f}",
        fates.count("refused"),
        fates.count("lost"),
        sum(job.right is False for job in jobs),
        middle(predicted),
        *(middle([job.answer.seconds for job in done if job.kind == kind])
          for kind in ("CAM", "opening", "window", "long")),
        ", ".join(f"{value:.0f}" for value in memory),
        f"{os.getloadavg()[0]:.1f}",
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def _late(values: list[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[18]


def middle(values: list[float]) -> str:
    """The median and the 95th percentile, as a cell of a table."""
    if len(values) < 2:
        return f"{values[0]:.2f}" if values else ""
    cuts = quantiles(values, n=20, method="inclusive")
    return f"{cuts[9]:.2f} / {cuts[18]:.2f}"
