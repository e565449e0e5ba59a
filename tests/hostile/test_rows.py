"""Each attack that once worked, replayed on a live public server: it must fail now.

The rows are those of docs/security.md. `HOSTILE_CHECKOUT=FOLDER` replays them on another checkout.
"""

from __future__ import annotations

import json
import re
import time

import httpx
import pytest

from benchmarks import hostile_pictures
from benchmarks.client import Answer, file_object
from benchmarks.guard import Guard
from benchmarks.leaks import leak, problem
from benchmarks.lures import SHAPES, lures, neutral, shows_secret
from benchmarks.server import ROOT

MODEL = "bundled:scenes-resnet"
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def text_of(answer: Answer, *names: str) -> str:
    """An answer without the names that were asked for, to compare it with that to another name."""
    return f"{answer.fate}: {neutral(json.dumps(answer.value), *names)}"


# --- A1: files ------------------------------------------------------------------------------------

FORMS = ("plain", "path", "path, meta", "file", "stream", "files")


@pytest.mark.parametrize("form", FORMS)
def test_a1_the_picture_of_the_window_is_never_a_path(server, visit, form):
    chosen = [one for one in lures(server.planted, ROOT)
              if one.name in ("absolute", "relative", "text", "symbolic link")]  # fmt: skip

    async def actions(visitor):
        await visitor.use("load", "load")
        return [
            [await visitor.use("fv-picture", "input", SHAPES[form](name))
             for name in (one.value, one.twin)]
            for one in chosen
        ]  # fmt: skip

    for one, (real, absent) in zip(chosen, visit(actions), strict=True):
        assert not shows_secret(server.url, real.value), one.name
        assert text_of(real, one.value, one.twin) == text_of(absent, one.value, one.twin)
    assert server.violations() == []


def test_a1_an_upload_by_the_api_is_never_a_path(server, visit):
    one = lures(server.planted, ROOT)[0]

    async def actions(visitor):
        return [await visitor.call("upload", file_object(name)) for name in (one.value, one.twin)]

    real, absent = visit(actions)
    assert text_of(real, one.value, one.twin) == text_of(absent, one.value, one.twin)
    assert "answered" not in (real.fate, absent.fate)
    assert server.violations() == []


@pytest.mark.parametrize("path", ["/dev/zero", "FIFO"])
def test_a1_a_file_without_an_end_is_refused_at_once(server, visit, path):
    path = str(server.planted / "secret.fifo") if path == "FIFO" else path

    async def actions(visitor):
        await visitor.use("load", "load")
        return await visitor.use("fv-picture", "input", {"path": path, "meta": {}})

    with Guard(server, 300) as guard:
        answer = visit(actions, patience=5)
    assert not guard.tripped
    assert answer.fate != "lost", answer
    assert server.violations() == []


# --- A2: the target of a network without classes --------------------------------------------------


def test_a2_a_target_is_never_a_path(server, visit):
    one = lures(server.planted, ROOT)[0]
    names = (one.value, one.twin)

    async def actions(visitor):
        return [await visitor.call("run", "saliency", "strange:embedder", "scene-24", name, "", -1,
                                   "", "{}") for name in names]  # fmt: skip

    real, absent = visit(actions)
    assert real.fate == "refused", real
    assert text_of(real, *names) == text_of(absent, *names)
    assert not problem(real, *names)
    assert server.violations() == []


# --- A3: addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["window", "upload", "file=", "proxy="])
@pytest.mark.parametrize("host", ["127.0.0.1", "100.64.0.1"])
def test_a3_no_address_is_fetched(server, visit, listener, door, host):
    url = f"http://{host}:{listener.port}/picture.png"

    async def actions(visitor):
        if door.endswith("="):
            return await visitor.http.get(f"/{door}{url}")
        if door == "upload":
            return await visitor.call("upload", file_object(url) | {"url": url})
        await visitor.use("load", "load")
        return await visitor.use("fv-picture", "input", file_object(url) | {"url": url})

    answer = visit(actions, patience=8)
    assert listener.requests == []
    assert [line for line in server.violations() if host in line] == []
    if door.endswith("="):
        assert answer.status_code == 404
        assert answer.json()["detail"]
    else:
        assert answer.fate != "lost", answer
        assert not shows_secret(server.url, answer.value)


# --- A4: routes that nobody needs -----------------------------------------------------------------

