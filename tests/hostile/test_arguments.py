"""Every argument of every event, endpoint and function, with files and addresses in every shape.

The doors come from the running app. A sample of the product runs here; all of it with
`python -m benchmarks hostile --product`.
"""

from __future__ import annotations

import json
import signal
import time
from itertools import product
from urllib.parse import quote

import pytest

from benchmarks import hostile
from benchmarks.client import Answer
from benchmarks.doors import doors, knock, places
from benchmarks.guard import Guard
from benchmarks.leaks import leak, problem
from benchmarks.lures import SHAPES, addresses, lures, neutral
from benchmarks.server import ROOT
from benchmarks.strangers import draw
from tests.support.loops import awaited

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
VARIABLES = hostile.SMALL
MORE = 12  # lures for an argument that takes a picture, in a sample of one for each


def sample(known, values):
    """One lure in one shape for each argument, and more where it is a picture."""
    combinations = list(product(values, sorted(SHAPES)))
    number = 0
    for door in known:
        for place in places(door):
            picture = any(word in door.name for word in ("fv-picture", "upload"))
            for _ in range(MORE if picture else 1):
                number += 1
                lure, shape = combinations[number * 37 % len(combinations)]
                yield door, place, lure, shape


def test_no_argument_reads_a_file_or_fetches_an_address(server, visit, listener):
    known = hostile.doors_of(server)
    values = [*lures(server.planted, ROOT), *addresses(listener.port)]
    wrong, echo = (
        [],
        [name for lure in values for name in (lure.value, quote(lure.value), lure.twin)],
    )

    async def actions(visitor):
        await visitor.use("load", "load")
        for door, place, lure, shape in sample(known, values):
            names = tuple(filter(None, (lure.value, lure.twin)))
            answers = [await knock(visitor, door, {place: SHAPES[shape](name)}) for name in names]
            said = (door.kind, door.name, place, lure.name, shape)
            wrong.extend((said, fault) for answer in answers if (fault := problem(answer, *echo)))
            texts = {(one.fate, neutral(json.dumps(one.value), *names)) for one in answers}
            if len(texts) > 1:  # the first one may have changed what the page shows
                again = [await knock(visitor, door, {place: SHAPES[shape](n)}) for n in names]
                texts = {(one.fate, neutral(json.dumps(one.value), *names)) for one in again}
            if len(texts) > 1:
                wrong.append((said, "tells whether it exists", sorted(texts)))

    begin = time.monotonic()
    with Guard(server, 500) as guard:
        visit(actions, patience=15)
    print(f"{time.monotonic() - begin:.1f} s for {len(list(sample(known, values)))} arguments")
    assert not guard.tripped
    assert server.violations() == []
    assert listener.requests == []
    assert not wrong, "\n".join(map(str, wrong))


def test_a_few_requests_of_the_benchmark(server, listener):
    """Its routes are those that Gradio declares; ten thousand are sent by the benchmark itself."""
    from benchmarks.routes import routes

    values = [*lures(server.planted, ROOT), *addresses(listener.port)]
    requests = draw(80, 1, hostile.doors_of(server), routes(), values)
    report = awaited(hostile.fuzz(server, requests))
    assert report.problems == []
    assert server.violations() == []
    assert listener.requests == []
    assert hostile.BROKEN not in server.log


def test_a_lure_and_its_twin_are_cut_alike(tmp_path):
    for lure in lures(tmp_path / "planted", ROOT):
        assert len(lure.twin) == len(lure.value)
        assert lure.twin != lure.value


def test_the_doors_are_those_of_the_app():
    """Each component that is used, each endpoint with its arguments; a new one comes by itself."""
    config = {
        "components": [
            {"id": 1, "type": "state", "props": {}},
            {"id": 2, "type": "image", "props": {"elem_id": "fv-picture", "value": None}},
            {"id": 3, "type": "html", "props": {"label": "link", "server_fns": ["save"]}},
        ],
        "dependencies": [
            {"id": 7, "targets": [[2, "input"]], "inputs": [1, 2], "backend_fn": True,
             "api_name": "x", "api_visibility": "private", "collects_event_data": True},
            {"id": 8, "targets": [[2, "clear"]], "inputs": [], "backend_fn": False,
             "api_name": None, "api_visibility": "private"},
        ],
    }  # fmt: skip
    parameters = [{"parameter_name": "model"}, {"parameter_name": "count",
                  "parameter_has_default": True, "parameter_default": 9}]  # fmt: skip
    info = {"named_endpoints": {"/channel": {"parameters": parameters}}}
    known = {door.name: door for door in doors(config, info)}
    assert set(known) == {"channel", "save", "fv-picture input"}
    assert known["channel"].right == ("bundled:scenes-mobilenet", 9)
    assert places(known["fv-picture input"]) == [1, -1]
    assert places(known["save"]) == [0]


@pytest.mark.parametrize(
    ("fate", "value", "wrong"),
    [
        ("answered", {"png": "gradio_api/file=-/ab/a.png"}, ""),
        ("answered", {"png": "gradio_api/file=/tmp/gradio/ab/a.png"}, "tells"),
        ("refused", "a position is ROW,COLUMN as in 3,4, not 'x'", ""),
        ("refused", "there is no file /home/someone/x.png", "tells"),
        ("refused", "this could not be computed (TypeError); the log has it under 1", "unexpected"),
        ("refused", None, "no sentence"),
        ("refused", "a" * 5000, "too long"),
        ("lost", "status 500: Internal Server Error", "no sentence"),
    ],
)
def test_a_wrong_answer_is_found(fate, value, wrong):
    fault = problem(Answer(fate, 0.0, value))
    assert bool(fault) == bool(wrong)
    assert wrong in fault


def test_what_a_stranger_asked_for_is_no_leak():
    assert leak("'/home/me/x' is no picture")
    assert not leak("'/home/me/a/lo…' is no picture", "/home/me/a/long/name")
    assert leak("'/home/me/a/lo…', not /home/you/b", "/home/me/a/long/name")
    assert not leak("'/home/me/x' is no picture", "/home/me/x")


def test_control_c_ends_a_server_at_work(end_under_load):
    """It is gone within five seconds; whoever comes next gets another server."""
    assert end_under_load(signal.SIGINT) < 5
