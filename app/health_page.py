"""The pages of the health: /healthz for machines, /status for people; Gradio knows neither."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from featvis import METHODS

from . import health
from .answers import Receive, Scope, Send
from .limits import rows
from .texts import sentence

__all__ = ["Health", "page"]

PAGE = (Path(__file__).parent / "assets" / "status.html").read_text(encoding="utf-8")
WORDS = {
    "ok": "Everything works",
    "degraded": "Some methods do not work, the others do",
    "down": "No method works",
}


class Health:
    """Answers the two pages, and notes that the first page of the window was asked for."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", "")).rstrip("/")
        if scope["type"] != "http" or path not in ("/healthz", "/status"):
            await self.app(scope, receive, send)
            if scope["type"] == "http" and path == "":
                health.FIRST_PAGE.set()
            return
        told = health.report()
        form = ("application/json", json.dumps(told, indent=1))
        kind, text = form if path == "/healthz" else ("text/html; charset=utf-8", page(told))
        body, code = text.encode(), 200 if told["ok"] else 503
        headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store"),
                   (b"content-length", b"%d" % len(body))]  # fmt: skip
        await send({"type": "http.response.start", "status": code, "headers": headers})
        shown = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": shown})


def page(told: Mapping[str, Any]) -> str:
    """The status for people."""
    tested = "".join(
        f'<tr class="{"good" if check["ok"] else "bad"}"><td>{escape(METHODS[name].title)}</td>'
        f"<td>{escape(sentence(check['reason'])) or 'works'}</td>"
        f"<td>{check['seconds']:.2f} s</td></tr>"
        for name, check in told["methods"].items()
        if name in METHODS
    )
    waiting = len(told["waiting"])
    memory = told["memory_mb"]
    facts = {
        "Version": told["version"],
        "Methods tested": f"{told['tested']}" + (f", {waiting} to go" if waiting else ""),
        "Networks kept": ", ".join(f"{n} ({size})" for n, size in told["models"].items()) or "none",
        "Memory": f"{memory['used'] or '?'} MB used, {memory['free'] or '?'} MB free",
        "Hugging Face hub": told["hub"],
    }
    listed = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    limits = "".join(
        f"<tr><td>{escape(what)}</td><td>{escape(here)}</td></tr>" for what, here in _limits()
    )
    return (
        PAGE.replace("STATUS", WORDS[told["status"]])
        .replace("CLASS", "good" if told["status"] == "ok" else "bad")
        .replace("FACTS", listed)
        .replace("METHODS", tested)
        .replace("LIMITS", limits)
    )


def _limits() -> list[tuple[str, str]]:
    return [(sentence(what).rstrip("."), here) for _, what, _, _, here in rows()]
