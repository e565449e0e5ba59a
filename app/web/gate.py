"""The gate: what comes from outside goes through here first, and only known requests go further.

It stands before all else, Gradio's own middleware included. It knows every route, counts what an
address asks, reads bodies within bounds, and answers uploads and files itself.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from starlette.types import Receive, Scope, Send

from ..machine.callers import session_of
from ..machine.disk_store import OWNER
from ..machine.limits import limits
from ..words import translate
from . import bodies, envelope, http_headers, routes
from .downloads import send_file
from .replies import Refusal, answer, refuse, stream
from .sessions import Sessions
from .uploads import Uploads
from .visitors import Buckets, UnderWay, address

STREAM = "/gradio_api/queue/data"
GONE = {
    "msg": "unexpected_error",
    "message": "404: Not Found",
    "session_not_found": True,
    "success": False,
}
TOOLS_AT_ONCE = 8  # calls of tools that one address may have under way: each holds a thread
BY = b"x-featvis-by"  # the address on whose behalf this server's own MCP client asks
KIND = "the body of the request is JSON, and its content type is application/json"


class Request(NamedTuple):
    """A request of a known route: the values in its path, and the address that asks."""

    route: routes.Route
    values: dict[str, str]
    scope: Scope
    receive: Receive
    send: Send
    who: str


class Gate:
    """The outermost middleware of the app of `blocks`."""

    def __init__(self, app: Callable[..., Any], blocks: Any) -> None:
        self.app, self.blocks = app, blocks
        self.sessions, self.uploads = Sessions(blocks), Uploads()
        self.asks, self.looks = Buckets(), Buckets()
        self.requests, self.tools = UnderWay(), UnderWay()
        self.token = secrets.token_hex(16)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; of the lifetime of the server, only its words."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        has_begun = False

        async def answered(message: Any) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                secured = http_headers.secured([*message.get("headers", ())])
                message = {**message, "headers": secured}
            await send(message)

        try:
            await self._one(scope, receive, answered)
        except Refusal as refusal:
            if not has_begun:
                plain = routes.inner_path(scope) == "/gradio_api/upload"
                await refuse(answered, refusal, _said(scope, str(refusal)), plain)
        return None

    async def _one(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request that is known is counted, and then answered or passed on."""
        route, values = routes.known(scope)
        who, inside = self._asker(scope)
        passed = http_headers.checked(scope)
        scope = {**scope, "client": (who, 0), "headers": passed}
        scope["query_string"] = routes.passed_on(route, scope)
        if not inside:
            self._count(route, who)
        OWNER.set(who)
        with self.requests.one(who, limits().under_way):
            await self._answer(Request(route, values, scope, receive, send, who))

    async def _answer(self, request: Request) -> None:
        route, method = request.route, request.scope["method"]
        if method == "OPTIONS":  # of a browser, before another page's script may ask
            await self.app(request.scope, _without_body(request), request.send)
        elif route.own in ("file", "progress", "upload"):
            await self._own(request)
        elif route.body == "mcp":
            with self.tools.one(request.who, TOOLS_AT_ONCE):
                await self._tool(request)
        elif route.body:
            await self._asked(request)
        elif "event_id" in request.values:
            await self._heard(request)
        elif route.path == STREAM and not self.sessions.is_waiting(session_of(request.scope)):
            event = await stream(
                request.send
            )  # as Gradio says it, but with no traceback in the log
            await event(GONE, last=True)
        elif route.path.startswith("/gradio_api/mcp") and _is_stream(request.scope):
            raise Refusal("tools are asked by POST; this server begins no stream by itself", 405)
        else:
            await self.app(request.scope, _without_body(request), request.send)

    def _asker(self, scope: Scope) -> tuple[str, bool]:
        """The address, and whether this server asks itself on behalf of it."""
        header = dict(scope["headers"]).get(BY, b"").decode("latin-1")
        token, _, who = header.partition(" ")
        if who and secrets.compare_digest(token.encode(), self.token.encode()):
            return who, True
        return address(scope), False

    def _count(self, route: routes.Route, who: str) -> None:
        is_ask = route.cost == routes.ASK
        a_minute = limits().requests if is_ask else limits().looks
        if not a_minute:
            return
        buckets = self.asks if is_ask else self.looks
        wait = buckets.wait(who, time.monotonic(), a_minute, route.weight)
        if wait:
            seconds = max(1, round(wait))
            raise Refusal(f"at most {a_minute} requests a minute: wait {seconds} s", 429, wait)

    async def _own(self, request: Request) -> None:
        """Uploads, their progress, and files: Gradio knows nothing of them."""
        route, values, scope, receive, send, who = request
        if route.own == "file":
            await send_file(send, values["key"], scope["method"] == "HEAD")
        elif route.own == "progress":
            await self.uploads.tell(scope, send)
        else:
            await self.uploads.receive(scope, receive, send, who)

    async def _asked(self, request: Request) -> None:
        """A request with a body goes on as it was understood, and not as it came."""
        route, values, scope, receive, send, who = request
        body = await self._with_names(await self._body(request), who)
        body = envelope.checked(route.body, body, values, self.blocks)
        session = body.get("session_hash")
        if session is not None and route.body != "cancel":
            self.sessions.use(session, who)
            self.sessions.check_events(session)
        if route.body == "named":  # its values are in order now, as the other route takes them
            scope["path"] = scope["path"].replace("/call/v2/", "/call/")
            scope["raw_path"] = scope["path"].encode()
        await self.app(*_rewritten(scope, receive, body), send)

    async def _tool(self, request: Request) -> None:
        """A request of MCP; what is wrong with a picture in it is said as MCP says it."""
        scope, who = request.scope, request.who
        body = await self._body(request)
        try:
            body = await self._with_names(body, who)
        except Refusal as refusal:
            error = {"code": -32602, "message": _said(scope, str(refusal))}
            reply = {"jsonrpc": "2.0", "id": body.get("id"), "error": error}
            return await answer(request.send, 200, "application/json", json.dumps(reply).encode())
        scope["headers"] = [*scope["headers"], (BY, f"{self.token} {who}".encode("latin-1"))]
        return await self.app(*_rewritten(scope, request.receive, body), request.send)

    async def _body(self, request: Request) -> dict[str, Any]:
        kind = dict(request.scope["headers"]).get(b"content-type", b"")
        if kind.partition(b";")[0].strip().lower() != b"application/json":
            raise Refusal(KIND, 415)
        return bodies.parsed(await bodies.read(request.receive, request.who, bodies.largest()))

    async def _with_names(self, body: dict[str, Any], who: str) -> dict[str, Any]:
        return await bodies.with_names(body, lambda data: self.uploads.keep(data, who))

    async def _heard(self, request: Request) -> None:
        """The answer of a call; after it, nothing of the call is kept."""
        session = self.sessions.of_event(request.values["event_id"])
        try:
            await self.app(request.scope, _without_body(request), request.send)
        finally:
            if session.startswith("call-"):
                self.sessions.drop(session)


