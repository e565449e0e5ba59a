"""A tab is drawn in few steps: calls between the files of app/, and what is resolved how often."""

from __future__ import annotations

import gc
import warnings

import pytest

from app.machine.jobs import Work
from app.question.state import State
from app.window import changes
from benchmarks.trace import RESOLVED, Crossings

MOST = 100  # of one change of tab, without the server around it; the benchmark counts all


@pytest.fixture(scope="module")
def drawing():
    """What a window shows, without a server."""
    pytest.importorskip("gradio")
    from app.window.drawing import Drawing
    from app.window.layout import Window

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Drawing(Window())
        gc.collect()  # Gradio leaves an event loop and its sockets to the collector, which warns


def test_a_question_is_resolved_once_and_the_way_to_its_picture_is_short(drawing):
    for image in ("scene-2", "scene-30"):  # the first one loads what is loaded once
        before = State(tab="Feature maps", image=image)
        drawing.all(before)
        with Crossings() as crossings:
            crossings.counting = image == "scene-30"
            draw(drawing, before, changes.set_tab(before, "Class evidence"))
    assert 40 < crossings.counts.total() <= MOST, crossings.counts.most_common(20)
    resolved = {name: crossings.calls(*place) for name, place in RESOLVED.items()}
    assert resolved == dict.fromkeys(RESOLVED, 1)


def draw(drawing, before, after):
    from app.answers.subject import subject_of

    subject = subject_of(after)
    drawing.subject(subject, before)
    work = Work(lambda work: None)
    drawing.compute(subject, work)
