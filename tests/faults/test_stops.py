"""Work stops when nobody wants it, and a server that is killed starts again with nothing half."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

import zoo_adapters
from app.answers.prediction import logits_of
from app.machine import disk, disk_store
from app.question import pictures
from app.question.state import State, from_query
from featvis.progress import tick
from tests.support.loops import awaited

pytest.importorskip("gradio")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of Gradio
]
ROOT = Path(__file__).parents[2]
SOON = 20.0  # seconds; what is asserted is the state of the work, on a busy machine


@pytest.fixture(scope="module")
def events():
    """The window's handlers, without a server."""
    from app.window.events import Events
    from app.window.layout import Window

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        window = Window()
        with window.blocks:
            yield Events(window)
        del window
        gc.collect()  # Gradio leaves an event loop and its sockets to the collector, which warns


@pytest.fixture
def endless(monkeypatch):
    """An ascent that never ends by itself; `.steps` counts, `.stopped` is set when it is."""
    told = SimpleNamespace(steps=0, stopped=threading.Event(), begun=threading.Event())

    def run(ask, on_step=None):
        try:
            while True:
                tick(told.steps, 10**9)
                told.steps += 1
                told.begun.set()
                time.sleep(0.002)
        finally:
            told.stopped.set()

    monkeypatch.setattr("app.pages.tabs.run", run)
    return told


async def every(updates):
    """All updates of a handler."""
    return [update async for update in updates]


async def opened(events, query=""):
    from app.window.visit import Visit

    visit = Visit()
    await every(events._opened(visit, query))
    assert visit.state is not None
    assert visit.controls == visit.state
    return visit


async def working(events, visit, endless):
    """The handler of a page that waits for the endless ascent."""
    small = {"steps": 4, "size": 64}  # for those who draw it once it is no longer endless
    updates = events._used(visit, lambda state: state.but(tab="Synthesis").having(**small))
    await anext(updates)
    assert await asyncio.to_thread(endless.begun.wait, SOON)
    return updates


@pytest.mark.parametrize("of_lane", [False, True])
def test_a_closed_page_stops_its_work(events, endless, of_lane):
    async def scenario():
        visit = await opened(events, "tab=Neighbours")
        updates = await working(events, visit, endless)
        work = visit.work
        work.is_long = of_lane
        await updates.aclose()  # what Gradio does with a page that is gone
        gc.collect()
        await asyncio.sleep(0)
        assert await asyncio.to_thread(endless.stopped.wait, SOON)
        assert work._future.exception(SOON) is not None
        after = endless.steps
        await asyncio.sleep(0.1)
        assert endless.steps == after

    awaited(scenario())


def test_cancel_stops_the_work_and_the_page_goes_on(events, endless, monkeypatch):
    async def scenario():
        visit = await opened(events, "tab=Neighbours")
        updates = await working(events, visit, endless)
        monkeypatch.undo()
        events._cancel(visit)
        notices = [u[events.w.notice] for u in await every(updates) if events.w.notice in u]
        assert endless.stopped.is_set()
        assert "Cancelled" in str(notices[-1])
        assert visit.state.tab == "Neighbours"
        await every(events._used(visit, lambda state: state.but(tab="Filters")))
        assert visit.state.tab == "Filters"

    awaited(scenario())


@pytest.mark.parametrize("of_lane", [False, True])
def test_an_action_never_waits_for_the_work_of_its_own_page(events, endless, of_lane, monkeypatch):
    async def scenario():
        visit = await opened(events, "tab=Neighbours")
        left = await working(events, visit, endless)
        visit.work.is_long = of_lane
        job = visit.work
        monkeypatch.undo()
        before = threading.active_count()
        actions = [events._used(visit, lambda state: state.but(tab="Filters")) for _ in range(110)]
        first = await asyncio.gather(*(every(action) for action in actions))
        assert all(first)  # each answered
        assert threading.active_count() < before + 70
        assert (visit.state.tab, visit.controls.tab) == ("Filters", "Filters")
        assert job._future.done() != of_lane  # one of the lane goes on, and can be asked for again
        await asyncio.wait_for(every(left), SOON)  # what waited for it ends, and changes nothing
        assert visit.state.tab == "Filters"
        job.cancel()
        assert await asyncio.to_thread(endless.stopped.wait, SOON)

    awaited(scenario())


