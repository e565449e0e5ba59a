"""The hub: found, inspected, downloaded and refused, by the real clients from a local server."""

from __future__ import annotations

import io
import json
import os
import pickle
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

import zoo_adapters
from featvis.model import WrongRequest
from tests.support import hub
from zoo_adapters import Unavailable, weights
from zoo_adapters import hub as asked

TINY = "test_resnet"
CONFIG = {"architecture": TINY, "num_classes": 3, "label_names": ["car", "bird", "cup"]}
CARD = b"---\nlicense: cc-by-nc-4.0\n---\n# A network\n"
BROKEN = "ignore::pytest.PytestUnraisableExceptionWarning"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(asked, "_kept", {})
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "FEATVIS_DOWNLOAD_LIMIT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(3)
    return timm.create_model(TINY, num_classes=3).eval()


@pytest.fixture
def files(module):
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "model.safetensors": safetensors.torch.save(module.state_dict()),
        "README.md": CARD,
    }


@pytest.fixture
def repositories(files):
    return {
        "me/net-tiny": hub.Repository(files, downloads=7),
        "you/net-base": hub.Repository(files, downloads=90, gated=True,
                                       tags=("timm", "license:mit")),
        "we/tower-net": hub.Repository({}, tags=("transformers", "image-classification")),
        "they/text": hub.Repository({}, tags=("transformers", "text-generation")),
    }  # fmt: skip


@pytest.fixture
def host(repositories, monkeypatch):
    with hub.served(repositories) as address:
        hub.lead_to(monkeypatch, address)
        yield address


def refused(name, kind=WrongRequest):
    with pytest.raises(kind) as caught:
        zoo_adapters.load(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def same(module, other):
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in module.state_dict().items())


# --- found ----------------------------------------------------------------------------------------


def test_repositories_are_found_by_words_the_most_downloaded_first(host):
    found = zoo_adapters.search_hub("net")
    assert [one.name for one in found] == [
        "timm:hf-hub:you/net-base", "timm:hf-hub:me/net-tiny", "transformers:we/tower-net",
    ]  # fmt: skip
    assert [one.licence for one in found] == ["mit", "apache-2.0", "unknown"]
    assert [one.gated for one in found] == [True, False, False]
    assert [one.name for one in zoo_adapters.search_hub("NET  tiny")] == [found[1].name]
    assert zoo_adapters.search_hub("text") == ()
    with pytest.raises(WrongRequest, match="a word"):
        zoo_adapters.search_hub("  ")


def test_an_answer_is_kept(host, repositories):
    first = zoo_adapters.search_hub("tiny")
    repositories.clear()
    assert zoo_adapters.search_hub("tiny") == first
    assert zoo_adapters.search_hub("base") == ()


def test_offline_is_said_at_once(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))
    for ask in (zoo_adapters.search_hub, lambda _: zoo_adapters.inspect("timm:hf-hub:a/b")):
        with pytest.raises(Unavailable, match="HF_HUB_OFFLINE"):
            ask("net")


def test_without_a_connection_a_search_is_refused_soon(monkeypatch):
    def no_such_host(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
    begin = time.perf_counter()
    with pytest.raises(Unavailable, match="does not answer"):
        zoo_adapters.search_hub("net")
    assert time.perf_counter() - begin < weights.ANSWER + 0.5


def test_a_repository_is_inspected_before_it_is_loaded(host, files):
    found = zoo_adapters.inspect("timm:hf-hub:me/net-tiny")
    assert (found.licence, found.gated) == ("apache-2.0", False)
    assert found.download == len(files["model.safetensors"])
    assert found.revision == hub.COMMIT
    for name, said in [("timm:resnet50", "organization/name"), ("timm:hf-hub:me/none", "me/none")]:
        with pytest.raises(WrongRequest, match=said):
            zoo_adapters.inspect(name)
    with pytest.raises(Unavailable, match="accept"):
        zoo_adapters.inspect("timm:hf-hub:you/net-base")


def test_the_command_searches_the_hub(host):
    """The client as it is installed, led by HF_ENDPOINT alone."""
    environment = {k: v for k, v in os.environ.items() if "OFFLINE" not in k}
    environment |= {"HF_ENDPOINT": host, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-W", "ignore", "-m", "app", "models", "--hub", "net"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[0] == "timm:hf-hub:you/net-base"
    assert "mit" in lines[0]
    assert "gated" in lines[0]
    assert len(lines) == 3


# --- downloaded -----------------------------------------------------------------------------------


def test_a_repository_is_downloaded_once_with_its_licence_and_its_commit(host, module):
    told = []
    name = "timm:hf-hub:me/net-tiny"
    model = zoo_adapters.load(name, progress=lambda *args: told.append(args))
    assert same(model.module, module)
    assert model.labels == ("car", "bird", "cup")
    assert model.info["licence"] == "cc-by-nc-4.0"
    assert model.info["revision"] == hub.COMMIT
    assert any(what == "model.safetensors" for _, _, what in told)
    facts = zoo_adapters.describe(name)
    assert facts.on_disk
    assert facts.licence == "cc-by-nc-4.0"


def test_what_was_downloaded_needs_no_hub(host, monkeypatch):
    zoo_adapters.load("timm:hf-hub:me/net-tiny")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))
    pinned = zoo_adapters.load(f"timm:hf-hub:me/net-tiny@{hub.COMMIT}")
    assert pinned.info["revision"] == hub.COMMIT
    assert pinned.info["licence"] == "cc-by-nc-4.0"


