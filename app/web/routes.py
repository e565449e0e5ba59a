"""Routes: all that the server answers, and what each costs; everything else is not here.

The paths are those of Gradio's own routes, so that a test can compare them with the running app.
Only what the window, the clients, the page "Use via API" and MCP need is in the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.types import Scope

from .replies import Refusal

ASK, LOOK = "ask", "look"  # of FEATVIS_REQUESTS, and of the many more of FEATVIS_LOOKS
PAGE = 10  # looks that a page counts as, since it is written for each request
WORD = r"[A-Za-z0-9_-]{1,64}"
FILE = r"[\w@~+-][\w.@~+-]*"
PARTS = {
    "path": rf"(?:{FILE}/){{0,4}}{FILE}",
    "api_name": r"[A-Za-z0-9_]{1,64}",
    "event_id": r"[0-9a-f]{32}",
    "session_hash": WORD,
    "key": r"[0-9a-f]{16}|(?:-|[0-9a-f]{16})/[0-9a-f]{64}/[\w-][\w.-]{0,99}",
}
LONGEST_PATH, LONGEST_QUERY = 1000, 8000  # bytes


class Route(NamedTuple):
    """A route: its methods, its path, what a request of it costs, and how its body is read."""

    methods: str
    path: str
    cost: str = LOOK
    body: str = ""  # a key of envelope.FIELDS, or "mcp"
    own: str = ""  # it is answered by a function of this server, never by Gradio
    takes: str = ""  # names of the query that are passed on; "*": all
    weight: int = 1  # of its cost


OPEN = (
    Route("GET HEAD", "/", takes="*", weight=PAGE),
    Route("GET", "/config", weight=PAGE),
    Route("GET", "/theme.css", takes="v"),
    Route("GET", "/favicon.ico"),
    Route("GET", "/manifest.json"),
    Route("GET", "/robots.txt"),
    Route("GET", "/static/{path}"),
    Route("GET", "/assets/{path}"),
    Route("GET HEAD", "/healthz", own="page"),
    Route("GET HEAD", "/status", own="page", weight=PAGE),
    Route("GET HEAD", "/preview.jpg", own="page"),
    Route("GET", "/gradio_api/info", takes="all_endpoints", weight=PAGE),
    Route("GET", "/gradio_api/app_id"),
    Route("GET", "/gradio_api/startup-events"),
    Route("GET", "/gradio_api/heartbeat/{session_hash}"),
    Route("GET", "/gradio_api/queue/data", takes="session_hash"),
    Route("GET", "/gradio_api/call/{api_name}/{event_id}"),
    Route("GET", "/gradio_api/call/v2/{api_name}/{event_id}"),
    Route("GET HEAD", "/gradio_api/file={key}", own="file"),
    Route("GET", "/gradio_api/upload_progress", own="progress", takes="upload_id"),
    Route("POST", "/gradio_api/upload", ASK, own="upload", takes="upload_id"),
    Route("POST", "/gradio_api/queue/join", ASK, "event", takes="*"),
    Route("POST", "/gradio_api/run/{api_name}", ASK, "run", takes="*"),
    Route("POST", "/gradio_api/call/{api_name}", ASK, "call"),
    Route("POST", "/gradio_api/call/v2/{api_name}", ASK, "named"),
    Route("POST", "/gradio_api/component_server", ASK, "function"),
    Route("POST", "/gradio_api/component_server/", ASK, "function"),
    Route("POST", "/gradio_api/cancel", LOOK, "cancel"),
    Route("POST", "/gradio_api/reset", LOOK, "reset"),
    Route("GET", "/gradio_api/mcp", LOOK, takes="tools"),
    Route("GET", "/gradio_api/mcp/", LOOK, takes="tools"),
    Route("GET", "/gradio_api/mcp/schema", LOOK, takes="tools"),
    Route("POST", "/gradio_api/mcp", ASK, "mcp", takes="tools"),
    Route("POST", "/gradio_api/mcp/", ASK, "mcp", takes="tools"),
)


def _pattern(path: str) -> re.Pattern[str]:
    literal = re.split(r"(\{\w+\})", path)
    pattern = "".join(
        f"(?P<{part[1:-1]}>{PARTS[part[1:-1]]})" if part.startswith("{") else re.escape(part)
        for part in literal
    )
    return re.compile(pattern, re.ASCII)


PATTERNS = tuple((_pattern(route.path), route) for route in OPEN)


def inner_path(scope: Scope) -> str:
    """The path as Gradio's router sees it: decoded, without the root."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "")
    if not root or not path.startswith(root):
        return path
    rest = path[len(root) :]
    return rest or "/" if rest[:1] in ("", "/") else path


def known(scope: Scope) -> tuple[Route, dict[str, str]]:
    """The route of a request, and the values in its path."""
    raw, query = scope.get("raw_path") or b"", scope.get("query_string", b"")
    if max(len(raw), len(scope["path"])) > LONGEST_PATH or len(query) > LONGEST_QUERY:
        raise Refusal("the address is too long: a link has at most 8,000 characters", 414)
    names = {name for name, _ in _query(scope)}
    for route, values in _fitting(inner_path(scope)):
        if scope["method"] in route.methods.split() and "deep_link" not in names:
            return route, values
        if _preflight(scope):
            return route, values
    raise Refusal("there is nothing at this address; the window is at the root of this server", 404)


def passed_on(route: Route, scope: Scope) -> bytes:
    """The query without the names that the route does not take."""
    query: bytes = scope.get("query_string", b"")
    if route.takes == "*":
        return query
    if route.path == "/gradio_api/info":  # Gradio keeps the answer without a page, with the
        every = any(name == "all_endpoints" for name, _ in _query(scope))  # first caller's host
        return b"page=&all_endpoints=True" if every else b"page="
    taken = route.takes.split()
    parts = (
        part for part in query.split(b"&") if part.partition(b"=")[0].decode("latin-1") in taken
    )
    return b"&".join(parts)


def _fitting(path: str) -> Iterator[tuple[Route, dict[str, str]]]:
    for pattern, route in PATTERNS:
        if fits := pattern.fullmatch(path):
            yield route, fits.groupdict()


def _query(scope: Scope) -> list[tuple[str, str]]:
    query = scope.get("query_string", b"").decode("latin-1")
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=200)
    except ValueError:
        raise Refusal("the address has more than 200 values", 414) from None


def _preflight(scope: Scope) -> bool:
    """Does a browser ask whether another page may use the route? Gradio answers that."""
    wanted = dict(scope["headers"]).get(b"access-control-request-method", b"").decode("latin-1")
    return scope["method"] == "OPTIONS" and wanted in ("GET", "HEAD", "POST")
