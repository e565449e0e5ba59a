"""Headers: those of a request that are passed on, and those that every answer has."""

from __future__ import annotations

import os

from starlette.types import Scope

from .replies import Refusal

HANDED_ON = (
    b"accept", b"accept-encoding", b"accept-language", b"access-control-request-headers",
    b"access-control-request-method", b"content-length", b"content-type", b"host",
    b"if-modified-since", b"if-none-match", b"last-event-id", b"mcp-protocol-version",
    b"mcp-session-id", b"origin", b"referer", b"user-agent", b"x-gradio-user",
)  # fmt: skip
OF_PROXIES = (b"x-forwarded-host", b"x-forwarded-proto")  # believed where a proxy is
MOST, LONGEST = 100, 8000  # headers, and bytes of each
LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "0.0.0.0")

# Gradio's page has inline scripts and styles, and builds the scripts of HTML components by eval.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob: data:",
        "font-src 'self' data:",
        "connect-src 'self' blob: data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors *",  # a Space stands in a frame of another host
    )
)
OF_FILES = b"default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors *"
EVERY = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"permissions-policy": b"camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    b"content-security-policy": POLICY.encode(),
}


def secured(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, with those that every answer has."""
    own = {name.lower() for name, _ in headers}
    return [*headers, *(pair for pair in EVERY.items() if pair[0] not in own)]


def checked(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The headers that are passed on; a request with too many of them is refused."""
    headers: list[tuple[bytes, bytes]] = [(n.lower(), v) for n, v in scope["headers"]]
    if len(headers) > MOST or any(len(n) + len(v) > LONGEST for n, v in headers):
        raise Refusal("the request has too many or too long headers", 431)
    behind = os.environ.get("SPACE_ID") or os.environ.get("FEATVIS_TRUST_PROXY")
    known = HANDED_ON + OF_PROXIES if behind else HANDED_ON
    passed = {name: value for name, value in headers if name in known}
    if scope["method"] == "POST" and _foreign(passed):
        raise Refusal("another page asked; open the window itself", 403)
    return [*passed.items()]


def _foreign(headers: dict[bytes, bytes]) -> bool:
    """Does a page of another host ask this machine's own server, in its visitor's browser?"""
    origin, host = headers.get(b"origin", b""), headers.get(b"host", b"")
    here = _host(host) in LOOPBACK
    return bool(origin) and here and _host(origin.partition(b"://")[2]) not in LOOPBACK


def _host(header: bytes) -> str:
    name = header.decode("latin-1").lower()
    return name.partition("]")[0] + "]" if name.startswith("[") else name.partition(":")[0]
