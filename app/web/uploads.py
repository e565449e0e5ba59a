"""Uploads: pictures that visitors send, kept in memory until they are decoded and kept reduced.

The answer is the picture's name, where Gradio would give the path of a file. Nothing of the upload
itself reaches the disk, and Gradio does not see it.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from email.message import Message
from typing import Any
from urllib.parse import parse_qs

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser
from starlette.types import Receive, Scope, Send

from featvis import WrongRequest

from ..machine.limits import limits
from ..question import pictures
from . import bodies
from .replies import Refusal, answer, stream
from .routes import WORD
from .visitors import UnderWay

BESIDE = 10_000  # bytes of a form beside its file
WAITING, WAITING_EACH = 24, 6  # pictures that wait for a decoder
TRACKED = 200  # uploads whose progress can be asked for
LATE, OFTEN, PATIENCE = 3.0, 0.1, 120.0  # seconds: until it begins, between two words, in all


class Progress:
    """How much of an upload is there."""

    def __init__(self) -> None:
        self.count, self.done = 0, False


class Uploads:
    """The uploads under way, and the few threads that decode them."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(2, "featvis-uploads")
        self.waiting = UnderWay()
        self.progress: OrderedDict[str, Progress] = OrderedDict()

    async def keep(self, data: bytes, who: str) -> str:
        """The name of a picture, kept by a thread; the event loop is never blocked."""
        if self.waiting.total >= WAITING or self.waiting.counts[who] >= WAITING_EACH:
            raise Refusal("many pictures are being read: try again in a few seconds", 503, 5)
        self.waiting.add(who)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.pool, copy_context().run, pictures.keep, data)
        except Refusal:
            raise
        except WrongRequest as error:
            raise Refusal(str(error)) from error
        finally:
            self.waiting.add(who, -1)

    async def receive(self, scope: Scope, receive: Receive, send: Send, who: str) -> None:
        """Answer an upload: a form with one picture."""
        progress = self._tracked(_upload_id(scope))

        async def counted() -> Any:
            message = await receive()
            progress.count += len(message.get("body", b""))
            return message

        try:
            most = int(1e6 * (limits().upload_mb or 1000)) + BESIDE
            body = await bodies.read(counted, who, most, drain=True)
            name = await self.keep(picture_in(_boundary(scope), body), who)
        finally:
            progress.done = True
        await answer(send, 200, "application/json", json.dumps([name]).encode())

    async def tell(self, scope: Scope, send: Send) -> None:
        """Answer how far an upload is, until it is done."""
        reported, name, begin = 0, _upload_id(scope), time.monotonic()
        event = await stream(send)
        while (now := time.monotonic() - begin) < PATIENCE:
            progress = self.progress.get(name)
            if progress.done if progress else now > LATE:
                break
            if progress and progress.count > reported:
                size = progress.count - reported
                await event({"msg": "update", "orig_name": "", "chunk_size": size})
                reported = progress.count
            await asyncio.sleep(OFTEN)
        self.progress.pop(name, None)
        await event({"msg": "done"}, last=True)

    def _tracked(self, name: str) -> Progress:
        progress = Progress()
        if name:
            self.progress[name] = progress
            if len(self.progress) > TRACKED:
                self.progress.popitem(last=False)
        return progress


def _upload_id(scope: Scope) -> str:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    name = query.get("upload_id", [""])[0]
    return name if re.fullmatch(WORD, name, re.ASCII) else ""


def _boundary(scope: Scope) -> bytes:
    """The line between the parts of a form, as its header tells."""
    header = Message()
    kind = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
    header["content-type"] = kind.replace("\r", " ").replace("\n", " ")
    boundary = header.get_boundary("")
    if header.get_content_type() != "multipart/form-data" or not 0 < len(boundary) <= 100:
        raise Refusal("an upload is a multipart form with one file named files", 415)
    return boundary.encode("latin-1", "replace")


class Form:
    """The parts of a form, as its parser tells of them; only one file may be there."""

    def __init__(self, body: bytes) -> None:
        self.body, self.parts = body, 0
        self.head, self.data = bytearray(), bytearray()

    def begin(self) -> None:
        self.parts += 1

    def header(self, data: bytes, start: int, end: int) -> None:
        self.head += data[start:end] + b" "

    def part(self, data: bytes, start: int, end: int) -> None:
        self.data += data[start:end]


def picture_in(boundary: bytes, body: bytes) -> bytes:
    """The file of a form that has one, named files."""
    form = Form(body)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": form.begin,
            "on_header_value": form.header,
            "on_part_data": form.part,
        },
    )
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise Refusal("the form of the upload is damaged") from None
    if form.parts != 1 or b'name="files"' not in form.head or b"filename" not in form.head:
        raise Refusal("an upload is a multipart form with one file named files")
    return bytes(form.data)
