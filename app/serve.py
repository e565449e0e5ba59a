"""Serving: the server, and the files that it shows. Gradio is imported here and in ui.py only."""

from __future__ import annotations

import logging
import os
import warnings
from importlib.util import find_spec
from threading import Thread
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # no request leaves this machine
os.environ.setdefault("FORWARDED_ALLOW_IPS", "")  # whom to believe is said in visitors.py alone

import gradio as gr
import PIL.Image
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from featvis import WrongRequest

from .limits import hand_on, limits
from .visitors import Visitors

__all__ = ["file_of", "launch", "served"]

LOG = logging.getLogger("featvis")
SIDE_BY_SIDE = 16  # visitors that do the same thing; work.py has the threads for it


def served(data: bytes, name: str) -> str:
    """The address of a file of the page that holds these bytes."""
    return f"gradio_api/file={file_of(data, name)}"


def file_of(data: bytes, name: str) -> str:
    """A file that holds these bytes, where the page may read it."""
    return save_bytes_to_cache(data, name, cache_dir=get_upload_folder())


def _warm() -> None:
    """Load what the first visitor will ask for, while the server starts."""
    from . import pictures, session
    from .state import start

    try:
        pictures.strip()
        session.logits_of(start())
    except Exception as error:  # said in the window, to whoever opens it
        LOG.info("the first model is not there: %s", error)


def launch(**options: Any) -> tuple[gr.Blocks, str]:
    """Start the window in the background; its address."""
    if options.get("mcp_server") and find_spec("mcp") is None:
        raise WrongRequest(
            "the MCP server needs the package mcp, which is not installed; install it with: "
            "pip install 'gradio[mcp]'"
        )
    from . import theme
    from .ui import build
    from .ui_words import Page

    here = limits()
    hand_on()
    PIL.Image.MAX_IMAGE_PIXELS = int(1e6 * here.upload_mpx) or None
    warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
    Thread(target=_warm, daemon=True).start()
    blocks = build()
    blocks.queue(max_size=here.queue or None, default_concurrency_limit=SIDE_BY_SIDE)
    _, url, _ = blocks.launch(
        prevent_thread_lock=True,
        quiet=True,
        ssr_mode=False,
        theme=theme.theme(),
        css=theme.CSS,
        head=theme.HEAD,
        footer_links=[],
        run_history=False,
        max_file_size=int(1e6 * here.upload_mb) or None,
        app_kwargs={
            "middleware": [
                Middleware(Visitors),
                Middleware(GZipMiddleware, minimum_size=1000),
                Middleware(Page),
            ]
        },
        **options,
    )
    return blocks, url
