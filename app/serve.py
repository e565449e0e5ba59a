"""Serving: the server, and the files that it shows. Gradio is imported here and in ui.py only."""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # no request leaves this machine
os.environ.setdefault("FORWARDED_ALLOW_IPS", "")  # whom to believe is said in visitors.py alone

import gradio as gr
import PIL.Image
from gradio.route_utils import get_root_url
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from featvis import WrongRequest

from . import connections, disk, health, heap, resources
from .callers import Callers
from .health_page import Health
from .limits import hand_on, limits
from .visitors import Visitors

__all__ = ["SIDE_BY_SIDE", "file_of", "guard", "launch", "served"]

LOG = logging.getLogger("featvis")
SIDE_BY_SIDE = 48  # visitors that do the same thing, more than limits().waiting: short work passes
OFTEN = 20_000_000  # bytes of files between two looks how many there are
WRITTEN = 0  # bytes since the last
THREADS = 96  # for all that they do; work.py and lanes.py have those that compute


def served(data: bytes, name: str) -> str:
    """The address of a file of the page that holds these bytes."""
    return f"gradio_api/file={file_of(data, name)}"


def file_of(data: bytes, name: str) -> str:
    """A file that holds these bytes, where the page may read it."""
    global WRITTEN
    store = Path(get_upload_folder()).resolve()
    file = store / hashlib.sha256(data).hexdigest() / name
    with suppress(FileNotFoundError):
        os.utime(file)  # made before, and used again: among the last to go
        return str(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    disk.write(file, data)
    WRITTEN += len(data)
    if WRITTEN > OFTEN:
        WRITTEN = 0
        most = 1e6 * limits().served_mb or 1e18
        Thread(target=disk.make_room, args=(store, "*/*", most, file), daemon=True).start()
    return str(file)


def _warm() -> None:
    """Load what the first visitor will ask for, while the server starts."""
    from . import pictures, session
    from .state import start

    try:
        pictures.strip()
        session.logits_of(start())
    except Exception as error:  # said in the window, to whoever opens it
        LOG.info("the first model is not there: %s", error)


def guard() -> None:
    """Let Pillow refuse what is too large, wherever a picture is opened."""
    PIL.Image.MAX_IMAGE_PIXELS = int(1e6 * limits().upload_mpx) or None
    warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)


def _root(path: str | None) -> Callable[[Any], str]:
    """The address of the window as a request sees it, behind a proxy too."""
    known = path or os.environ.get("GRADIO_ROOT_PATH")
    return lambda request: get_root_url(request, "/", known)


def launch(*, self_test: bool = False, **options: Any) -> tuple[gr.Blocks, str]:
    """Start the window in the background; its address."""
    if options.get("mcp_server") and find_spec("mcp") is None:
        raise WrongRequest(
            "the MCP server needs the package mcp, which is not installed; install it with: "
            "pip install 'gradio[mcp]'"
        )
    from . import theme
    from .preview import Preview
    from .ui import build
    from .ui_words import Page

    here = limits()
    hand_on()
    guard()
    heap.keep_small()
    resources.raise_open_files()
    connections.install()
    Thread(target=_warm, daemon=True).start()
    blocks = build()
    blocks.queue(max_size=here.queue or None, default_concurrency_limit=SIDE_BY_SIDE)
    _, url, _ = blocks.launch(
        prevent_thread_lock=True,
        max_threads=THREADS,
        quiet=True,
        ssr_mode=False,
        theme=theme.theme(),
        css=theme.CSS,
        footer_links=[],
        run_history=False,
        max_file_size=int(1e6 * here.upload_mb) or None,
        app_kwargs={
            "middleware": [
                Middleware(Health),
                Middleware(Visitors),
                Middleware(Callers),
                Middleware(GZipMiddleware, minimum_size=1000),
                Middleware(Page),
                Middleware(Preview, root=_root(options.get("root_path"))),
            ]
        },
        **options,
    )
    if self_test:
        health.begin()
    return blocks, url
