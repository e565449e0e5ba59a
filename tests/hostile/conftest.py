"""A live public server for strangers; HOSTILE_CHECKOUT names another checkout to serve.

With that variable a server that an attack leaves useless is replaced, so that it fails its own test
only.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.client import Visitor
from benchmarks.lures import listen, plant
from benchmarks.server import ROOT, Server, free_port, start, wait
from tests.support.loops import awaited

CHECKOUT = Path(os.environ.get("HOSTILE_CHECKOUT", ROOT))
FRESH = CHECKOUT != ROOT
NUMBERS = count(1)
LONGEST = 120  # seconds of the actions of a test
ZOO = '''
import torch, zoo_adapters
from torch import nn

def names():
    return ["embedder"]

def load(name, *, pretrained=True, progress=None):
    """A network without classes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        return zoo_adapters.wrap(nn.Sequential(*layers), name=f"strange:{name}",
                                 mean=(0.5,) * 3, std=(0.25,) * 3, size=(64, 64), embeds=True)
'''
VARIABLES = {
    "OMP_NUM_THREADS": "1",
    "FEATVIS_ZOOS": "bundled,timm,torchvision,transformers,strange",
    "FEATVIS_STORED_MB": "4",
    "FEATVIS_SERVED_MB": "30",
}


class Keeper:
    """Starts a server when one is asked for and none runs."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder, self.variables, self.server = folder, variables, None
        self.checkout = CHECKOUT

    def running(self) -> Server:
        """A server that answers."""
        if self.server is None or self.server.process.poll() is not None:
            alone = shutil.which("unshare") is not None and os.geteuid() == 0
            variables = {**VARIABLES, **self.variables}
            self.server = start(self.folder, free_port(), CHECKOUT, alone=alone, **variables)
            wait(self.server)
            self.server.arm()
        return self.server

    def end(self) -> None:
        """End the server."""
        if self.server is not None and self.server.process.poll() is None:
            self.server.end()


@pytest.fixture(scope="session")
def keepers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Keeper]]:
    """`keepers(variables)`: one server for all files that ask for the same variables."""
    pytest.importorskip("gradio")
    by_variables: dict[tuple[tuple[str, str], ...], Keeper] = {}

    def keeper(variables: dict[str, str]) -> Keeper:
        key = tuple(sorted(variables.items()))
        if key not in by_variables:
            folder = tmp_path_factory.mktemp("server")
            plant(folder / "planted")
            plug_in(folder / "site")
            by_variables[key] = Keeper(folder, variables)
        return by_variables[key]

    yield keeper
    for each in by_variables.values():
        each.end()


def plug_in(site: Path) -> None:
    """Install the zoo `strange` into a folder of packages."""
    package = site / "strange-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[zoo_adapters]\nstrange = strange\n")
    (site / "strange.py").write_text(ZOO)


@pytest.fixture(scope="module")
def keeper(keepers: Callable[..., Keeper], request: Any) -> Keeper:
    return keepers(getattr(request.module, "VARIABLES", {}))


def answers(server: Server) -> bool:
    """Does it still do light work?"""
    body = {"data": ["cam", "bundled:scenes-mobilenet", "scene-24", "", "", -1, "", "{}"]}
    address = f"{server.url}/gradio_api/call/run"
    with suppress(httpx.HTTPError, KeyError, ValueError):
        event = httpx.post(address, json=body, timeout=3).json()["event_id"]
        return "complete" in httpx.get(f"{address}/{event}", timeout=3).text
    return False


@pytest.fixture
def server(keeper: Keeper) -> Iterator[Server]:
    server = keeper.running()
    server.forget()
    yield server
    if FRESH and not answers(server):
        keeper.end()


@pytest.fixture
def listener() -> Iterator[Any]:
    """A server on loopback that nobody should call."""
    with listen() as heard:
        yield heard


@pytest.fixture
def visit(server: Server) -> Callable[..., Any]:
    """`visit(actions, patience=20)`: run `await actions(visitor)` of a visitor with an address."""
    config = httpx.get(f"{server.url}/config", timeout=20).json()

    def run(actions: Callable[[Visitor], Awaitable[Any]], patience: float = 20) -> Any:
        async def one() -> Any:
            number = next(NUMBERS)
            source = f"127.0.1.{number % 250 + 1}" if sys.platform == "linux" else None
            visitor = Visitor(server.url, number, config, patience, source)
            try:
                return await asyncio.wait_for(actions(visitor), LONGEST)
            finally:
                await visitor.http.aclose()

        return awaited(one())

    run.config = config  # type: ignore[attr-defined]
    return run


@pytest.fixture
def end_under_load(server: Server, visit: Callable[..., Any]) -> Callable[[int], float]:
    """`end_under_load(signal)`: seconds until a server that works for visitors ends."""

    async def work(visitor: Visitor) -> None:
        others = [Visitor(server.url, 2**22 + n, patience=30) for n in range(3)]
        jobs = [("maximize", "layer4", 1, "{}"), ("deepdream", "layer4", -1, "{}"),
                ("occlusion", "", -1, '{"across": 24}')]  # fmt: skip
        for other, (method, *rest) in zip(others, jobs, strict=True):
            await other.post("/call/run", {"data": [method, "bundled:scenes-resnet", "scene-30", "",
                                                    *rest[:2], "", rest[2]]})  # fmt: skip
        await asyncio.sleep(1.5)
        for other in others:
            await other.http.aclose()

    def end(number: int) -> float:
        visit(work)
        begin = time.monotonic()
        server.signal(number)
        try:
            server.process.wait(8)
        except subprocess.TimeoutExpired:
            server.end()
        return time.monotonic() - begin

    return end
