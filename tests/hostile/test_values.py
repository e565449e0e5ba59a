"""Values by strangers: any value of any type in any argument is answered in one sentence.

The tables are generated: each argument of each endpoint, each change of the page, each key of a
link, each parameter, each field of a recipe is given each value below.
"""

from __future__ import annotations

import inspect
import json
import math
import sys
import time
from dataclasses import replace
from fractions import Fraction
from urllib.parse import quote_plus, urlencode

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo_adapters
from app.answers.subject import target_of
from app.cli.pictures import named
from app.machine import errors, values
from app.machine.limits import check_model, limits
from app.pages import picker, tabs, tries
from app.question import recipe
from app.question import text as texts
from app.question.state import State, from_query, param_text, to_query
from app.question.tabs import DISPLAY
from app.web import api
from app.window import changes
from featvis import METHODS, Embedding, WrongRequest
from tests.support import tiny
from zoo_adapters import registry

MODEL = "bundled:scenes-resnet"
DEEP = json.loads("[" * 500 + "]" * 500)
VALUES = (
    None, True, False, 0, -1, 3, 2.5, 1e300, -0.0, 10**400, 10**5000, -(10**5000), math.nan,
    math.inf, -math.inf, float("1e400"), "", " ", "0", "-1", "3-5", "9" * 300, "9" * 5000, "1e400",
    "nan", "true", "abc", "a" * 100_000, "a " * 100_000, "\ud800", "a\0b", "a\nb", "\u202etxt",
    "٣", "²", "1_000", "../../etc/passwd", "/etc/passwd", "/proc/self/environ", "/dev/zero",
    "file:///etc/passwd", "http://127.0.0.1:9/x", "scene-99999999", "scene-7", "0123456789abcdef",
    b"bytes", bytearray(9), [], [None], ["a"] * 10_000, [[["a"]]], DEEP, {}, {"a": 1},
    {"path": "/etc/passwd"}, (), set(), 1j, object(), np.float32(2.5), np.int64(3),
    np.float64("nan"), np.zeros(3), Fraction(1, 3), range(3),
)  # fmt: skip


def name_of(value):
    return f"{type(value).__name__}-{errors.mask(registry.brief(value))[:20]}"


@pytest.fixture(autouse=True, scope="module")
def libraries():
    """They are imported before anything is timed."""
    for zoo in zoo_adapters.zoos():
        zoo_adapters.families(zoo.name)
    api.run("cam")


def answer(call, *arguments, **named_arguments):
    """The sentence where it is refused, in one short line; "" where it is not."""
    begin = time.monotonic()
    try:
        call(*arguments, **named_arguments)
    except WrongRequest as error:
        sentence = str(error)
        assert "\n" not in sentence
        assert 0 < len(sentence) < 1500
        sentence.encode()  # no half of a letter, which no answer can carry
        assert time.monotonic() - begin < 5
        return sentence
    return ""


# --- the endpoints --------------------------------------------------------------------------------

GOOD = {
    "models": {"zoo": "bundled"},
    "methods": {},
    "layers": {"model": MODEL},
    "run": {"method": "cam"},
    "compare": {"models": [MODEL, "bundled:scenes-alexnet"], "methods": "cam"},
    "channel": {"model": MODEL, "layer": "layer4", "channel": 3, "count": 2},
    "neighbours": {"model": MODEL, "count": 2},
}
ARGUMENTS = [
    (function, name)
    for function in api.ENDPOINTS
    for name in inspect.signature(function).parameters
]


def test_the_table_has_every_endpoint():
    assert list(GOOD) == [function.__name__ for function in api.ENDPOINTS]


@pytest.mark.parametrize(
    ("function", "name"), ARGUMENTS, ids=[f"{f.__name__}-{name}" for f, name in ARGUMENTS]
)
def test_each_argument_of_each_endpoint(function, name):
    slow = function is api.compare and name in ("trust", "layers", "neighbours")
    for value in (v for v in VALUES if v is not True or not slow):
        answer(function, **{**GOOD[function.__name__], name: value})


@pytest.mark.parametrize(
    "search", ["a " * 100_000, "a" * 201, " ".join("abcdefghijk"), "resnet " * 30 + "x" * 30]
)
def test_a_search_is_bounded_before_it_begins(search):
    api.models(search="resnet")
    begin = time.monotonic()
    assert answer(api.models, search=search)
    assert time.monotonic() - begin < 0.05


