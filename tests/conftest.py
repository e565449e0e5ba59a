"""Fixtures: real data, a browser, and the app in it. What is missing is skipped with the reason."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from featvis import VisionModel
from tests.support import tiny
from tests.support.absent import skip_or_fail
from tests.support.settled import SLOW, settled

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))  # 1 where others compute too

MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome", MAC)
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-sync", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-quic",
)  # fmt: skip


# Files that share a live server, and so a process: "the live server" in tests/hostile/conftest.py.
TOGETHER = ("tests/hostile/test_rows.py", "tests/hostile/test_others.py")

SLOW_MARKS = ("slow", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow files first, so that both processes end together, and what ends a server last."""
    marked = {item.path for item in items for name in SLOW_MARKS if item.get_closest_marker(name)}

    def place(item: pytest.Item) -> tuple[bool, bool]:
        return "end_under_load" in getattr(item, "fixturenames", ()), item.path not in marked

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out files as `--dist loadfile` does, those that share a server to one process."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            return "the live server" if file in TOGETHER else file

    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="module")
def models() -> dict[str, VisionModel]:
    """Small networks in float64, by what is special about them."""
    return {name: tiny.model(net) for name, net in tiny.nets().items()}


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real ImageNet weights and photographs."""
    folder = os.environ.get("FEATVIS_REAL_DATA")
    if not folder or not (Path(folder) / "weights").is_dir():
        skip_or_fail(f"no real weights and photographs here: FEATVIS_REAL_DATA is {folder!r}")
    return Path(str(folder)).resolve()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; without one the test is skipped."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        skip_or_fail("no Chromium here: the browser tests cannot run")
    return found


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the indexes of a test are kept."""
    monkeypatch.setenv("FEATVIS_INDEXES", str(tmp_path / "indexes"))
    return tmp_path / "indexes"


@pytest.fixture
def folder(tmp_path: Path, indexes: Path) -> Path:
    """A tree of 40 small pictures, and of two files that are none."""
    from tests.support import small

    return small.pictures(tmp_path / "pictures")


@pytest.fixture
def index(folder: Path) -> Any:
    """The index of a small network over them."""
    from app.index import build, open_index, source_of
    from tests.support import small

    build(small.network(), source_of(f"folder:{folder}"), batch=4, shard=8)
    return open_index(small.network())


@pytest.fixture
def set_limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`set_limits(FEATVIS_STEPS="3")`: a server with these variables."""
    from app.machine import limits

    def change(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        limits.limits.cache_clear()

    yield change
    monkeypatch.undo()
    limits.limits.cache_clear()


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """One browser for all pages."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Callable[..., Any]]:
    """`page(width=, height=, **options)` opens one; no error, and no request to elsewhere."""
    errors: list[str] = []
    contexts = []

    def watch(request: Any) -> None:
        host = request.url.split("/")[2].split(":")[0] if "://" in request.url else ""
        if request.url.startswith(("http", "ws")) and host not in ("127.0.0.1", "localhost"):
            errors.append(f"request to {request.url}")

    def opened(width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        made = context.new_page()
        made.on("pageerror", lambda error: errors.append(f"page error: {error}"))
        made.on("console", lambda m: m.type == "error" and errors.append(f"console: {m.text}"))
        made.on("request", watch)
        return made

    yield opened
    for context in contexts:
        context.close()
    assert not errors, errors


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    pytest.importorskip("gradio")
    import zoo_adapters
    from app.web.serve import launch

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setenv("FEATVIS_MODEL", zoo_adapters.names("bundled")[0])
        blocks, url = launch()
        yield url
        blocks.close()


@pytest.fixture
def window(page: Any, address: str) -> Callable[..., Any]:
    """`window(query)` opens the page and waits for its first result."""

    def opened(query: str = "", **options: Any) -> Any:
        made = page(**options)
        made.set_default_timeout(SLOW)
        made.goto(address + query)
        made.locator(
            ".fv-heat:visible, .fv-grid:visible, .fv-made:visible, .fv-tiles:visible"
        ).first.wait_for()
        settled(made)
        return made

    return opened