def test_a_gated_repository_asks_for_a_token_and_takes_it(host, monkeypatch, module):
    assert "accept" in refused("timm:hf-hub:you/net-base", Unavailable)
    monkeypatch.setenv("HF_TOKEN", hub.TOKEN)
    assert same(zoo_adapters.load("timm:hf-hub:you/net-base").module, module)


@pytest.mark.filterwarnings("ignore::ResourceWarning", BROKEN)
def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    host, repositories, module, monkeypatch
):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)  # what is kept of a download
    known = repositories["me/net-tiny"]
    known.breaks = 300_000
    assert same(zoo_adapters.load("timm:hf-hub:me/net-tiny").module, module)
    assert "GET model.safetensors bytes=300000-" in known.asked


def test_a_slow_link_tells_its_progress(host, repositories):
    repositories["me/net-tiny"].slow = 0.02
    told = []
    zoo_adapters.load("timm:hf-hub:me/net-tiny", progress=lambda *args: told.append(args))
    done = [n for n, _, what in told if what == "model.safetensors"]
    assert done == sorted(done)


# --- refused --------------------------------------------------------------------------------------


def test_what_the_hub_does_not_have_is_refused(host):
    assert "me/none" in refused("timm:hf-hub:me/none")
    assert "at v9" in refused("timm:hf-hub:me/net-tiny@v9")
    assert "none of" in refused("timm:hf-hub:we/tower-net")
    assert "me/none" in refused("transformers:me/none")


def test_a_busy_hub_is_not_asked_for_long(host, repositories, monkeypatch):
    monkeypatch.setattr(asked, "PATIENCE", 1.0)
    repositories["me/net-tiny"].busy = True
    begin = time.perf_counter()
    with pytest.raises(Unavailable):
        zoo_adapters.inspect("timm:hf-hub:me/net-tiny")
    assert time.perf_counter() - begin < 8


def test_a_large_download_is_refused_before_it_is_begun(host, repositories, monkeypatch):
    known = repositories["me/net-tiny"]
    monkeypatch.setenv("FEATVIS_DOWNLOAD_LIMIT", "0.000001")
    assert "FEATVIS_DOWNLOAD_LIMIT" in refused("timm:hf-hub:me/net-tiny")
    monkeypatch.delenv("FEATVIS_DOWNLOAD_LIMIT")
    monkeypatch.setattr(weights, "memory", lambda: 1_000)
    assert "of memory" in refused("timm:hf-hub:me/net-tiny")
    assert "GET model.safetensors" not in known.asked


def test_a_corrupt_file_is_refused(host, repositories):
    repositories["me/net-tiny"].files["model.safetensors"] = b"corrupt" * 1000
    assert "damaged" in refused("timm:hf-hub:me/net-tiny")


def test_code_in_a_pickle_of_the_hub_is_not_run(host, repositories, tmp_path):
    class Payload:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    files = repositories["me/net-tiny"].files
    del files["model.safetensors"]
    buffer = io.BytesIO()
    pickle.dump({"conv1.weight": Payload()}, buffer)
    files["pytorch_model.bin"] = buffer.getvalue()
    assert "cannot be built" in refused("timm:hf-hub:me/net-tiny")
    assert not (tmp_path / "run").exists()
