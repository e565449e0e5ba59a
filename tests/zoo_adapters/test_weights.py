"""Weights: from disk without the network; refused at once without it; told of as they come."""

from __future__ import annotations

import gc
import hashlib
import http.server
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import zoo_adapters
from featvis.model import WrongRequest
from zoo_adapters import Unavailable, weights

LIMIT = 3.0  # seconds until a refusal


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Caches of this test alone, and nothing said of being offline."""
    from huggingface_hub import constants

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


PRETRAINED = [
    "timm:resnet18",
    "timm:gcvit_tiny.in1k",  # an address instead of a repository
    "timm:hf-hub:timm/resnet18.a1_in1k",
    "timm:hf-hub:timm/resnet18.a1_in1k@main",
    "torchvision:alexnet",
]


def refused(name):
    zoo_adapters.names(name.partition(":")[0])  # importing the library is not what is measured
    begin = time.perf_counter()
    with pytest.raises(Unavailable) as caught:
        zoo_adapters.load(name)
    assert time.perf_counter() - begin < LIMIT
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("name", PRETRAINED)
def test_offline_is_obeyed_without_a_look_at_the_network(name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))
    said = refused(name)
    assert "HF_HUB_OFFLINE" in said
    assert "pretrained=False" in said


@pytest.mark.parametrize("name", PRETRAINED)
def test_without_a_connection_a_name_is_refused_at_once(name, monkeypatch):
    def no_such_host(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
    assert "does not answer" in refused(name)


@pytest.fixture
def impatient(monkeypatch):
    """Let a host have a fifth of its time, for the sake of ours."""
    assert weights.ANSWER < LIMIT
    monkeypatch.setattr(weights, "ANSWER", 0.5)


def test_a_name_server_that_hangs_is_not_waited_for(monkeypatch, impatient):
    hang = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hang.wait(20))
    try:
        assert "does not answer" in refused("torchvision:alexnet")
    finally:
        hang.set()


def test_a_host_that_takes_connections_but_never_answers_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/net-0123abcd.pth"
        begin = time.perf_counter()
        with pytest.raises(Unavailable, match="does not answer"):
            weights.url_file(url, model="a net")
        assert time.perf_counter() - begin < LIMIT


def test_random_weights_need_no_network(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))
    assert zoo_adapters.load("timm:test_resnet", pretrained=False).head is not None


def test_what_offline_means(monkeypatch):
    for value, expected in [("1", True), ("true", True), ("ON", True), ("0", False), ("", False)]:
        monkeypatch.setenv("HF_HUB_OFFLINE", value)
        assert weights.offline() is expected


# --- files by address -----------------------------------------------------------------------------


@contextmanager
def served(files, before=lambda handler: None, status=404):
    """A server of bytes by path; yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, body):
            before(self)
            name = self.path.partition("?")[0]
            found = name in files
            data = files.get(name, b"nothing here")
            self.send_response(200 if found else status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", "a" * 40)
            if not found and status == 404:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.end_headers()
            if body:
                self.wfile.write(data)

        def do_GET(self):
            self.answer(body=True)

        def do_HEAD(self):
            self.answer(body=False)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


DATA = bytes(range(256)) * 4096
HASH = hashlib.sha256(DATA).hexdigest()


def folder():
    return weights.url_path("http://host/x").parent


def test_a_file_is_downloaded_once_and_its_progress_told():
    told = []
    with served({f"/net-{HASH[:8]}.pth": DATA}) as host:
        url = f"{host}/net-{HASH[:8]}.pth"
        path = weights.url_file(url, model="a net", progress=lambda *args: told.append(args))
    assert path.read_bytes() == DATA
    assert [done for done, _, _ in told] == sorted({done for done, _, _ in told})
    assert told[-1] == (len(DATA), len(DATA), path.name)
    assert weights.url_file(url, model="a net") == path  # the server is gone
    assert [p.name for p in folder().iterdir()] == [path.name]


def test_a_damaged_file_is_refused_and_not_kept():
    files = {"/net-00000000.pth": DATA}
    with served(files) as host, pytest.raises(Unavailable, match="damaged"):
        weights.url_file(f"{host}/net-00000000.pth", model="a net")
    assert list(folder().iterdir()) == []


def test_a_missing_file_is_refused_with_the_answer():
    with served({}) as host, pytest.raises(Unavailable, match="404"):
        weights.url_file(f"{host}/net.pth", model="a net")


def test_progress_may_end_the_download():
    class Cancelled(Exception):
        pass

    def cancel(*_):
        raise Cancelled

    with served({"/net.pth": DATA}) as host, pytest.raises(Cancelled):
        weights.url_file(f"{host}/net.pth", model="a net", progress=cancel)
    assert list(folder().iterdir()) == []


# --- files of the hub -----------------------------------------------------------------------------


def cached_repository(hub, repo, **files):
    """What the hub's cache looks like after a download."""
    root = Path(hub) / f"models--{repo.replace('/', '--')}"
    snapshot = root / "snapshots" / ("b" * 40)
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("b" * 40)
    for name, data in files.items():
        (snapshot / name.replace("__", ".")).write_bytes(data)
    return snapshot


def test_what_is_in_the_cache_is_used_without_the_network(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))
    snapshot = cached_repository(tmp_path / "hub", "a/b", pytorch_model__bin=b"1")
    names = ["model.safetensors", "pytorch_model.bin"]
    assert weights.hub_file("a/b", names, model="it") == snapshot / "pytorch_model.bin"
    (snapshot / "model.safetensors").write_bytes(b"2")
    assert weights.hub_file("a/b", names, model="it") == snapshot / "model.safetensors"
    assert weights.cached("a/b", names, revision="b" * 40) is not None
    assert weights.cached("a/b", names, revision="other") is None


