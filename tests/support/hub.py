"""A hub of this machine alone: what huggingface.co answers, in the parts that its client asks for.

`served(repositories)` yields its address. A repository misbehaves as its fields say.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "d" * 40
TOKEN = "a-token-of-mine"
BROKEN = "ignore::pytest.PytestUnraisableExceptionWarning"  # of connections that break


@dataclass
class Repository:
    """Files by name, and how it is served."""

    files: dict[str, bytes]
    tags: tuple[str, ...] = ("timm", "image-classification", "license:apache-2.0")
    downloads: int = 1
    gated: bool = False  # it answers to TOKEN alone
    busy: bool = False  # 429
    breaks: int = 0  # bytes after which the connection breaks, once for each file
    lost: bool = False  # after a connection broke, none is answered: the hub is down
    slow: float = 0.0  # seconds before each of the ten parts of a file
    declared: int | None = None  # a size that is told, whatever the file has
    broken: list[str] = field(default_factory=list)  # files whose connection broke
    asked: list[str] = field(default_factory=list)  # "GET config.json bytes=3-"


@contextmanager
def served(repositories: dict[str, Repository]):
    """The address of the hub."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.answer()

        def do_HEAD(self):
            self.answer()

        def answer(self):
            address = urlsplit(self.path)
            path = unquote(address.path)
            if path.rstrip("/") == "/api/models":
                return self.say(200, listed(repositories, parse_qs(address.query)))
            parts = path.removeprefix("/api/models/").strip("/").split("/")
            name, rest = "/".join(parts[:2]), parts[2:]
            known = repositories.get(name)
            if not known:
                return self.say(401 if rest else 200, {}, "RepoNotFound" if rest else "")
            if known.lost and any("model.safetensors" in line for line in known.broken):
                self.close_connection = True
                return None
            known.asked.append(f"{self.command} {rest[-1] if rest else ''}".strip())
            if known.busy:
                return self.say(429, {})
            if known.gated and TOKEN not in self.headers.get("Authorization", ""):
                return self.say(401, {}, "GatedRepo")
            if path.startswith("/api/models/"):
                if rest and rest[-1] not in ("main", COMMIT):
                    return self.say(404, {}, "RevisionNotFound")
                return self.say(200, told(name, known))
            if rest[1] not in ("main", COMMIT):
                return self.say(404, {}, "RevisionNotFound")
            if rest[-1] not in known.files:
                return self.say(404, {}, "EntryNotFound")
            return self.file(known, rest[-1])

        def say(self, code, body, error=""):
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if error:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def file(self, known, name):
            data = known.files[name]
            asked = self.headers.get("Range", "")
            if asked and self.command == "GET":
                known.asked[-1] += f" {asked}"
            begin = int(asked.removeprefix("bytes=").partition("-")[0] or 0) if asked else 0
            size = len(data) if known.declared is None else known.declared
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(size - begin))
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
            self.end_headers()
            if self.command == "HEAD":
                return
            if known.breaks and not begin and len(data) > known.breaks:
                self.wfile.write(data[: known.breaks])
                known.broken.append(name)
                self.close_connection = True
                return
            part = max(1, len(data) // 10)
            for start in range(begin, len(data), part):
                time.sleep(known.slow)
                self.wfile.write(data[start : start + part])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def told(name: str, known: Repository) -> dict:
    """What /api/models/NAME answers."""
    siblings = [{"rfilename": f, "size": len(d)} for f, d in known.files.items()]
    return {
        "id": name, "modelId": name, "sha": COMMIT, "tags": list(known.tags),
        "downloads": known.downloads, "gated": "auto" if known.gated else False,
        "private": False, "siblings": siblings,
    }  # fmt: skip


def listed(repositories: dict[str, Repository], query: dict[str, list[str]]) -> list[dict]:
    """What /api/models?filter=...&search=... answers."""
    words = query.get("search", [""])[0].lower().split()
    return [
        told(name, known)
        for name, known in sorted(repositories.items(), key=lambda item: -item[1].downloads)
        if set(query.get("filter", [])) <= set(known.tags) and all(w in name.lower() for w in words)
    ]


def lead_to(monkeypatch, host: str) -> None:
    """Let huggingface_hub of this process take another address for the hub."""
    from huggingface_hub import constants, file_download

    template = host + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", host)
    for module in (constants, file_download):
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