PARAMETERS = [
    *("[" * 3999, "{" * 3999, '{"a": ' * 660, "NaN", '{"samples": NaN}', '{"samples": 1e400}'),
    *(f'{{"samples": {"9" * n}}}' for n in (300, 3900)), '{"samples": null}', '{"samples": [1]}',
    '{"samples": true}', '{"samples": 2.5}', '{"samples": "1e400"}', '{"seed": 1e400}',
    '{"seed": -1}', '{"seed": true}', '{"seed": 99999999999}', '{"\\ud800": 1}',
    '{"seed": "\\ud800"}', " " * 5000 + "{}" * 5000, '{"noise": Infinity}', '{"absolute": 2}',
    "\ud800", '{"": ""}',
]  # fmt: skip


@pytest.mark.parametrize("text", PARAMETERS, ids=lambda text: text[:20].encode("ascii", "replace"))
def test_parameters_in_json(text):
    assert answer(api.run, "smoothgrad", parameters=text)


# --- the page -------------------------------------------------------------------------------------

TILED = ("channel:{}", "made:{}", "picture:{}", "there:{}", "pair:{}", "there:x|{}|1", "{}")
CHANGES = {
    "set_model": changes.set_model,
    "set_picture": changes.set_picture,
    "set_class": changes.set_class,
    "set_against": changes.set_against,
    "set_layer": changes.set_layer,
    "set_channel": changes.set_channel,
    "set_methods": changes.set_methods,
    "set_others": changes.set_others,
    **{f"set_param {name}": changes.set_param(name) for name in (*DISPLAY, "steps", "no such")},
    **{
        f"{change.__name__} {form}": lambda s, v, c=change, f=form: c(s, {"pick": _form(f, v)})
        for change in (changes.set_tile, changes.set_shown)
        for form in TILED
    },
    "set_point x": lambda state, value: changes.set_point(state, {"x": value, "y": 0.5}),
    "set_point y": lambda state, value: changes.set_point(state, {"x": 0.5, "y": value}),
    "tried": lambda state, value: tries.tried("Filters", state, {"try": value}),
}


def _form(form, value):
    """A value as it is, or as a part of a text."""
    return form.format(value) if form != "{}" and isinstance(value, str) else value


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_of_the_page(name):
    for value in VALUES:
        for tab in ("Class evidence", "Synthesis"):
            before = State(tab=tab, model=MODEL)
            after = []
            if not answer(lambda v=value, b=before, a=after: a.append(CHANGES[name](b, v))):
                assert isinstance(after[0], State)
                assert from_query(to_query(after[0])).model


def test_what_a_state_takes_is_what_it_keeps():
    state = changes.set_param("box")(State(), True)
    assert state.display("box") is True
    assert changes.set_param("steps")(State(), 16.0).params["steps"] == "16"
    with pytest.raises(WrongRequest, match="no parameter 'wrong'"):
        changes.set_param("wrong")(State(), 1)


@pytest.mark.parametrize("place", range(7))
def test_each_filter_of_the_list_of_networks(place):
    chosen = ["", "listed", "", "", "", "", "popular"]
    for value in VALUES:
        filters = [*chosen[:place], value, *chosen[place + 1 :]]
        assert "<" in picker.listing(*filters)


# --- links ----------------------------------------------------------------------------------------

KEYS = ("v", "tab", "m", "method", "layer", "ch", "cls", "pos", "seed", "img", "p.steps", "p.pair",
        "p.by", "p.no", "")  # fmt: skip


def encode(value):
    return value.encode("utf8", "surrogatepass") if isinstance(value, str) else str(value)[:400]


@pytest.mark.parametrize("key", KEYS)
def test_each_key_of_a_link(key):
    for value in (v for v in VALUES if not isinstance(v, int) or abs(v) < 10**400):
        state = from_query(f"{quote_plus(key)}={quote_plus(encode(value))}")
        assert from_query(to_query(state)) == state
        assert all(len(one) <= values.LONGEST for one in state.params.values())


@given(st.text(max_size=400))
@settings(deadline=None, max_examples=150)
def test_any_link(text):
    state = from_query(text)
    assert from_query(to_query(state)) == state


@given(st.dictionaries(st.sampled_from(KEYS), st.text(max_size=40), max_size=6))
@settings(deadline=None, max_examples=150)
def test_any_values_in_a_link(pairs):
    written = {key: value.encode("utf8", "surrogatepass") for key, value in pairs.items()}
    state = from_query(urlencode(written))
    assert from_query(to_query(state)) == state


HERE = ("cls=99999", "cls=3-99999", "cls=99999-3", "cls=3-3", "cls=scene-3", "cls=0123456789abcdef",
        "ch=99999", "pos=99999,99999", "layer=no", "img=0123456789abcdef",
        "p.explain=neuron&ch=9999", "p.explain=neuron&pos=9999,0")  # fmt: skip