@pytest.mark.parametrize("of_lane", [False, True])
def test_an_action_that_changes_nothing_does_not_lose_the_results(
    events, endless, of_lane, monkeypatch
):
    """Words that are searched for, say, while the tab is still computed."""

    async def scenario():
        visit = await opened(events, "tab=Neighbours")
        left = await working(events, visit, endless)
        async for _ in left:  # until the controls of the new tab are there
            if visit.controls.tab == "Synthesis":
                break
        visit.work.is_long = of_lane
        job = visit.work
        monkeypatch.undo()
        if of_lane:
            job.cancel()  # so that the same ascent is free again
        updates = await every(events._used(visit, lambda state: state))
        view = events.w.parts["Synthesis"].view
        assert any(view in update for update in updates)
        assert visit.results == visit.controls == visit.state
        assert visit.state.tab == "Synthesis"
        assert not any(view in update for update in await every(events._used(visit, lambda s: s)))

    awaited(scenario())


def test_two_quick_actions_both_count(events, monkeypatch):
    """Two quick actions: the second one takes the place of the first, and has its change, too."""
    gate = threading.Event()

    def slow(state):
        gate.wait(SOON)
        return state.but(seed=5)

    async def scenario():
        visit = await opened(events, "tab=Filters")
        first = asyncio.create_task(every(events._used(visit, slow)))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(every(events._used(visit, lambda s: s.but(image="scene-2"))))
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.gather(first, second)
        assert (visit.state.seed, visit.state.image) == (5, "scene-2")
        assert not visit.pending

    awaited(scenario())


def test_an_action_while_the_page_opens_keeps_its_link(events):
    from app.window.visit import Visit

    async def scenario():
        visit = Visit()
        opening = asyncio.create_task(every(events._opened(visit, "tab=Filters&img=scene-3")))
        await asyncio.sleep(0)
        await every(events._used(visit, lambda state: state.but(tab="Neighbours")))
        await opening
        assert (visit.state.tab, visit.state.image) == ("Neighbours", "scene-3")
        assert visit.controls == visit.state

    awaited(scenario())


def test_a_broken_link_gives_way_to_an_action_on_the_page(events):
    from app.window.visit import Visit

    async def scenario():
        visit = Visit()
        opening = asyncio.create_task(every(events._opened(visit, "layer=no.layer&img=scene-3")))
        await asyncio.sleep(0)
        await every(events._used(visit, lambda state: state.but(tab="Neighbours")))
        await opening
        assert (visit.state.tab, visit.state.image) == ("Neighbours", "scene-3")
        assert visit.results == visit.controls == visit.state

    awaited(scenario())


def test_a_page_goes_back_to_the_state_that_it_shows(events):
    """Also where the link of a page that is opened again cannot be shown."""

    async def scenario():
        visit = await opened(events, "tab=Filters")
        for _ in range(2):
            updates = await every(events._used(visit, lambda state: state.but(layer="no.layer")))
            assert "no.layer" in str(updates[-1][events.w.notice])
            assert (visit.state.tab, visit.state.layer) == ("Filters", None)
        await every(events._opened(visit, "layer=no.layer"))
        assert visit.controls.layer is None
        updates = await every(events._used(visit, lambda state: state.but(tab="Neighbours")))
        assert visit.results.tab == "Neighbours"

    awaited(scenario())