CLOSED = [
    ("GET", "/monitoring"), ("GET", "/monitoring/summary"), ("GET", "/gradio_api/openapi.json"),
    ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/redoc"), ("GET", "/gradio_api/runs"),
    ("GET", "/gradio_api/deep_link?session_hash=SESSION"),
    ("POST", "/gradio_api/process_recording"), ("POST", "/gradio_api/vibe-edit"),
    ("GET", "/gradio_api/vibe-code"), ("POST", "/gradio_api/run-history/connect"),
    ("GET", "/gradio_api/dev/reload"), ("GET", "/gradio_api/token"), ("POST", "/login"),
    ("GET", "/gradio_api/profiling/traces"), ("GET", "/nothing/of/that/name"),
    ("GET", "/gradio_api/stream/a/b/c/playlist.m3u8"), ("DELETE", "/config"), ("PUT", "/"),
]  # fmt: skip


def test_a4_unknown_routes_are_closed_and_leave_no_file(server, visit):
    async def actions(visitor):
        await visitor.use("load", "load")
        before = set(server.files())
        wrong = {}
        for method, path in CLOSED:
            url = server.url + path.replace("SESSION", visitor.session)
            files = {"file": ("a.webm", bytes(200_000))} if "recording" in path else None
            async with visitor.http.stream(method, url, files=files) as response:
                closed = response.status_code in (404, 405)  # a stream that is open has no end
                text = (await response.aread()).decode() if closed else ""
            if '"detail"' not in text:
                wrong[f"{method} {path}"] = (response.status_code, text[:100])
        return wrong, [str(path) for path in set(server.files()) - before]

    wrong, new = visit(actions)
    assert wrong == {}
    assert new == []


def test_a4_uploads_of_one_address_have_a_bound_on_disk(server, visit):
    """They have together 24 MB, and the server keeps 4."""
    bodies = [hostile_pictures.noise(n, 600_000) for n in range(40)]

    async def actions(visitor):
        return [await visitor.upload(body) for body in bodies]

    before = sum(server.files().values())
    answers = visit(actions)
    assert any(answer.fate == "answered" for answer in answers)
    assert sum(server.files().values()) - before < 8e6
    for answer in answers:
        assert not problem(answer), answer
        assert "/" not in str(answer.value), answer


# --- A6: work before any limit --------------------------------------------------------------------


def test_a6_a_search_of_many_words_is_refused_before_it_begins(server, visit):
    async def actions(visitor):
        await visitor.call("models", "timm", "resnet")  # the lists are read
        begin = server.processor()
        answer = await visitor.call("models", "", " ".join(["q"] * 100_000))
        return answer, server.processor() - begin

    answer, spent = visit(actions)
    assert answer.fate == "refused", answer
    assert not problem(answer)
    assert spent < 0.5


@pytest.mark.parametrize("kind", ["scans", "frames", "profile"])
def test_a6_a_picture_that_costs_too_much_is_refused_soon(server, visit, kind):
    body = {
        "scans": lambda: hostile_pictures.many_scans(1000, 4000),
        "frames": lambda: hostile_pictures.many_frames(3000),
        "profile": lambda: hostile_pictures.profile(200),
    }[kind]()

    async def actions(visitor):
        await visitor.use("load", "load")
        begin, memory = time.monotonic(), server.memory()
        answer = await visitor.upload(body)
        if answer.fate == "answered":
            answer = await visitor.use("fv-picture", "input", file_object(answer.value))
        return answer, time.monotonic() - begin, server.memory() - memory

    answer, spent, grew = visit(actions)
    assert answer.fate in ("answered", "refused"), answer
    if kind == "scans":
        assert not problem(answer)
    assert spent < 6
    assert grew < 300


# --- A9: values of any type -----------------------------------------------------------------------

DIGITS = "9" * 5000
RAW = {  # the body, as JSON allows it and Python does not expect it
    "5,000 digits": f'["cam", "bundled:scenes-resnet", "scene-24", "", "", {DIGITS}, "", "{{}}"]',
    "1e400": '["cam", "bundled:scenes-resnet", "scene-24", "", "", 1e400, "", "{}"]',
    "nothing": '["cam", null, null, null, null, null, null, null]',
    "lists": '["cam", ["a"], ["b"], [], [[]], [1], ["1,2"], ["{}"]]',
    "objects": '[{"a": 1}, {}, {}, {}, {}, {}, {}, {}]',
    "numbers": "[1, 2, 3, 4, 5, 6, 7, 8]",
    "truths": "[true, true, true, true, true, true, true, true]",
    "too many": '["cam", "bundled:scenes-resnet", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]',
    "none": "[]",
    "digits in parameters": '["maximize", "bundled:scenes-resnet", "scene-24", "3", "", -1, "", '
    f'"{{\\"steps\\": {DIGITS}}}"]',
    "infinite parameters": '["maximize", "bundled:scenes-resnet", "scene-24", "3", "", -1, "", '
    '"{\\"steps\\": 1e400, \\"seed\\": null}"]',
    "null parameters": '["maximize", "bundled:scenes-resnet", "scene-24", "3", "", -1, "", '
    '"{\\"steps\\": null, \\"lr\\": [], \\"decorrelate\\": {}}"]',
}


