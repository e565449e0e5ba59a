"""The Space's folder: what it says of itself, what it installs, and that it needs nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import torch
from huggingface_hub import metadata_load
from packaging.requirements import Requirement

import featvis
from app.answers.ask import ask_of
from app.answers.prediction import image_of
from app.answers.run import run
from app.machine import engine
from app.machine.cache import RESULTS, model_of
from app.question.state import State

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
# Runs a file of the Space without the finder by which an editable install finds this checkout.
ALONE = """
import runpy, sys
sys.meta_path = [finder for finder in sys.meta_path if "Editable" not in repr(finder)]
sys.path_hooks = [hook for hook in sys.path_hooks if "Editable" not in repr(hook)]
"""


@pytest.fixture(scope="module")
def space():
    """spaces/build.py as a module; the folder has no __init__.py, as a package has its name."""
    spec = importlib.util.spec_from_file_location("space_build", ROOT / "spaces" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(space, tmp_path_factory):
    made = tmp_path_factory.mktemp("space") / "out"
    space.build(made)
    return made


def apart(folder: Path, **variables: str) -> dict[str, object]:
    """How a process is started that sees the folder alone."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {"cwd": folder, "env": {**clean, **variables}}


@pytest.mark.parametrize("hardware", ["cpu", "zerogpu"])
def test_the_header_is_one_that_the_hub_takes(space, hardware, tmp_path):
    (tmp_path / "README.md").write_text(space.readme(hardware), "utf8")
    told = metadata_load(tmp_path / "README.md")
    pinned = dict(re.findall(r"^(gradio)==(\S+)$", (ROOT / "requirements.txt").read_text(), re.M))
    assert (told["sdk"], told["sdk_version"]) == ("gradio", pinned["gradio"])
    assert told["app_file"] == "app.py"
    assert told["python_version"] == "3.12"
    assert 0 < len(told["short_description"]) <= 60
    colors = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {told["colorFrom"], told["colorTo"]} <= colors
    assert told["license"] == "apache-2.0"
    assert len(told["tags"]) > 2


def test_it_installs_what_the_platform_does_not(space):
    cpu, gpu = space.requirements("cpu"), space.requirements("zerogpu")
    assert cpu[0].endswith("/whl/cpu")
    pins = {Requirement(line).name: Requirement(line).specifier for line in cpu[1:]}
    ranges = {Requirement(line).name: Requirement(line).specifier for line in gpu}
    assert set(pins) == set(ranges) >= {"torch", "timm", "safetensors"}
    assert not set(pins) & {"gradio", "spaces", "huggingface_hub", "huggingface-hub"}
    assert all(str(specifier).startswith("==") for specifier in pins.values())
    assert all(ranges["torch"].contains(v) for v in ("2.8.0", "2.11.0"))
    assert not ranges["torch"].contains("2.14.1")


def test_the_folder_is_whole_and_holds_no_more(folder, space):
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"README.md", "app.py", "requirements.txt", "LICENSE", "featvis",
                    "featvis_app", "zoo_adapters"}  # fmt: skip
    assert "zoo_adapters/bundled/weights/scenes-resnet/model.safetensors" in names
    assert "zoo_adapters/bundled/indexes/scenes-resnet/manifest.json" in names
    assert "featvis_app/assets/style.css" in names
    assert not [name for name in names if "__pycache__" in name]
    (folder.parent / "other").mkdir()
    (folder.parent / "other" / "mine.txt").touch()
    with pytest.raises(SystemExit, match="something else"):
        space.build(folder.parent / "other")


def test_it_starts_with_nothing_else_on_its_path(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    code = f"{ALONE}runpy.run_path('app.py', run_name='__main__')"
    how = apart(folder, GRADIO_SERVER_PORT=port, GRADIO_SERVER_NAME="127.0.0.1", FEATVIS_PUBLIC="1")
    with subprocess.Popen([sys.executable, "-c", code], **how) as server:
        try:
            told, until = {}, time.monotonic() + 120
            while not told and time.monotonic() < until and server.poll() is None:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
                        told = json.load(answer)
                except OSError:
                    time.sleep(0.2)
            assert told["ok"] is True
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
                assert b"featvis" in page.read()
        finally:
            server.terminate()
            server.wait(30)


def test_the_entry_of_the_gpu_takes_names_and_arrays(space, tmp_path):
    space.build(tmp_path / "out", "zerogpu")
    code = f"""{ALONE}
import pickle
entry = runpy.run_path("app.py")["compute"]
call = pickle.loads(sys.stdin.buffer.read())
sys.stdout.buffer.write(pickle.dumps([result.values.numpy() for result in entry(*call)]))
"""
    import pickle

    image = image_of(State()).values
    call = (State().model, "saliency", {"image": image, "target": 3})
    made = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(call), check=True,
                          stdout=subprocess.PIPE, **apart(tmp_path / "out"))  # fmt: skip
    (found,) = pickle.loads(made.stdout)
    here = featvis.saliency(model_of(State().model), image, 3).values
    torch.testing.assert_close(torch.from_numpy(found), here)


@pytest.mark.parametrize("name", ["saliency", "deepdream"])
def test_what_an_entry_computes_is_what_is_computed_here(monkeypatch, name):
    calls = []

    def entry(*call):
        calls.append(call)
        return engine.compute(*call)

    state = State(methods=(name,), seed=3).having(steps=2)
    here = run(ask_of(name, state))
    RESULTS.drop(here.ask.key)
    monkeypatch.setattr(engine, "_entry", [entry])
    monkeypatch.setattr(engine, "LONG", -1.0)
    there = run(ask_of(name, state))
    assert [call[:2] for call in calls] == [(state.model, name)]
    assert there.result is not here.result
    torch.testing.assert_close(there.result.values, here.result.values)


def test_upload_makes_the_space_what_the_folder_is(space, folder, monkeypatch):
    calls = []

    class Hub:
        def create_repo(self, name, **how):
            calls.append(("create", name, how))

        def upload_folder(self, **how):
            calls.append(("upload", how["repo_id"], how))

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    assert space.upload(folder, "someone/featvis").endswith("spaces/someone/featvis")
    (_, made, how), (_, name, sent) = calls
    assert made == name == "someone/featvis"
    assert (how["space_sdk"], how["exist_ok"]) == ("gradio", True)
    assert (sent["folder_path"], sent["delete_patterns"]) == (folder, "*")
