"""Bodies: the JSON of a request, read whole within bounds, before anything else sees it.

A value that Gradio could take for a file becomes the plain name of a picture, or the request is
refused. So no path and no address of a visitor reaches Gradio.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from starlette.types import Receive

from featvis import WrongRequest

from ..machine.disk import FILE as FILE_KEY
from ..machine.limits import limits
from ..question.incoming import data_url
from ..question.pictures import NAME
from .connections import PACE
from .replies import Refusal
from .visitors import UnderWay

PLAIN = 64_000  # bytes of a body beside the pictures in it
DEEP, ITEMS, LONGEST, LONGEST_NAME, DIGITS = 12, 2000, 2000, 100, 18
PICTURES = 2  # in a body
FILE = {"path", "url", "meta", "is_stream", "orig_name", "mime_type"}  # keys of Gradio's FileData
READING = UnderWay()  # bytes
AT_ONCE, AT_ONCE_EACH = 24, 6  # largest bodies that are read at the same time
NO_FILE = (
    "a picture is sent as an upload, as a data: URL or by the name of an example; no other file "
    "and no address is read"
)
Keep = Callable[[bytes], Awaitable[str]]


def largest() -> int:
    """Bytes of the largest body: an upload as a data: URL, and what stands beside it."""
    return int(1e6 * (limits().upload_mb or 1000) * 4 / 3) + PLAIN


async def read(receive: Receive, who: str, most: int, drain: bool = False) -> bytes:
    """The whole body, of at most `most` bytes; `drain`: hear a longer one out, to be heard."""
    body = bytearray()
    seconds = limits().body_seconds + most / PACE if limits().body_seconds else None

    async def gather() -> None:
        more, total = True, 0
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal("the request ended before it was whole")
            chunk, more = message.get("body", b""), message.get("more_body", False)
            total += len(chunk)
            if total <= most:
                _reserve(who, len(chunk))
                body.extend(chunk)
            elif not drain or total > 4 * most:
                break
        if total > most:
            raise Refusal(f"the request has more than {most / 1e6:.2g} MB", 413)

    try:
        await asyncio.wait_for(gather(), seconds)
        return bytes(body)
    except (TimeoutError, asyncio.TimeoutError):
        raise Refusal(f"the request did not arrive within {seconds:g} s", 408) from None
    finally:
        READING.add(who, -len(body))


def _reserve(who: str, count: int) -> None:
    here = largest()
    if READING.total + count > AT_ONCE * here or READING.counts[who] + count > AT_ONCE_EACH * here:
        raise Refusal("too much is being sent at the moment: try again in a few seconds", 503, 5)
    READING.add(who, count)


def parsed(body: bytes) -> dict[str, Any]:
    """The object in a body; numbers are numbers, and none is endless."""
    try:
        table = json.loads(
            body.decode("utf-8"),
            parse_int=_whole,
            parse_float=_real,
            parse_constant=_real,
        )
    except (ValueError, RecursionError) as error:
        if isinstance(error, Refusal):
            raise
        raise Refusal("the request is not JSON") from None
    if not isinstance(table, dict):
        raise Refusal("the request is not a JSON object")
    return table


def _whole(text: str) -> int:
    if len(text) > DIGITS:
        raise Refusal(f"a number has at most {DIGITS} digits")
    return int(text)


def _real(text: str) -> float:
    if len(text) > 40 or not math.isfinite(float(text.replace("Infinity", "inf"))):
        raise Refusal("a number is finite, and has at most 40 digits")
    return float(text)


async def with_names(body: dict[str, Any], keep: Keep) -> dict[str, Any]:
    """The body with names of pictures in place of file objects and data: URLs."""
    root, pictures = [body], []
    plain = 0
    for place, key, value in _places(root):
        if isinstance(value, str):
            picture = _picture(value)
            plain += len(value) if picture is None else 0
            if picture is not None:
                pictures.append((place, key, picture))
            elif len(value) > LONGEST:
                raise Refusal(f"a text has at most {LONGEST:,} characters")
            _encodable(value)
        elif isinstance(value, dict) and FILE & value.keys():
            place[key] = _name_in(value)
    if plain > PLAIN or len(pictures) > PICTURES:
        raise Refusal(f"a request has at most 64 kB of text and {PICTURES} pictures", 413)
    for place, key, picture in pictures:
        place[key] = await keep(picture)
    return body


def _picture(text: str) -> bytes | None:
    try:
        return data_url(text)
    except WrongRequest as error:
        raise Refusal(str(error)) from None


def _places(root: list[Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Each value, with the object or list that holds it and its key there."""
    waiting, count = [(root, 0, 1)], 0
    while waiting:
        place, key, depth = waiting.pop()
        value = place[key]
        count += 1
        if count > ITEMS or depth > DEEP:
            raise Refusal(f"a request has at most {ITEMS:,} values, {DEEP} levels deep")
        yield place, key, value
        value = place[key]  # a file object has become a name
        if isinstance(value, dict):
            for name in value:
                if len(name) > LONGEST_NAME:
                    raise Refusal(f"a name has at most {LONGEST_NAME} characters")
                _encodable(name)
            waiting += [(value, name, depth + 1) for name in value]
        elif isinstance(value, list):
            waiting += [(value, index, depth + 1) for index in range(len(value))]


def _name_in(file: dict[str, Any]) -> str | None:
    """The picture's name in a file object; none in one that the page is about to empty."""
    name = file.get("path")
    if isinstance(name, str) and FILE_KEY.fullmatch(name):  # an example as it was shown: not opened
        return None
    if file.get("__type__") == "update" and name is None:
        return None
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    raise Refusal(NO_FILE)


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refusal("a text has a character that does not exist") from None