def test_a_dropped_visit_resumes_from_the_address_of_its_page(events):
    from app.window.visit import Visit

    request = SimpleNamespace(
        headers={"referer": "http://127.0.0.1/?tab=Filters&img=scene-5&lang=ko"},
        query_params={},
        client=SimpleNamespace(host="127.0.0.1"),
    )

    async def scenario():
        visit = Visit()
        updates = await every(events._used(visit, lambda s: s.but(tab="Neighbours"), request))
        assert (visit.state.tab, visit.state.image) == ("Neighbours", "scene-5")
        assert visit.language == "ko"
        assert any(events.w.prediction in update for update in updates)  # all of it is drawn

    awaited(scenario())


def test_a_tab_that_the_page_selects_by_itself_gives_nothing_up(events):
    """Else a link would lose what its page still makes when it opens."""

    async def scenario():
        visit = await opened(events)
        tab = events.w.parts["Filters"].tab
        fns = events.w.blocks.fns.values()
        *_, select = (f.fn for f in fns if (tab._id, "select") in f.targets)  # of these events
        visit.work = work = SimpleNamespace(is_long=False, cancelled=False, optional=True)
        work.cancel = lambda: setattr(work, "cancelled", True)
        assert len(await every(select(visit, False, None))) == 1
        assert not work.cancelled
        assert visit.state.tab == "Class evidence"
        assert await every(select(visit, True, None))
        assert work.cancelled
        assert visit.state.tab == "Filters"

    awaited(scenario())


def test_two_visitors_who_change_networks_at_once_see_their_own(events):
    names = zoo_adapters.names("bundled")[:4]
    wrong, alone = [], {}
    for name in names:
        alone[name] = logits_of(State(tab="Filters", model=name))

    async def change(visit, order):
        for name in order:
            updates = events._used(
                visit, lambda state, name=name: state.but(tab="Filters", model=name, layer=None)
            )
            for update in await every(updates):
                if events.w.link in update:
                    link = update[events.w.link]
                    link = link if isinstance(link, str) else str(link.get("value", ""))
                    if from_query(link).model != name:
                        wrong.append((name, link))
            if visit.state.model != name:
                wrong.append((name, visit.state))
            if not logits_of(visit.state).equal(alone[name]):
                wrong.append((name, "logits"))

    async def scenario():
        visits = [await opened(events) for _ in range(2)]
        await asyncio.gather(change(visits[0], names * 2), change(visits[1], names[::-1] * 2))
        assert not wrong
        assert visits[0].state != visits[1].state

    awaited(scenario())


KILLED = """
import os, sys, threading, time
from pathlib import Path
from app.answers.ask import ask_of
from app.answers.run import run
from app.machine import disk
from app.question import pictures
from app.question.state import State
KEPT, MADE = (disk.Store(Path(sys.argv[1]) / name, 0, 0) for name in ("kept", "made"))
disk.uploads, disk.page_files = lambda: KEPT, lambda: MADE
import PIL.Image
def writes():
    for n in range(10**6):
        pictures.keep(PIL.Image.effect_noise((300, 300), 60))
        disk.file_url(os.urandom(300_000), "made.png")
        time.sleep(0.05)
threading.Thread(target=writes, daemon=True).start()
state = State(tab="Synthesis").having(steps=600)
run(ask_of("maximize", state), lambda made: print("step", made.result.step, flush=True))
"""


def test_a_process_that_is_killed_in_mid_job_leaves_nothing_half(tmp_path, monkeypatch):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path)],
                               cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(1)]  # it writes and computes
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(SOON) == -signal.SIGKILL
    process.stdout.close()
    assert all(re.match(r"step \d+", line) for line in seen)
    store = disk_store.Store(tmp_path / "kept", 0, 0)
    monkeypatch.setattr(disk, "uploads", lambda: store)
    kept = list((tmp_path / "kept").glob("*.webp"))
    assert kept
    for file in kept:
        assert pictures.get(file.stem).size == (300, 300)
    made = list((tmp_path / "made").rglob("*.png"))
    assert {file.stat().st_size for file in made} == {300_000}
    assert pictures.get(pictures.keep(pictures.PIL.Image.new("RGB", (9, 9)))).size == (9, 9)