@pytest.mark.parametrize("link", HERE)
def test_what_a_network_does_not_have_is_refused(link):
    state = from_query(f"m={MODEL}&method=cam,saliency&{link}")
    refused = [answer(show, state) for show in (target_of, tabs.draw)]
    assert any(refused) or link in ("ch=99999", "pos=99999,99999")  # of no neuron: not used


# --- parameters, labels, recipes ------------------------------------------------------------------

PARAMS = {(p.name, p.type, p.range, p.choices): p for m in METHODS.values() for p in m.params}


@pytest.mark.parametrize("param", PARAMS.values(), ids=lambda param: param.name)
def test_each_parameter(param):
    for value in VALUES:
        if answer(param.check, value):
            continue
        read = param.check(value)
        assert type(read) is param.type
        assert not isinstance(value, bool) or param.type is bool
        assert param.range is None or param.range.low <= read <= param.range.high
        assert param_text(param.name, value) == str(read)


@given(st.one_of(st.floats(), st.integers(), st.text(), st.binary(), st.none(), st.booleans()))
@settings(deadline=None, max_examples=200)
def test_any_value_is_read_or_refused(value):
    for reading in (values.text, values.name, values.whole, values.digits, values.flag):
        answer(reading, "it", value)
    answer(values.names, "it", value, 3)
    for reading in (values.position, values.settings, values.words, values.pick):
        answer(reading, value)


def test_numbers_are_read_as_pages_and_clients_write_them():
    assert [values.whole("n", n) for n in (3, 3.0, np.int64(3), -0.0)] == [3, 3, 3, 0]
    assert values.digits("n", "03") == 3
    assert answer(values.digits, "n", 3) == answer(values.whole, "n", "3", 0).replace("'3'", "3")
    assert values.position(" 3 , 4 ") == (3, 4)
    assert values.position("") is None
    assert answer(values.whole, "n", 7, 0, 6) == "n is a whole number from 0 to 6, not 7"


RECIPE = {"featvis": 1, "model": MODEL, "image": "scene-3", "display": {"box": True}, "facts": {},
          "calls": [{"method": "cam", "target": "3", "params": {}}]}  # fmt: skip
PLAIN = [v for v in VALUES if isinstance(v, None | bool | int | float | str | list | dict)
         and not (isinstance(v, int) and abs(v) > 10**4000)]  # fmt: skip


@pytest.mark.parametrize("name", [*RECIPE, "page", "pretrained"])
def test_each_field_of_a_recipe(name):
    for value in PLAIN:
        answer(recipe.from_json, json.dumps({**RECIPE, name: value}))


@pytest.mark.parametrize("name", ["method", "target", "layer", "channel", "position", "params"])
def test_each_field_of_a_call(name):
    for value in PLAIN:
        for method in ("cam", "maximize"):
            call = {"method": method, "params": {}, name: value}
            answer(recipe.from_json, json.dumps({**RECIPE, "calls": [call]}))


@pytest.mark.parametrize("text", ["", "[" * 100_000, "9" * 5000, '{"featvis": ' + "9" * 5000 + "}"])
def test_text_that_is_no_recipe_is_refused(text):
    assert answer(recipe.from_json, text)


# --- names lead to no path ------------------------------------------------------------------------

OPENED: list[str] = []
WATCHED: list[str] = []


def _watch(event, arguments):
    if WATCHED and event in ("open", "os.listdir", "os.scandir") and arguments:
        path = str(arguments[0])
        OPENED.extend([path] if any(folder in path for folder in WATCHED) else [])


