"""Names of pictures from outside: none of them opens a file, nor tells whether there is one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import PIL.Image
import pytest

from app.machine import disk, disk_store
from app.question import pictures, text
from app.question.state import State, from_query
from app.window import changes
from featvis import Embedding, WrongRequest

OPENED: list[str] = []
WATCHES = {"on": False}


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if WATCHES["on"] and event in ("open", "os.listdir", "socket.connect", "socket.getaddrinfo"):
        OPENED.append(str(arguments[0]))


sys.addaudithook(_note)  # for as long as this process lives


@contextmanager
def watched() -> Iterator[list[str]]:
    OPENED.clear()
    WATCHES["on"] = True
    try:
        yield OPENED
    finally:
        WATCHES["on"] = False


@pytest.fixture(autouse=True)
def photo(tmp_path, monkeypatch) -> str:
    """A picture on the disk that nobody sent, in a folder beside the uploads."""
    uploads = disk_store.Store(tmp_path / "uploads", 0, 0)
    monkeypatch.setattr(disk, "uploads", lambda: uploads)
    monkeypatch.chdir(tmp_path)
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def names(photo: str) -> list[str]:
    there = [
        photo, "photo.png", "./photo.png", "uploads/../photo.png", f"file://{photo}", f"{photo}\0",
        "/proc/self/environ", "/proc/self/fd/0", "/dev/zero", "/etc/passwd", "~/x.png",
        "http://127.0.0.1:1/x.png", "https://169.254.169.254/", "//127.0.0.1/share/x.png",
        "data:image/png;base64,AAAA", "scene-1/../../photo.png", "scene-12345678", "0" * 16,
        "A" * 16,
    ]  # fmt: skip
    return [*there, *(name.replace("photo", "nothing") for name in there)]


EMBEDDING = SimpleNamespace(output=Embedding(4))  # of a network whose target is a picture


DOORS = {
    "a picture": pictures.get,
    "an upload": lambda name: changes.set_upload(State(), name),
    "a target": lambda name: text.target_named(EMBEDDING, name),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_name_opens_nothing_and_all_are_refused_alike(door, photo):
    sentences = set()
    for name in names(photo):
        with watched() as opened, pytest.raises(WrongRequest) as refused:
            DOORS[door](name)
        assert not opened, name
        sentences.add(str(refused.value))
    assert sentences == {"the picture of this link is no longer here; choose another one"}


def test_a_link_names_no_file(photo):
    for name in names(photo):
        state = from_query(f"img={name}")
        if state.image != State().image:
            with pytest.raises(WrongRequest, match="no longer here"):
                pictures.get(state.image)


@pytest.mark.parametrize("value", [Path("photo.png"), "photo.png", None, 3, ["photo.png"], {}])
def test_only_bytes_and_pictures_are_kept(value):
    with watched() as opened, pytest.raises((AttributeError, TypeError)):
        pictures.keep(value)
    assert not opened
