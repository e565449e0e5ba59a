"""The pages of the health: /healthz for machines, /status for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from featvis import METHODS

from ..machine.limits import rows
from ..machine.pulse import PULSE
from ..words.texts import sentence
from . import health

PAGE = (Path(__file__).parent.parent / "assets" / "status.html").read_text(encoding="utf-8")
WORDS = {
    "ok": "Everything works",
    "slow": "Everything works, but answers take long at the moment",
    "degraded": "It works, but not all is well",
    "down": "No method works, or nobody is answered",
}


async def healthz(request: Request) -> Response:
    """The report as JSON."""
    report = health.report(await PULSE.take())
    return _answer(report, json.dumps(report, indent=1), "application/json")


async def status(request: Request) -> Response:
    """The report as a page."""
    report = health.report(await PULSE.take())
    return _answer(report, page(report), "text/html")


ROUTES = (Route("/healthz", healthz), Route("/status", status))


def _answer(report: Mapping[str, Any], text: str, kind: str) -> Response:
    code = 200 if report["ok"] else 503
    return Response(text, code, headers={"Cache-Control": "no-store"}, media_type=kind)


def page(report: Mapping[str, Any]) -> str:
    """The status for people."""
    tested = "".join(
        f'<tr class="{"good" if check["ok"] else "bad"}"><td>{escape(METHODS[name].title)}</td>'
        f"<td>{escape(sentence(check['reason'])) or 'works'}</td>"
        f"<td>{check['seconds']:.2f} s</td></tr>"
        for name, check in report["methods"].items()
        if name in METHODS
    )
    waiting = len(report["waiting"])
    memory, jobs, files = report["memory_mb"], report["jobs"], report["open_files"]
    seconds = report["answer"]["seconds"]
    facts = {
        "Version": report["version"],
        "A light answer": report["answer"]["reason"] if seconds is None else f"{seconds:.2f} s",
        "Problems": "; ".join(map(sentence, report["problems"])) or "none",
        "Jobs": f"{jobs['running']} running, {jobs['waiting']} waiting",
        "Threads": str(report["threads"]),
        "Open files": f"{files['used'] or '?'} of {files['limit'] or '?'}",
        "Methods tested": f"{report['tested']}" + (f", {waiting} to go" if waiting else ""),
        "Networks kept": ", ".join(f"{n} ({size})" for n, size in report["models"].items())
        or "none",
        "Hugging Face hub": report["hub"],
    }
    if memory:
        facts["Memory"] = f"{memory['used'] or '?'} MB used, {memory['free'] or '?'} MB free"
    listed = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    limits = "".join(
        f"<tr><td>{escape(what)}</td><td>{escape(here)}</td></tr>" for what, here in _limits()
    )
    return (
        PAGE.replace("STATUS", WORDS[report["status"]])
        .replace("CLASS", "good" if report["status"] == "ok" else "bad")
        .replace("FACTS", listed)
        .replace("METHODS", tested)
        .replace("LIMITS", limits)
    )


def _limits() -> list[tuple[str, str]]:
    return [(sentence(what).rstrip("."), here) for _, what, _, _, here in rows()]
