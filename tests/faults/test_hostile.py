"""Hostile pictures, links and calls: each is answered, or refused with a sentence and no more.

`python -m benchmarks faults` sends 10,000 of them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import api, changes, disk, limits, pictures, serve, tabs, visitors
from app.faults import sentence
from app.recipe import from_json
from app.state import State, from_query, to_query
from benchmarks import faults, hostile
from featvis import METHODS, WrongRequest

ROOT = Path(__file__).parent.parent.parent
MANY = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
TEXT = st.one_of(st.text(), st.sampled_from(hostile.HOSTILE))


@pytest.fixture(autouse=True, scope="module")
def small(tmp_path_factory):
    """A public server on which nothing takes long, with stores of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in faults.SMALL.items():
            patch.setenv(f"FEATVIS_{name}", value)
        folder = tmp_path_factory.mktemp("hostile")
        uploads, served = (disk.Store(folder / name, 0, 0) for name in ("uploads", "served"))
        patch.setattr(disk, "uploads", lambda: uploads)
        patch.setattr(disk, "page_files", lambda: served)
        patch.setattr(pictures.PIL.Image, "MAX_IMAGE_PIXELS", pictures.PIL.Image.MAX_IMAGE_PIXELS)
        limits.limits.cache_clear()
        serve.guard()
        yield
    limits.limits.cache_clear()


def refusal(make: Callable[[], object]) -> str:
    """What is wrong with how a request is refused; nothing where it is answered."""
    try:
        make()
    except Exception as error:
        return faults.wrong(sentence(error)) and repr(error)
    return ""


@pytest.mark.parametrize(("kind", "count"), [("picture", 300), ("link", 81), ("call", 100)])
@pytest.mark.filterwarnings("ignore")  # of decoders, on what is no picture
def test_what_nobody_should_send_is_refused_in_a_sentence(kind, count):
    said = {number: faults.outcome(kind, number) for number in range(count)}
    assert not {n: (faults.wrong(text), text[:200]) for n, text in said.items()
                if faults.wrong(text)}  # fmt: skip
    assert "answered" in said.values()


def test_a_filter_that_a_layer_does_not_have_is_refused():
    with pytest.raises(WrongRequest, match="channels go from 0 to"):
        tabs.draw(from_query("tab=Filters&ch=9500"))


def test_what_leaks_is_found():
    assert faults.wrong("Traceback (most recent call last)")
    assert faults.wrong("there is no file /home/someone/x.png")
    assert faults.wrong("this could not be computed (TypeError); the log has it under 1")
    assert not faults.wrong("a position is ROW,COLUMN as in 3,4, not 'x'")


def test_an_error_that_a_row_keeps_to_itself_is_found(monkeypatch):
    def door(number):
        sentence(ValueError("of one row"))

    monkeypatch.setitem(faults.DOORS, "link", door)
    said = faults.outcome("link", 0)
    assert faults.wrong(said) == "unexpected"
    assert "of one row" in said


@MANY
@given(TEXT | st.lists(st.tuples(st.sampled_from(["tab", "m", "cls", "pos", "p.steps"]), TEXT)))
def test_every_link_is_read_and_written_again(query):
    if not isinstance(query, str):
        query = "&".join(f"{key}={value}" for key, value in query)
    state = from_query(query)
    assert from_query(to_query(state)) == state


@MANY
@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"",
                        b"II*\0\x08\0\0\0", b"RIFF\xff\0\0\0WEBPVP8 "]),
       st.binary(max_size=300))  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_bytes_of_any_kind_are_a_picture_or_refused(magic, data):
    assert not refusal(lambda: pictures.keep(magic + data))


@MANY
@given(st.sampled_from(sorted(METHODS)), st.dictionaries(TEXT, JSON, max_size=2), JSON)
def test_parameters_of_any_kind_are_checked(name, given_, value):
    method = limits.limited(METHODS[name])
    for param in method.params[:3]:
        given_[param.name] = value
    made: dict[str, object] = {}
    assert not refusal(lambda: made.update(method.check(given_)))
    for param in method.params if made else ():
        assert isinstance(made[param.name], param.type)
        if param.range:
            assert param.range.low <= made[param.name] <= param.range.high


CHANGES = [
    changes.set_model, changes.set_class, changes.set_against, changes.set_layer,
    changes.set_channel, changes.set_methods, changes.set_others, changes.set_picture,
    changes.set_param("steps"), changes.set_shown, changes.set_tile, changes.set_point,
]  # fmt: skip


@MANY
@given(st.sampled_from(CHANGES), JSON | TEXT)
def test_whatever_a_page_sends_changes_the_state_or_is_refused(change, value):
    clicked = change in (changes.set_shown, changes.set_tile, changes.set_point)
    state = State(model=hostile.MODEL)
    if clicked:
        value = {"pick": value, "x": value, "y": value}
    assert not refusal(lambda: to_query(change(state, value)))


@MANY
@given(st.binary(max_size=60), st.text(max_size=30))
def test_an_address_is_short_whatever_a_proxy_says(header, client):
    scope = {"headers": [(b"x-forwarded-for", header)], "client": (client, 1)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATVIS_TRUST_PROXY", "1")
        assert len(visitors.address(scope)) <= 50


@MANY
@given(JSON | TEXT)
def test_what_is_no_recipe_is_refused(value):
    text = value if isinstance(value, str) else json.dumps(value)
    assert not refusal(lambda: from_json(text))


def test_arguments_of_the_api_that_are_not_whole_are_refused():
    for count in (2.5, float("nan"), float("inf"), "3", None, 10**30):
        with pytest.raises(WrongRequest, match="count is a whole number"):
            api.channel(hostile.MODEL, "blocks.4.0", 1, count)


def test_memory_does_not_grow_with_what_is_refused(tmp_path):
    """In a process of its own; the first tenth fills what is kept."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks", "faults", "--count", "400",
               "--kinds", "picture"]  # fmt: skip
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    assert made.returncode == 0, made.stderr[-500:]
    assert "wrong:" not in made.stdout
    ratio = float(re.findall(r"the last is ([\d.]+) times", made.stdout)[0])
    assert ratio < 1.1, made.stdout