@asynccontextmanager
async def stand(app: Any) -> AsyncIterator[None]:
    """While Gradio's app lives, the gate is before it and before all of its middleware."""
    app.middleware_stack = Gate(app.middleware_stack, app.get_blocks())
    yield


def _said(scope: Scope, sentence: str) -> str:
    accepted = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1")
    return translate.said(sentence, translate.chosen(None, accepted))


def _is_stream(scope: Scope) -> bool:
    return b"text/event-stream" in dict(scope["headers"]).get(b"accept", b"")


def _without_body(request: Request) -> Receive:
    """The receiver of a request that only looks, with no body."""
    if not {b"content-length", b"transfer-encoding"} & dict(request.scope["headers"]).keys():
        return request.receive

    async def received() -> Any:
        message = await request.receive()
        if message["type"] == "http.request":
            message = {"type": "http.request", "body": b"", "more_body": False}
        return message

    return received


def _rewritten(scope: Scope, receive: Receive, body: dict[str, Any]) -> tuple[Scope, Receive]:
    """The request with that body; after it, only that the visitor is gone is heard."""
    data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    length = [(b"content-length", b"%d" % len(data)), (b"content-type", b"application/json")]
    others = [pair for pair in scope["headers"] if pair[0] not in dict(length)]
    first = [{"type": "http.request", "body": data, "more_body": False}]

    async def received() -> Any:
        return first.pop() if first else await receive()

    return {**scope, "headers": [*others, *length]}, received
