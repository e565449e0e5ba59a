"""Hostile pictures, links and values: each is taken, or refused with a sentence and no more.

Here the functions are called themselves; `python -m benchmarks hostile` sends requests to a server.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.machine import disk, disk_store, limits
from app.machine.errors import sentence
from app.pages import tabs
from app.question import pictures
from app.question.recipe import from_json
from app.question.state import State, from_query, to_query
from app.web import api, serve, visitors
from app.window import changes
from benchmarks import hostile, hostile_pictures
from benchmarks.leaks import leak
from benchmarks.strangers import JSON, WORDS
from featvis import METHODS, WrongRequest

MANY = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
MODEL = "bundled:scenes-mobilenet"
TEXT = st.one_of(st.text(), st.sampled_from(WORDS))


@pytest.fixture(autouse=True, scope="module")
def small(tmp_path_factory):
    """A public server on which nothing takes long, with stores of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"FEATVIS_PUBLIC": "1", **hostile.SMALL}.items():
            patch.setenv(name, value)
        folder = tmp_path_factory.mktemp("hostile")
        uploads, served = (disk_store.Store(folder / name, 0, 0) for name in ("uploads", "served"))
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
        return leak(sentence(error)) and repr(error)
    return ""


@pytest.mark.filterwarnings("ignore")  # of decoders, on what is no picture
def test_pictures_that_nobody_should_send_are_kept_or_refused():
    faults = {n: refusal(lambda n=n: kept(hostile_pictures.picture(n))) for n in range(200)}
    assert not {number: fault for number, fault in faults.items() if fault}
    assert kept(hostile_pictures.noise(1, 30_000)).mode == "RGB"


def kept(data):
    picture = pictures.get(pictures.keep(data))
    assert picture.mode == "RGB"
    assert max(picture.size) <= pictures.LARGEST
    return picture


def test_a_filter_that_a_layer_does_not_have_is_refused():
    with pytest.raises(WrongRequest, match="channels go from 0 to"):
        tabs.draw(from_query("tab=Filters&ch=9500"))


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
    params = limits.allowed_params([METHODS[name]])[name]
    method = replace(METHODS[name], params=params)
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
    state = State(model=MODEL)
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
            api.channel(MODEL, "blocks.4.0", 1, count)
