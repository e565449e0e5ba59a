"""Serving: the server, and all that stands before and beside its window."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
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

from ..answers.prediction import logits_of
from ..machine import decoder, disk, malloc, resources
from ..machine.callers import Callers
from ..machine.limits import hand_on, limits
from ..question import pictures
from ..question.state import start
from ..window import states, theme
from ..window.build import build
from . import connections, gate, health, health_page, mcp_pictures, preview
from .endpoints import offer
from .page import Page
from .scrub import Scrub

LOG = logging.getLogger("featvis")
# Events under way of all visitors. One that waits for its work holds no thread, so that many can;
# workers.py bounds those that compute, and the gate those of each visitor.
EVENTS = 1000


def _warm() -> None:
    """Load what the first visitor will ask for, while the server starts."""
    try:
        pictures.strip()
        logits_of(start())
    except Exception as error:  # said in the window, to whoever opens it
        LOG.info("the first model is not there: %s", error)


def guard() -> None:
    """Let Pillow refuse what is too large, wherever a picture is opened."""
    PIL.Image.MAX_IMAGE_PIXELS = int(1e6 * limits().upload_mpx) or None
    warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)


@asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[None]:
    """The gate stands before the app; tools show pictures by the keys of their files."""
    mcp_pictures.join(app.get_blocks())
    states.install(app)
    app.router.routes[:0] = [*health_page.ROUTES, *preview.ROUTES]  # before those of Gradio
    async with gate.stand(app):
        yield


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
    here = limits()
    hand_on()
    guard()
    malloc.keep_small()
    resources.raise_open_files()
    connections.install()
    disk.prepare()
    decoder.warm()
    Thread(target=_warm, daemon=True).start()
    blocks = build(offer)
    blocks.queue(max_size=here.queue or None, default_concurrency_limit=None)
    _, url, _ = blocks.launch(
        prevent_thread_lock=True,
        max_threads=EVENTS,
        quiet=True,
        ssr_mode=False,
        theme=theme.theme(),
        css=theme.CSS,
        footer_links=[],
        state_session_capacity=here.sessions or 10_000,
        run_history=False,
        max_file_size=int(1e6 * here.upload_mb) or None,
        app_kwargs={
            "middleware": [
                Middleware(Callers),
                Middleware(GZipMiddleware, minimum_size=1000),
                Middleware(Page),
                Middleware(preview.Preview, root=_root(options.get("root_path"))),
                Middleware(Scrub, folder=get_upload_folder()),
            ],
            "lifespan": _lifespan,
        },
        **options,
    )
    if self_test:
        health.begin()
    return blocks, url
