"""The gate: only known routes answer, no file from outside reaches Gradio, all has bounds."""

from __future__ import annotations

import base64
import gc
import http.server
import io
import json
import re
import socket
import threading
import time
import warnings
from pathlib import Path

import httpx
import PIL.Image
import pytest

from app.machine import disk, disk_store
from app.web import bodies, http_headers, routes
from app.web.replies import Refusal
from app.web.uploads import picture_in
from tests.support.loops import awaited

pytestmark = pytest.mark.filterwarnings("ignore")  # of Gradio, while the server runs
REFUSED = (Path(__file__).parent / "refused_routes.txt").read_text("utf8").split("\n")
SENTENCE = "picture is sent as an upload"


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    """A picture of the server's disk that nobody uploaded."""
    file = tmp_path_factory.mktemp("private") / "secret.png"
    PIL.Image.new("RGB", (40, 30), (200, 10, 10)).save(file)
    return file


@pytest.fixture(scope="module")
def fetched():
    """An address on loopback, and all that was asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    from app.web.serve import launch

    with pytest.MonkeyPatch.context() as patch:
        for name in ("uploads", "page_files"):
            store = disk_store.Store(tmp_path_factory.mktemp(name), 0, 0)
            patch.setattr(disk, name, lambda store=store: store)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made, url = launch(mcp_server=True)
        made.url = url.rstrip("/")
        yield made
        made.close()
        gc.collect()


@pytest.fixture(scope="module")
def client(blocks):
    with httpx.Client(base_url=blocks.url, timeout=30) as made:
        yield made


def png(color=(90, 160, 60), size=(60, 40)) -> bytes:
    data = io.BytesIO()
    PIL.Image.new("RGB", size, color).save(data, "PNG")
    return data.getvalue()


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def called(client, name, *values) -> str:
    """The stream of a call's answer."""
    begun = client.post(f"/gradio_api/call/{name}", json={"data": values})
    if begun.status_code != 200:
        return begun.text
    return client.get(f"/gradio_api/call/{name}/{begun.json()['event_id']}").text


# --- routes ---------------------------------------------------------------------------------------


def all_routes(found, prefix=""):
    """Each route of an app, of the routers in it, and of what is mounted."""
    for route in found:
        if hasattr(route, "effective_candidates"):
            yield from all_routes(route.effective_candidates(), prefix)
            continue
        path = prefix + re.sub(r"\{\w+(:\w+)?\}", "{}", route.path)
        if hasattr(route, "app") and not hasattr(route, "methods"):
            yield f"* {path}/"
            yield from all_routes(route.routes or (), path)
        else:
            yield from (f"{method} {path}" for method in route.methods or {"*"})


def test_every_route_of_gradio_is_known_as_open_or_refused(blocks):
    """A new version of Gradio with a new route fails here: decide whether it is needed."""
    there = set(all_routes(blocks.app.routes))
    table = {
        f"{method} {re.sub('{[^}]*}', '{}', route.path)}"
        for route in routes.OPEN
        for method in route.methods.split()
    }
    assert there - table - set(REFUSED) == set()
    assert set(filter(None, REFUSED)) - there == set(), "they are gone: take them off the list"
    assert not table & set(REFUSED)
    own = {route.path for route in routes.OPEN if route.own == "page"} | {"/gradio_api/mcp"}
    assert {name.split()[1] for name in table - there} <= own | {"/gradio_api/mcp/"}


@pytest.mark.parametrize("line", [line for line in REFUSED if line])
def test_a_refused_route_never_reaches_gradio(client, line):
    method, path = line.split()
    method, path = ("GET", f"{path}abc") if method == "*" else (method, path)
    answer = client.request(method, path.replace("{}", "abc"))
    assert answer.status_code == 404
    assert "nothing at this address" in answer.text or method == "HEAD"