sys.addaudithook(_watch)


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A folder to work in whose folders are named as networks are; what is opened of them."""
    config = {"architecture": "test_resnet", "num_classes": 3, "model_type": "resnet"}
    for name in ("build", "resnet50", "a/b", "microsoft/resnet-50", "models--a--b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    OPENED.clear()
    WATCHED[:] = [str(tmp_path), "picture.png", "config.json", "passwd", "build/"]
    yield tmp_path
    WATCHED.clear()


NAMES = (
    "build", "a/b", "./build", "../build", "timm:build", "transformers:build", "torchvision:build",
    "bundled:build", "bundled:../x", "bundled:../../etc", "torchvision:../x", "timm:../build",
    "timm:./build", "timm:hf-hub:../..", "timm:hf-hub:a/..", "timm:hf-hub:../b", "timm:hf-hub:./b",
    "timm:hf-hub:build",
    "timm:hf-hub:a/b@../../..", "timm:hf-hub:a/b@/etc/passwd", "timm:hf-hub:a/b@..",
    "timm:hf-hub:a/b/c", "timm:hf-hub:/etc/passwd", "timm:hf-hub:", "timm:local-dir:",
    "transformers:../build", "transformers:./build", "transformers:a/b@../..", "transformers:..",
    "transformers:/etc/passwd", "transformers:a/b@/etc", "transformers:local-dir:",
    "timm:hf-hub:a--b/c",
    "transformers:hf-hub:a/b", "timm:local_dir:build", "timm:Local-Dir:build", "local-dir:build",
    "timm: local-dir:build", "TIMM:build", "file:///etc/passwd", "timm:file:///etc/passwd", "x:y",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_no_name_opens_a_folder_but_by_its_prefix(trap, name):
    for ask in (zoo_adapters.describe, zoo_adapters.load, zoo_adapters.parameters,
                zoo_adapters.too_large, zoo_adapters.is_listed):  # fmt: skip
        answer(ask, name)
    assert answer(zoo_adapters.load, name)
    assert not OPENED


@pytest.mark.parametrize("value", VALUES, ids=name_of)
def test_any_value_for_a_name(trap, value):
    for ask in (zoo_adapters.describe, zoo_adapters.load, zoo_adapters.names,
                zoo_adapters.families, zoo_adapters.is_listed):  # fmt: skip
        assert answer(ask, value)
    answer(check_model, value)
    assert not OPENED


@pytest.mark.parametrize("name", [*NAMES, "timm:local-dir:build", "transformers:local-dir:build"])
def test_a_public_server_opens_nothing_that_is_not_listed(trap, monkeypatch, name):
    monkeypatch.setenv("FEATVIS_PUBLIC", "1")
    limits.cache_clear()
    try:
        assert answer(check_model, name)
    finally:
        limits.cache_clear()
    assert not OPENED


TARGETS = ("/etc/passwd", "picture.png", "./picture.png", "../x", "/dev/zero", "file:///etc/passwd",
           "scene-3.png", "0123456789abcdef", "http://127.0.0.1/", "scene-99999999", "\ud800", "",
           "~/x")  # fmt: skip


def embedding():
    """A network without classes, whose target is a picture to be like."""
    return replace(tiny.model(tiny.nets()["GAP + FC"]), output=Embedding(4), head=None)


@pytest.mark.parametrize("text", TARGETS)
def test_a_target_is_no_path(trap, text):
    assert answer(texts.target_named, embedding(), text)
    assert not OPENED


def test_the_command_line_opens_the_picture_of_a_target(trap):
    assert texts.target_named(embedding(), "picture.png", named).name == "picture.png"
    assert OPENED


# --- sentences ------------------------------------------------------------------------------------

HIDDEN = (
    "/etc", "/etc/passwd", "/home/me/x.png", "'/home/My Files/a b.png'", "/home/My Files/x.png",
    '"/a/b c"', "C:\\Users\\Me\\x.txt", "C:/Users/me/x", "'C:\\Program Files\\x'", "d:\\x",
    "\\\\server\\share\\x", "~/models/x", "~bob/x.txt", "file:///etc/passwd", "file:/etc/passwd",
    "timm:local-dir:/srv/models/x", "'timm:local-dir:/srv/m odels'", "folder:/srv/pictures",
    "PosixPath('/a/b c/d')", "gradio_api/file=/tmp/x/y.png", "(/tmp/a)", "[/tmp/a]", "`/tmp/a`",
    "hf_abcdefghijk", "Bearer abc.def.ghi123", "https://user:secret@host/x", "token=abc123",
    "HF_TOKEN=abcdef", "api_key: abcdef", "password=abcdef",
)  # fmt: skip
SHOWN = (
    "timm:hf-hub:org/name", "transformers:microsoft/resnet-50@main", "(B, K)/(H W)", "and/or",
    "https://huggingface.co/a/b", "'https://huggingface.co/a/b' is a repository", "1/2", "a / b",
    "http://127.0.0.1:7860/gradio_api/file=x", "a token of the hub", "3 rather than 5", "mean/std",
    "featvis index build --model bundled:x --source scenes:", "it's ROW,COLUMN as in 3,4", "~ 3 s",
)  # fmt: skip


@pytest.mark.parametrize("text", HIDDEN)
def test_a_public_server_names_no_path_and_no_secret(text):
    sentence = errors.mask(f"the file {text} of it cannot be read; see the log")
    assert sentence.startswith("the file ")
    assert sentence.endswith(" of it cannot be read; see the log")
    words = ("etc", "home", "Files", "Users", "srv", "tmp", "share", "models/", "bob", "secret",
             "abc", "/a/", "d:", "odels'")  # fmt: skip
    assert not [word for word in words if word in sentence], sentence


@pytest.mark.parametrize("text", SHOWN)
def test_text_without_a_path_is_not_masked(text):
    assert errors.mask(text) == text
