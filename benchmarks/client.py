"""Visitors of a server, who speak HTTP as the page does."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any, NamedTuple

import httpx
from gradio_client.utils import apply_diff
from httpx_sse import aconnect_sse

__all__ = ["Answer", "Visitor", "file_object"]

PATIENCE = 300.0  # seconds until a request counts as lost


class Answer(NamedTuple):
    """The end of a request: "answered", "refused" (with a sentence), or "lost"."""

    fate: str
    seconds: float
    value: Any = None  # the answer, or the sentence
    first: float = 0.0  # seconds until something was shown


class Visitor:
    """One browser: an address, a session, and the events of the window by their components.

    A proxy would say its address; `source` is the one that it connects from, on this machine.
    """

    def __init__(
        self,
        server: str,
        number: int,
        config: dict[str, Any] | None = None,
        patience: float = PATIENCE,
        source: str | None = None,
    ) -> None:
        self.address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self.http = httpx.AsyncClient(
            base_url=f"{server}/gradio_api",
            headers={"x-forwarded-for": self.address},
            timeout=patience,
            transport=httpx.AsyncHTTPTransport(
                limits=httpx.Limits(max_connections=None), local_address=source
            ),
        )
        self.server, self.patience = server, patience
        self.session = secrets.token_hex(6)
        self.config = config or {}

    async def use(self, element: str, event: str, *values: Any, **data: Any) -> Answer:
        """Use a component of the window, by its elem_id or label; `data` is of a click."""
        return await self.send(self.event(element, event), list(values), data)

    def event(self, element: str, event: str) -> int:
        """The number of an event, by its component's elem_id or label, or by its own name."""
        names = {
            part["id"]: {part["props"].get("elem_id"), part["props"].get("label")}
            for part in self.config["components"]
        }
        for dependency in self.config["dependencies"]:
            for target, name in dependency["targets"]:
                if name == event and (element in names.get(target, ()) or element == event):
                    return int(dependency["id"])
        raise LookupError(f"the window has no {element} with {event}")

    def place(self, element: str) -> int:
        """Where an answer holds a component, by its elem_id."""
        ids = [p["id"] for p in self.config["components"] if p["props"].get("elem_id") == element]
        for dependency in self.config["dependencies"]:
            if ids and ids[0] in dependency["outputs"] and len(dependency["outputs"]) > 20:
                return int(dependency["outputs"].index(ids[0]))
        raise LookupError(f"no answer of the window holds {element}")

    async def send(
        self, number: int, values: list[Any], data: Any = None, query: str = ""
    ) -> Answer:
        """One event of the page's state, by its number."""
        return await self.fire(number, [None, *values], data, query)

    async def fire(
        self, number: int, arguments: list[Any], data: Any = None, query: str = ""
    ) -> Answer:
        """One event, as the page sends it, until its answer is complete."""
        body = {"data": arguments, "fn_index": number, "session_hash": self.session,
                "event_data": data or None, "trigger_id": None}  # fmt: skip
        return await self._wait_for(self._fire(body, query))

    async def _fire(self, body: dict[str, Any], query: str) -> Answer:
        begin, first, last = time.monotonic(), 0.0, None
        response = await self.post(f"/queue/join?{query}", body)
        if response.status_code != 200:
            return _refusal(response, begin)
        own = response.json()["event_id"]
        async for _, message in self._events(f"/queue/data?session_hash={self.session}"):
            if message.get("event_id") not in (own, None):
                continue
            if message["msg"] in ("process_generating", "process_completed"):
                last = _patch(last, message["output"].get("data"), message["msg"])
                first = first or time.monotonic() - begin
            if message["msg"] == "process_completed":
                spent = time.monotonic() - begin
                if not message["success"]:
                    return Answer("refused", spent, message["output"].get("error"))
                return Answer("answered", spent, last, first)
        return Answer("lost", time.monotonic() - begin, "the stream ended")

    async def call(self, name: str, *values: Any) -> Answer:
        """One call of the API."""
        return await self._wait_for(self._call(name, list(values)))

    async def _call(self, name: str, values: list[Any]) -> Answer:
        begin = time.monotonic()
        response = await self.post(f"/call/{name}", {"data": values})
        if response.status_code != 200:
            return _refusal(response, begin)
        async for event, message in self._events(f"/call/{name}/{response.json()['event_id']}"):
            spent = time.monotonic() - begin
            if event == "complete":
                return Answer("answered", spent, message, spent)
            if event == "error":
                words = message.get("error") if isinstance(message, dict) else message
                return Answer("refused", spent, words)
        return Answer("lost", time.monotonic() - begin, "the stream ended")

    async def _wait_for(self, request: Awaitable[Answer]) -> Answer:
        """The answer, or "lost": a stream that only says that it lives is not an answer."""
        begin = time.monotonic()
        try:
            return await asyncio.wait_for(request, self.patience)
        except (httpx.HTTPError, asyncio.TimeoutError, KeyError, ValueError) as error:
            return Answer("lost", time.monotonic() - begin, repr(error))

    async def ask(self, component: int, function: str, value: Any) -> Answer:
        """One call of a function that a component of the window has on the server."""
        body = {"data": value, "component_id": component, "fn_name": function,
                "session_hash": self.session}  # fmt: skip
        return await self._wait_for(self._plain(self.post("/component_server", body)))

    async def upload(self, data: bytes, name: str = "picture.png") -> Answer:
        """Upload a file as the page does: its name, which the window and the API take."""
        request = self.http.post("/upload", files={"files": (name, data)})
        answer = await self._wait_for(self._plain(request))
        return answer._replace(value=answer.value[0]) if answer.fate == "answered" else answer

    async def _plain(self, request: Awaitable[httpx.Response]) -> Answer:
        """A request that is answered at once, in JSON."""
        begin = time.monotonic()
        response = await request
        if response.status_code != 200:
            return _refusal(response, begin)
        return Answer("answered", time.monotonic() - begin, response.json())

    async def post(self, path: str, body: Any) -> httpx.Response:
        """One request with a body of JSON, also of numbers that JSON has no word for."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        return await self.http.post(path, content=content, headers=headers)

    async def _events(self, path: str) -> AsyncIterator[tuple[str, Any]]:
        """The messages of a stream, and the kind of each where the stream says one."""
        async with aconnect_sse(self.http, "GET", path) as source:
            async for event in source.aiter_sse():
                yield event.event, event.json()


def file_object(name: str) -> dict[str, Any]:
    """The value of a picture that an upload gave, as Gradio's page and client send it."""
    return {"path": name, "meta": {"_type": "gradio.FileData"}}


def _refusal(response: httpx.Response, begin: float) -> Answer:
    """A request that was not taken: with a sentence it is refused."""
    spent = time.monotonic() - begin
    try:
        words = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        plain = "text/plain" in response.headers.get("content-type", "")
        words = response.text if plain and " " in response.text else None
    if response.status_code >= 500 and response.status_code != 503:
        words = None
    if not isinstance(words, str):
        return Answer("lost", spent, f"status {response.status_code}: {response.text[:200]}")
    return Answer("refused", spent, words)


def _patch(last: Any, new: Any, kind: str) -> Any:
    """An answer with its changes: Gradio sends the first one whole, then differences."""
    if last is None or kind == "process_completed" or not isinstance(new, list):
        return new
    return [apply_diff(old, edits) for old, edits in zip(last, new, strict=True)]
