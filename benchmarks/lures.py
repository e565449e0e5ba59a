"""Lures: files that nobody may read and addresses that nobody may fetch, in every form of a value.

Each file comes with a name that does not exist: the answers to the two must be the same.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import PIL.Image

__all__ = [
    "SHAPES",
    "Listener",
    "Lure",
    "addresses",
    "listen",
    "lures",
    "neutral",
    "plant",
    "shows_secret",
]

COLOUR = (201, 33, 144)  # of the secret picture: no drawn scene and no page is mostly that
FILE = re.compile(r"/?gradio_api/file=[^\s\"'<>()\\&#;]+")
CUT = 12  # letters of a name that are enough to know it by
TOLERANCE = 24  # of a colour that was compressed


class Lure(NamedTuple):
    """A value that leads to a secret, and its twin that leads nowhere ("": it has none).

    Both are equally long: a sentence that quotes them cuts them at the same place.
    """

    name: str
    value: str
    twin: str = ""


class Listener(NamedTuple):
    """The address of a server on loopback, and the requests that it has heard."""

    port: int
    requests: list[str]


def plant(folder: Path) -> None:
    """Write the secrets: a picture, a text, a link to the picture, and a pipe nobody writes to."""
    folder.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (64, 64), COLOUR).save(folder / "secret.png")
    (folder / "secret.txt").write_text("a secret of the server's owner\n")
    with suppress(FileExistsError):
        (folder / "secret.lnk").symlink_to(folder / "secret.png")
        os.mkfifo(folder / "secret.fifo")


def lures(folder: Path, root: Path) -> list[Lure]:
    """The planted files and those of the system, absolute, relative, and as addresses."""
    picture, absent = folder / "secret.png", folder / "secret.gif"
    relative = [os.path.relpath(path, root) for path in (picture, absent)]
    return [
        Lure("absolute", str(picture), str(absent)),
        Lure("relative", *relative),
        Lure("file:", f"file://{picture}", f"file://{absent}"),
        Lure("text", str(folder / "secret.txt"), str(folder / "secret.doc")),
        Lure("symbolic link", str(folder / "secret.lnk"), str(folder / "secret.lnx")),
        Lure("FIFO", str(folder / "secret.fifo"), str(folder / "secret.fife")),
        Lure("folder", str(folder), f"{str(folder)[:-1]}-"),
        Lure("/proc", "/proc/self/environ", "/proc/self/enviros"),
        Lure("/dev", "/dev/zero", "/dev/zera"),
        Lure("/etc", "/etc/passwd", "/etc/passwx"),
    ]


def addresses(port: int) -> list[Lure]:
    """Addresses of loopback, of private networks and of clouds, and ways round to them."""
    here = f"127.0.0.1:{port}"
    return [
        Lure(address, address)
        for address in (
            f"http://{here}/picture.png", f"http://{here}/redirect", f"https://{here}/picture.png",
            f"http://localhost:{port}/a.png", f"http://[::1]:{port}/a.png", f"//{here}/a.png",
            f"http://0x7f000001:{port}/a.png", f"ftp://{here}/a.png",
            "http://169.254.169.254/latest/meta-data", "http://100.64.0.1/a.png",
            "http://10.0.0.1/a.png", "https://pictures.invalid/a.png", "hf://datasets/a/b.png",
        )
    ]  # fmt: skip


def _object(value: str, **more: Any) -> dict[str, Any]:
    return {"path": value, **more}


META = {"_type": "gradio.FileData"}
# A name -> the form that a value has in a request.
SHAPES: dict[str, Any] = {
    "plain": lambda value: value,
    "list": lambda value: [value],
    "lists": lambda value: [[value], value],
    "path": _object,
    "path, meta": lambda value: _object(value, meta={}),
    "file": lambda value: _object(value, meta=META),
    "file, url": lambda value: _object(value, url=value, orig_name=value, meta=META),
    "url": lambda value: {"url": value, "path": None, "meta": META},
    "stream": lambda value: _object(value, url=value, is_stream=True, meta=META),
    "files": lambda value: [_object(value, meta=META), _object(value, meta={})],
    "inside": lambda value: {"value": {"image": _object(value, meta=META), "composite": value}},
    "click": lambda value: {"pick": value, "x": value, "y": value},
    "click, file": lambda value: {"pick": _object(value, meta=META)},
    "query": lambda value: f"?tab=Feature+maps&m={quote(value)}&img={quote(value)}&cls={value}",
    "saving": lambda value: {"query": f"?img={quote(value)}&m={quote(value)}", "kind": value,
                             "lang": value},
    "JSON": lambda value: json.dumps({"steps": value, "path": value}),
}  # fmt: skip


@contextmanager
def listen() -> Iterator[Listener]:
    """A server of pictures and redirects on loopback that remembers who came."""
    requests: list[str] = []
    data = io.BytesIO()
    PIL.Image.new("RGB", (64, 64), COLOUR).save(data, "PNG")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            leads_on = self.path == "/redirect"
            self.send_response(302 if leads_on else 200)
            self.send_header("content-type", "image/png")
            if leads_on:
                self.send_header("location", "/picture.png")
            self.end_headers()
            self.wfile.write(b"" if leads_on else data.getvalue())

        do_HEAD = do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Listener(server.server_port, requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def neutral(text: str, *names: str) -> str:
    """A text without the names that were asked for, whole or cut, to compare it with a twin's."""
    for name in sorted(filter(None, names), key=len, reverse=True):
        for form in (name, json.dumps(name)[1:-1], quote(name)):
            text = text.replace(form, "NAME")
    common = os.path.commonprefix(names)  # noqa: RUF071 (letters, not parts of a path)
    if len(common) > CUT:
        text = re.sub(re.escape(common[:CUT]) + r"[\w./:-]*", "NAME", text)
    return re.sub(r"\d+(?:\.\d+)? m?s\b", "TIME", text)


def shows_secret(url: str, answer: Any) -> bool:
    """Does an answer hold the address of a picture that is mostly of the secret's colour?"""
    for address in sorted(set(FILE.findall(str(answer)))):
        response = httpx.get(f"{url}/{address.lstrip('/')}", timeout=20)
        with suppress(Exception):  # of what is not a picture
            picture = PIL.Image.open(io.BytesIO(response.content)).convert("RGB").resize((16, 16))
            pixels = picture.tobytes()
            near = sum(
                all(abs(a - b) < TOLERANCE for a, b in zip(pixels[i : i + 3], COLOUR, strict=True))
                for i in range(0, len(pixels), 3)
            )
            if near > len(pixels) // 3 // 2:
                return True
    return False