@pytest.fixture
def hub_at(monkeypatch):
    """Let huggingface_hub take another address for the hub."""
    from huggingface_hub import constants, file_download

    def at(host):
        template = host + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", host)
        for module in (constants, file_download):
            monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)

    return at


BOTH = ["model.safetensors", "pytorch_model.bin"]
FILES = {
    "/a/old/resolve/main/pytorch_model.bin": DATA,
    "/a/both/resolve/main/pytorch_model.bin": b"a pickle",
    "/a/both/resolve/main/model.safetensors": DATA,
}


def test_the_hub_is_asked_for_safetensors_first(hub_at):
    asked = []
    with served(FILES, before=lambda handler: asked.append(handler.path)) as host:
        hub_at(host)
        assert weights.hub_file("a/both", BOTH, model="it").name == "model.safetensors"
        assert not any(path.endswith("pytorch_model.bin") for path in asked)
        assert weights.hub_file("a/old", BOTH, model="it").read_bytes() == DATA
        with pytest.raises(WrongRequest, match="a/none"):
            weights.hub_file("a/none", BOTH, model="it")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # huggingface_hub drops its connection
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_progress_of_the_hub_is_told_and_may_end_the_download(hub_at):
    told = []

    class Cancelled(Exception):
        pass

    def cancel(*_):
        raise Cancelled

    with served(FILES) as host:
        hub_at(host)
        with pytest.raises(Cancelled):
            weights.hub_file("a/old", BOTH, model="it", progress=cancel)
        gc.collect()
        weights.hub_file("a/old", BOTH, model="it", progress=lambda *args: told.append(args))
    assert told[-1] == (len(DATA), len(DATA), "pytorch_model.bin")


def test_a_hub_that_fails_is_not_asked_again(hub_at):
    with served({}, status=503) as host:
        hub_at(host)
        begin = time.perf_counter()
        with pytest.raises(Unavailable, match="does not answer"):
            weights.hub_file("a/b", BOTH, model="it")
        assert time.perf_counter() - begin < LIMIT


def test_a_silent_hub_is_not_waited_for(hub_at, impatient):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hub_at(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(Unavailable, match="does not answer"):
            weights.hub_file("a/b", BOTH, model="it")
