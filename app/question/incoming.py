"""Incoming: the one place where values from outside become the name of a picture.

A picture is a drawn scene or a kept upload; nothing here opens a path. Only a private server that
its owner started with FEATVIS_FETCH=1 also fetches what an address shows.
"""

from __future__ import annotations

import base64
import re
import time
from functools import lru_cache
from typing import Any

import httpx

from featvis import WrongRequest
from featvis.model import brief
from zoo_adapters import raster

from ..machine import disk
from ..machine.limits import limits, public
from . import pictures

DATA = re.compile(r"data:image/[a-z0-9.+-]{1,20};base64,([A-Za-z0-9+/=\s]*)", re.ASCII)
SECONDS, REDIRECTS = 20, 3  # of what is fetched
SCHEMES = ("http://", "https://")


def picture_name(value: Any) -> str:
    """The name of a picture: an example, an upload, or what a data: URL holds."""
    if isinstance(value, str):
        if pictures.NAME.fullmatch(value):
            return value
        data = data_url(value)
        if data is not None:
            return pictures.keep(data)
        if value.startswith(SCHEMES) and limits().fetch and not public():
            return pictures.keep(_fetched(value))
    quote = brief(value) if isinstance(value, str | int | float | None) else "this"
    raise WrongRequest(
        f"{quote} is no picture; give the name of an example as scene-17, what `upload` "
        "gave, or a data: URL"
    )


def picture_url(name: str) -> str:
    """The address of a picture, relative to the page."""
    if pictures.is_upload(name):
        return f"gradio_api/file={name}"
    return disk.file_url(_drawn(name), "picture.webp")


@lru_cache(maxsize=32)
def _drawn(name: str) -> bytes:
    return raster.webp(pictures.get(name))


def data_url(text: str) -> bytes | None:
    """The content of a picture's data: URL; None of any other text."""
    match = DATA.fullmatch(text)
    if match is None:
        return None
    most = int(1e6 * (limits().upload_mb or 1000))
    if len(match[1]) > most * 4 / 3 + 4:
        raise WrongRequest(f"the picture has more than {most / 1e6:g} MB; make it smaller")
    try:
        return base64.b64decode("".join(match[1].split()), validate=True)
    except ValueError:
        raise WrongRequest("the data: URL of the picture is damaged") from None


def _fetched(url: str) -> bytes:
    """Fetch an address within bounds of bytes, seconds and redirects."""
    most, end, body = 1e6 * (limits().upload_mb or 1000), time.monotonic() + SECONDS, bytearray()
    try:
        with (
            httpx.Client(follow_redirects=True, max_redirects=REDIRECTS, timeout=SECONDS) as client,
            client.stream("GET", url) as told,
        ):
            told.raise_for_status()
            for chunk in told.iter_bytes():
                body += chunk
                if len(body) > most or time.monotonic() > end:
                    raise WrongRequest(
                        f"the picture has more than {most / 1e6:g} MB or takes longer than "
                        f"{SECONDS} s; upload it instead"
                    )
    except (httpx.HTTPError, httpx.InvalidURL):
        raise WrongRequest("this address shows nothing; upload the picture instead") from None
    return bytes(body)
