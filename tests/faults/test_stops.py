"""Work stops when nobody wants it, and a server that is killed starts again with nothing half."""

from __future__ import annotations

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
from app import pictures, session
from app.state import State, from_query
from featvis.progress import tick

pytest.importorskip("gradio")
pytestmark = pytest.mark.filterwarnings("ignore")  # of Gradio
ROOT = Path(__file__).parent.parent.parent
SOON = 20.0  # seconds; what is asserted is the state of the work, on a busy machine


@pytest.fixture(scope="module")
def events():
    """The window's handlers, without a server."""
    from app.ui import Window
    from app.ui_events import Events

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

    def run(name, state, seen=None):
        try:
            while True:
                tick(told.steps, 10**9)
                told.steps += 1
                told.begun.set()
                time.sleep(0.002)
        finally:
            told.stopped.set()

    monkeypatch.setattr("app.tabs.session.run", run)
    return told


def opened(events, query=""):
    from app.ui_events import Visit

    visit = Visit()
    for _ in events._opened(visit, query):
        pass
    assert visit.state is not None
    return visit


def working(events, visit, endless):
    """A page that waits for the endless ascent."""
    generator = events._used(visit, lambda state: state.but(tab="Synthesis"))
    next(generator)
    assert endless.begun.wait(SOON)
    return generator


def test_a_closed_page_stops_its_work(events, endless):
    visit = opened(events, "tab=Neighbours")
    generator = working(events, visit, endless)
    begin = time.monotonic()
    generator.close()  # what Gradio does with a page that is gone, at the next word
    assert endless.stopped.wait(SOON)
    assert visit.work._future.exception(SOON) is not None
    assert visit.state.tab == "Neighbours"  # what was not finished is not the state
    after = endless.steps
    time.sleep(0.1)
    assert endless.steps == after
    assert time.monotonic() - begin < SOON


def test_cancel_stops_the_work_and_the_page_goes_on(events, endless, monkeypatch):
    visit = opened(events, "tab=Neighbours")
    generator = working(events, visit, endless)
    events._cancel(visit)
    said = [made[events.w.notice] for made in generator if events.w.notice in made]
    assert endless.stopped.is_set()
    assert "Cancelled" in str(said[-1])
    monkeypatch.undo()
    for _ in events._used(visit, lambda state: state.but(tab="Filters")):
        pass
    assert visit.state.tab == "Filters"


def test_a_tab_that_the_page_selects_by_itself_gives_nothing_up(events):
    """Else a link would lose what its page still makes when it opens."""
    visit, hurried = opened(events), []
    visit.work = SimpleNamespace(hurry=lambda: hurried.append(True))
    tab = events.w.parts["Filters"].tab
    fns = events.w.blocks.fns.values()
    *_, select = (f.fn for f in fns if (tab._id, "select") in f.targets)  # of these events
    assert len(list(select(visit, False))) == 1
    assert not hurried
    assert visit.state.tab == "Class evidence"
    assert list(select(visit, True))
    assert hurried
    assert visit.state.tab == "Filters"


def test_two_visitors_who_change_networks_at_once_see_their_own(events):
    names = zoo_adapters.names("bundled")[:4]
    visits = [opened(events) for _ in range(2)]
    wrong, alone = [], {}
    for name in names:
        state = State(tab="Filters", model=name)
        alone[name] = session.logits_of(state)

    def change(visit, order):
        for name in order:
            for made in events._used(visit, lambda state, name=name: state.but(
                    tab="Filters", model=name, layer=None)):  # fmt: skip
                if events.w.link in made:
                    link = made[events.w.link]
                    link = link if isinstance(link, str) else str(link.get("value", ""))
                    if from_query(link).model != name:
                        wrong.append((name, link))
            if visit.state.model != name:
                wrong.append((name, visit.state))
            if not session.logits_of(visit.state).equal(alone[name]):
                wrong.append((name, "logits"))

    orders = [names * 2, names[::-1] * 2]
    threads = [threading.Thread(target=change, args=pair) for pair in zip(visits, orders,
                                                                        strict=True)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert visits[0].state != visits[1].state


KILLED = """
import os, sys, threading, time
from pathlib import Path
from app import disk, pictures, session
from app.state import State
pictures.STORE = Path(sys.argv[1]) / "kept"
disk.FILES = Path(sys.argv[1]) / "made"
import PIL.Image
def writes():
    for n in range(10**6):
        pictures.keep(PIL.Image.effect_noise((300, 300), 60))
        disk.file_url(os.urandom(300_000), "made.png")
        time.sleep(0.05)
threading.Thread(target=writes, daemon=True).start()
state = State(tab="Synthesis").having(steps=600)
session.run("maximize", state, lambda made: print("step", made.result.step, flush=True))
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
    monkeypatch.setattr(pictures, "STORE", tmp_path / "kept")
    pictures.get.cache_clear()
    kept = list((tmp_path / "kept").glob("*.webp"))
    assert kept
    for file in kept:
        assert pictures.get(file.stem).size == (300, 300)
    made = list((tmp_path / "made").rglob("*.png"))
    assert {file.stat().st_size for file in made} == {300_000}
    assert pictures.get(pictures.keep(pictures.PIL.Image.new("RGB", (9, 9)))).size == (9, 9)