def test_a9_a_value_of_any_type_gets_a_sentence(server, visit):
    async def actions(visitor):
        answers = {}
        for name, data in RAW.items():
            body = b'{"data": %s}' % data.encode()
            response = await visitor.post("/call/run", body)
            if response.status_code != 200:
                answers[name] = response.text
                continue
            path = f"{server.url}/gradio_api/call/run/{response.json()['event_id']}"
            answers[name] = (await visitor.http.get(path)).text
        return answers

    begin = len(server.log)
    answers = visit(actions)
    wrong = {name: text[:200] for name, text in answers.items()
             if leak(text) or not re.search(r"[a-z]+ [a-z]+ [a-z]+", text)}  # fmt: skip
    assert wrong == {}
    assert "Traceback" not in server.log[begin:]


@pytest.mark.parametrize("query", ["cls=99999", "cls=99999-3", "cls=3&ch=99999&layer=layer4",
                                   "pos=999,999&ch=1&layer=layer4&p.explain=neuron"])  # fmt: skip
def test_a9_a_link_of_any_number_gets_a_sentence(server, visit, query):
    begin = len(server.log)

    async def actions(visitor):
        return await visitor.send(visitor.event("load", "load"), [], query=query)

    answer = visit(actions)
    assert answer.fate == "answered"
    assert not problem(answer)
    assert "Traceback" not in server.log[begin:]


# --- what visitors send stays theirs --------------------------------------------------------------


def test_the_position_in_a_photograph_is_dropped_at_once(server, visit):
    marker = "taken-at-home-47.3667"

    async def actions(visitor):
        await visitor.use("load", "load")
        answer = await visitor.upload(hostile_pictures.with_position(marker), "photo.jpg")
        return await visitor.use("fv-picture", "input", file_object(answer.value))

    assert visit(actions).fate == "answered"
    files = server.files()
    assert files
    assert [
        str(path) for path in files if path.exists() and marker.encode() in path.read_bytes()
    ] == []


@pytest.mark.parametrize("path", ["/", "/config", "/healthz", "/status", "/nothing"])
def test_answers_tell_a_browser_what_it_may_do(server, path):
    headers = httpx.get(server.url + path, timeout=20).headers
    assert headers.get("x-content-type-options") == "nosniff"
    assert headers.get("referrer-policy")
    assert "frame-ancestors" in headers.get("content-security-policy", "frame-ancestors")


def test_a_click_deletes_an_upload_everywhere_and_nobody_else_can(server, visit):
    """The page's button, another's call, and the files that were made from the picture."""

    async def actions(visitor):
        await visitor.use("load", "load")
        name = (await visitor.upload(hostile_pictures.noise(5, 30_000))).value
        shown = await visitor.use("fv-picture", "input", file_object(name))
        assert "data-delete" in json.dumps(shown.value)
        run = await visitor.call("run", "cam", MODEL, name, "", "", -1, "", "{}")
        addresses = [f"/file={name}", f"/{run.value[0]['png'].partition('/')[2]}"]
        assert [(await visitor.http.get(a)).status_code for a in addresses] == [200, 200]
        other = type(visitor)(server.url, 2**21, visitor.config, 20, "127.0.2.99")
        refused = await other.call("delete", name)
        assert refused.fate == "refused"
        assert "only whoever sent" in str(refused.value)
        assert (await other.http.get(addresses[0])).status_code == 200
        after = await visitor.use("fv-upload", "select")
        assert "data-delete" not in json.dumps(after.value)
        assert [(await visitor.http.get(a)).status_code for a in addresses] == [404, 404]
        again = await other.call("run", "cam", MODEL, name, "", "", -1, "", "{}")
        assert "no longer here" in str(again.value)
        await other.http.aclose()
        return name

    name = visit(actions)
    assert [path for path in server.files() if name in str(path)] == []


def test_a_file_is_never_shown_as_a_page(server, visit):
    """Whatever a visitor sends comes back as a picture; data and code are only saved."""

    async def actions(visitor):
        page = b"<html><script>alert(1)</script></html>"
        svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'
        assert [(await visitor.upload(data, "a.html")).fate for data in (page, svg)] == [
            "refused"
        ] * 2
        name = (await visitor.upload(hostile_pictures.noise(6, 20_000), "a.svg")).value
        run = await visitor.call("run", "cam", MODEL, name, "", "", -1, "", "{}")
        keys = [name, *(run.value[0][kind].partition("=")[2] for kind in ("png", "npz"))]
        return [(await visitor.http.get(f"/file={key}")).headers for key in keys]

    kinds = [headers["content-type"] for headers in visit(actions)]
    assert kinds == ["image/webp", "image/png", "application/octet-stream"]
    assert all("sandbox" in h["content-security-policy"] for h in visit(actions))