ODD = [
    "//config", "/config/", "/%63onfig%2f", "/./config", "/x/../monitoring", "/monitoring%00",
    "/gradio_api//info", "/gradio_api/file=http://127.0.0.1:1/", "/gradio_api/file=/etc/passwd",
    "/gradio_api/file=%2e%2e/%2e%2e/etc/passwd", "/gradio_api/file=..%252f..%252fetc/passwd",
    "/gradio_api/proxy=https://x.hf.space/", "/assets/..%2f..%2f..%2froutes.py", "/assets/%2e%2e/x",
    "/static/../../routes.py", "/gradio_api/heartbeat/" + 65 * "a", "/gradio_api/heartbeat/a%2fb",
    "/?deep_link=abc", "/config?deep_link=abc", "/?%64eep_link=x", "/?a=1&deep_link", "/config\\x",
    "/gradio_api/call/run/../../deep_link?session_hash=a", "/gradio_api/mcp/sse", "/;config",
]  # fmt: skip


def raw(blocks, text: bytes) -> bytes:
    """The answer to a request exactly as it is written."""
    port = int(blocks.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(text)
        line.shutdown(socket.SHUT_WR)
        return line.makefile("rb").readline()


@pytest.mark.parametrize("method", ["GET", "HEAD", "get", "POST"])
def test_odd_addresses_do_not_slip_by(blocks, method):
    for path in ODD:
        told = raw(
            blocks, f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        )
        assert re.search(rb" (404|400) ", told), (method, path, told)


def test_a_root_path_is_taken_off_as_the_router_takes_it():
    for path, root, inner in [
        ("/featvis/config", "/featvis", "/config"),
        ("/config", "/featvis", "/config"),
        ("/featvis", "/featvis", "/"),
        ("/featvis/", "/featvis", "/"),
        ("/featvisconfig", "/featvis", "/featvisconfig"),
        ("/featvis//config", "/featvis", "//config"),
    ]:
        assert routes.inner_path({"path": path, "root_path": root}) == inner


def test_what_is_too_long_is_refused(client, blocks):
    assert client.get("/?" + 9000 * "a").status_code == 414
    assert client.get("/assets/" + 2000 * "a").status_code == 414
    many = "".join(f"X-{i}: 1\r\n" for i in range(200))
    told = raw(blocks, f"GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n".encode())
    assert b" 431 " in told
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: a\r\n"
    told = raw(blocks, f"GET /queue/join HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n".encode())
    assert re.search(rb" (403|404) ", told)


def test_another_page_cannot_ask_this_machines_server(client):
    told = client.post("/gradio_api/call/methods", json={"data": []},
                       headers={"origin": "https://example.org"})  # fmt: skip
    assert told.status_code == 403
    told = client.post("/gradio_api/call/methods", content='{"data": []}',
                       headers={"content-type": "text/plain"})  # fmt: skip
    assert told.status_code == 415


# --- files and addresses in bodies ----------------------------------------------------------------


def file_objects(path: str):
    """Each way to write a file object that some part of Gradio takes for one."""
    meta = {"_type": "gradio.FileData"}
    yield {"path": path}
    yield {"path": path, "meta": {}}
    yield {"path": path, "meta": meta}
    yield {"path": path, "meta": meta, "is_stream": True}
    yield {"path": None, "url": path, "meta": meta}
    yield {"url": path}
    yield {"path": "scene-24/../" + path, "meta": meta, "orig_name": "a.png"}
    yield {"path": [path], "meta": meta, "mime_type": "image/png"}
    yield [[{"a": {"path": path, "meta": meta}}]]


def paths(secret, address):
    other = secret.with_name("missing.png")
    listed = [secret, other, f"file://{secret}", "/dev/zero", "/proc/self/environ", "../x.png"]
    return [*map(str, listed), f"{address}/a.png", "http://169.254.169.254/", "https://[::1]/"]


def test_no_file_object_is_read_and_the_sentence_tells_nothing(client, blocks, secret, fetched):
    address, asked = fetched
    event = next(n for n, f in blocks.fns.items() if any(t[1] == "input" for t in f.targets)
                 and any("image" in i.get_block_name() for i in f.inputs))  # fmt: skip
    said = set()
    for path in paths(secret, address):
        for given in file_objects(path):
            bodies_of = [
                ("queue/join", {"data": [None, given], "fn_index": event, "session_hash": "gate"}),
                ("queue/join", {"data": [None, None], "event_data": given, "fn_index": event,
                                "session_hash": "gate"}),
                ("call/upload", {"data": [given]}),
                ("call/v2/upload", {"picture": given}),
                ("call/compare", {"data": [[given], *6 * [None]]}),
            ]  # fmt: skip
            for route, body in bodies_of:
                answer = client.post(f"/gradio_api/{route}", json=body)
                assert answer.status_code == 400, (route, body, answer.text)
                said.add(answer.text)
    assert len(said) == 1
    assert SENTENCE in said.pop()
    assert not asked
    assert not list(disk.uploads().folder.glob("*"))


@pytest.mark.parametrize("name", ["upload", "run", "neighbours"])
def test_no_plain_text_is_opened_or_fetched(client, secret, fetched, name):
    address, asked = fetched
    told, model = set(), "bundled:scenes-resnet"
    for path in paths(secret, address):
        values = {"upload": [path], "run": ["cam", model, path, "", "", -1, "", "{}"],
                  "neighbours": [model, path, 3, "embedding", "", -1]}[name]  # fmt: skip
        told.add(called(client, name, *values).replace(json.dumps(path)[1:-1], "IT"))
    assert len(told) == 1
    assert "is no picture" in told.pop()
    assert not asked


def test_no_tool_opens_or_fetches(blocks, secret, fetched):
    address, asked = fetched
    from tests.app.web.test_mcp import asked as tools

    async def ask(session):
        return [
            (await session.call_tool("upload", {"picture": path})).content[0].text
            for path in paths(secret, address)
        ]

    for said in awaited(tools(blocks.url, ask)):
        assert "is no picture" in said
    assert not asked


WRONG_BODIES = [
    (b"{", "not JSON"), (b"[1]", "JSON object"), (b"\xff\xfe{}", "not JSON"),
    (b'{"data": [NaN]}', "finite"), (b'{"data": [1e400]}', "finite"),
    (b'{"data": [Infinity]}', "finite"), (b'{"data": [' + 5000 * b"9" + b"]}", "18 digits"),
    (b'{"data": [' + 30 * b"9" + b"]}", "18 digits"),
    (b'{"data": ' + 20000 * b"[" + 20000 * b"]" + b"}", "JSON"),
    (b'{"data": ' + 20 * b"[" + 20 * b"]" + b"}", "levels deep"),
    (b'{"data": [' + b",".join(3000 * [b"1"]) + b"]}", "2,000 values"),
    (b'{"data": ["' + 2001 * b"a" + b'"]}', "2,000 characters"),
    (b'{"data": ["' + b'","'.join(60 * [1900 * b"a"]) + b'"]}', "64 kB"),
    (b'{"data": [{"' + 101 * b"k" + b'": 1}]}', "100 characters"),
    (rb'{"data": ["\ud800"]}', "does not exist"), (rb'{"data": [{"\ud800": 1}]}', "does not exist"),
    (b'{"data": [null, null], "fn_index": 99999, "session_hash": "a"}', "no such function"),
    (b'{"data": [null, null], "fn_index": true, "session_hash": "a"}', "whole number"),
    (b'{"data": [null], "fn_index": 0, "session_hash": "../a"}', "64 letters"),
    (b'{"data": [null], "fn_index": 0}', "session_hash is missing"),
    (b'{"data": 3, "fn_index": 0, "session_hash": "a"}', "list of all values"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "said"), WRONG_BODIES)
def test_a_body_beyond_its_bounds_is_one_sentence(client, body, said):
    kind = {"content-type": "application/json"}
    answer = client.post("/gradio_api/queue/join", content=body, headers=kind)
    assert answer.status_code in (400, 404, 413)
    assert said in answer.json()["detail"]


def test_functions_are_asked_as_they_are_meant(client, blocks):
    queued = next(n for n, f in blocks.fns.items() if f.queue is not False)
    body = {"data": [], "fn_index": queued, "session_hash": "a"}
    assert client.post("/gradio_api/run/predict", json=body).status_code == 404
    for name, arguments, said in [("run", {"path_": 1}, "no argument"), ("layers", {}, "needs the"),
                                  ("no", {}, "no such function")]:  # fmt: skip
        answer = client.post(f"/gradio_api/call/v2/{name}", json=arguments)
        assert said in answer.json()["detail"]
    begun = client.post("/gradio_api/call/v2/models", json={"zoo": "bundled", "search": "vit"})
    told = client.get(f"/gradio_api/call/v2/models/{begun.json()['event_id']}").text
    assert "scenes-vit" in told
    link = next(n for n, b in blocks.blocks.items() if getattr(b, "save", None))
    for component, name in [(99999, "save"), (link, "postprocess"), (link, "__class__")]:
        body = {"data": 1, "component_id": component, "fn_name": name, "session_hash": "a"}
        assert client.post("/gradio_api/component_server/", json=body).status_code == 404


# --- uploads and files ----------------------------------------------------------------------------


def test_an_upload_is_a_name_and_its_file_is_shown(client, secret):
    (name,) = client.post("/gradio_api/upload", files={"files": ("a.png", png())}).json()
    assert re.fullmatch("[0-9a-f]{16}", name)
    shown = client.get(f"/gradio_api/file={name}")
    assert shown.headers["content-type"] == "image/webp"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert PIL.Image.open(io.BytesIO(shown.content)).size == (60, 40)
    assert client.head(f"/gradio_api/file={name}").content == b""
    assert name in called(client, "upload", data_url(png()))  # the same picture, another way
    told = client.post("/gradio_api/call/upload", json={"data": [{"path": name, "meta": {}}]})
    assert told.status_code == 200


@pytest.mark.parametrize(
    "files",
    [
        [("files", ("a.png", png())), ("files", ("b.png", png()))],
        [("other", ("a.png", png()))],
        [("files", (None, png()))],
        [("files", ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"))],
        [("files", ("a.html", b"<script>alert(1)</script>"))],
        [("files", ("a.png", b""))],
    ],
)
def test_another_form_is_refused_in_a_sentence(client, files):
    answer = client.post("/gradio_api/upload", files=files)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert re.search("multipart form|not a picture", answer.text)


def test_a_broken_form_is_refused():
    for boundary, body in [
        (b"b", b""),
        (b"b", b"--b"),
        (b"b", b"--c\r\n\r\n--c--"),
        (b"b", 99 * b"\r\n"),
    ]:
        with pytest.raises(Refusal):
            picture_in(boundary, body)


def test_an_upload_over_the_bound_is_told(client, set_limits):
    set_limits(FEATVIS_UPLOAD_MB="0.01")
    answer = client.post("/gradio_api/upload", files={"files": ("a.png", bytes(60_000))})
    assert answer.status_code == 413
    assert "0.02 MB" in answer.text
    answer = client.post("/gradio_api/call/upload", json={"data": [data_url(bytes(70_000))]})
    assert answer.status_code == 413


def test_the_progress_of_an_upload_is_told_to_its_end(client):
    client.post("/gradio_api/upload?upload_id=u1", files={"files": ("a.png", png())})
    told = client.get("/gradio_api/upload_progress?upload_id=u1").text
    assert told.endswith('data: {"msg": "done"}\n\n')


def test_files_that_were_made_are_taken_away_or_shown_but_never_as_a_page(client):
    for name, kind in [("a.png", "image/png"), ("a.npz", None), ("a.html", None), ("a.svg", None)]:
        shown = client.get("/" + disk.file_url(b"<b>", name))
        assert shown.headers["content-type"] == (kind or "application/octet-stream")
        assert ("attachment" in shown.headers.get("content-disposition", "")) == (kind is None)
    assert client.get(f"/gradio_api/file=-/{64 * '0'}/a.png").status_code == 404
    assert client.get(f"/gradio_api/file={16 * '0'}").status_code == 404


# --- answers --------------------------------------------------------------------------------------


def test_every_answer_has_its_headers_and_no_folder(client, tmp_path_factory):
    folders = [
        str(folder)
        for folder in (disk.page_files().folder, disk.uploads().folder, Path.home() / "x", "/tmp/")
    ]
    link = "?tab=Class+evidence&m=bundled:scenes-resnet&method=cam&img=scene-2"
    texts = [client.get(p) for p in ("/", "/config", "/gradio_api/info", "/nothing", "/healthz")]
    for answer in texts:
        for name, value in http_headers.EVERY.items():
            assert answer.headers[name.decode()] == value.decode(), answer.url
    told = [answer.text for answer in texts] + [called(client, "picture", link)]
    assert '"path": "-/' in told[-1]
    assert not [folder for folder in folders for text in told if folder in text]


def test_each_address_has_its_share(client, set_limits, blocks):
    set_limits(FEATVIS_SESSIONS_EACH="3", FEATVIS_SESSIONS="5", FEATVIS_TRUST_PROXY="1")
    blocks.state_holder.session_data.clear()
    link = next(n for n, b in blocks.blocks.items() if getattr(b, "save", None))
    for number in range(8):
        body = {
            "data": {"query": "?m=no"},
            "component_id": link,
            "fn_name": "save",
            "session_hash": f"s{number}",
        }
        by = {"x-forwarded-for": f"192.0.2.{number % 2}"}
        client.post("/gradio_api/component_server/", json=body, headers=by).raise_for_status()
    left = [name for name in blocks.state_holder.session_data if name[0] == "s"]
    assert left in (["s3", "s4", "s5", "s6", "s7"], ["s4", "s5", "s6", "s7"])


def test_a_stream_of_no_session_ends_with_a_word_and_no_traceback(client, caplog):
    answer = client.get("/gradio_api/queue/data?session_hash=nobody")
    assert answer.status_code == 200
    assert json.loads(answer.text.partition("data: ")[2])["session_not_found"] is True
    assert "Traceback" not in caplog.text


def test_a_call_leaves_no_session(client, blocks):
    before = set(blocks.state_holder.session_data)
    assert "scenes-vit" in called(client, "models", "bundled", "vit")
    end = time.monotonic() + 5  # it goes when its stream has ended
    while set(blocks.state_holder.session_data) - before and time.monotonic() < end:
        time.sleep(0.01)
    assert set(blocks.state_holder.session_data) <= before


def test_only_a_private_server_with_the_switch_fetches(set_limits, fetched):
    from app.question.incoming import picture_name

    address, asked = fetched
    for variables, said, count in [
        ({}, "is no picture", 0),
        ({"FEATVIS_FETCH": "1", "FEATVIS_PUBLIC": "1"}, "is no picture", 0),
        ({"FEATVIS_FETCH": "1", "FEATVIS_PUBLIC": "0"}, "shows nothing", 1),
    ]:
        set_limits(**variables)
        with pytest.raises(ValueError, match=said):
            picture_name(f"{address}/a.png")
        assert len(asked) == count


def test_a_slow_body_ends(set_limits):
    import asyncio

    set_limits(FEATVIS_BODY_SECONDS="0.05")

    async def never():
        await asyncio.sleep(9)

    with pytest.raises(Refusal, match="within"):
        awaited(bodies.read(never, "a", 100))
    assert bodies.READING.total == 0
