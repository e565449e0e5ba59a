"""Downloads: the files that this server made or keeps, by their keys; no other file is one."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from starlette.types import Send

from ..machine import disk
from ..question import pictures
from .http_headers import OF_FILES
from .replies import Refusal, answer

SHOWN = {"png": "image/png", "webp": "image/webp", "gif": "image/gif", "jpg": "image/jpeg"}
SAVED = "application/octet-stream"  # all else is taken away, and never drawn as a page
LONG, SHORT = b"private, max-age=31536000, immutable", b"private, max-age=600"
READERS = ThreadPoolExecutor(4, "featvis-files")


async def send_file(send: Send, key: str, head: bool) -> None:
    """Answer with a file: an upload by its name, or a file that was made."""
    name = key.rpartition("/")[2]
    data = await asyncio.get_running_loop().run_in_executor(READERS, _bytes_of, key)
    if data is None:
        raise Refusal("this file is no longer here; make it again", 404)
    kind = SHOWN.get(name.rpartition(".")[2]) if "/" in key else "image/webp"
    headers = [
        (b"cache-control", LONG if "/" in key else SHORT),
        (b"content-security-policy", OF_FILES),
    ]
    if kind is None:
        headers.append((b"content-disposition", f'attachment; filename="{name}"'.encode()))
    if not head:
        return await answer(send, 200, kind or SAVED, data, *headers)
    headers += [(b"content-type", (kind or SAVED).encode()), (b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
    return None


def _bytes_of(key: str) -> bytes | None:
    try:
        return disk.file_bytes(key) if "/" in key else pictures.upload_bytes(key)
    except OSError:
        return None
