"""The endpoints: the functions of the API behind gr.api, with their files served."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.context import LocalContext
from gradio.data_classes import FileData

from . import api, files
from .callers import listened_to
from .faults import sentence
from .incoming import picture_name
from .serve import SIDE_BY_SIDE, served
from .state import from_query
from .work import Work

__all__ = ["offer"]


def offer() -> None:
    """Declare all endpoints in the Blocks at hand; long jobs wait for one another (lanes.py)."""
    for function in (*api.ENDPOINTS, picture, upload):
        gr.api(_endpoint(function), api_name=function.__name__, concurrency_id="api",
               concurrency_limit=SIDE_BY_SIDE)  # fmt: skip


def picture(link: str) -> FileData:
    """See what a link shows, as a PNG that carries its recipe: any view of the window.

    Args:
        link: as the other functions give it, "?tab=...&m=...", or the address of the window.
    """
    data, name = files.picture(from_query(link.partition("?")[2] or link))
    url = served(data, name)  # plain values: Gradio would look for a file of this path, and copy it
    return {"path": url.partition("=")[2], "url": url, "orig_name": name, "mime_type": "image/png",
            "is_stream": False}  # type: ignore[return-value]  # fmt: skip


def upload(picture: str) -> str:
    """Keep a picture, and get the name by which the other tools take it as `image`.

    Args:
        picture: the picture as a data: URL of at most 8 MB ("data:image/png;base64,..."); a client
            in Python gives handle_file("cat.png").
    """
    return picture_name(picture)


def _endpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def answer(*args: Any, **kwargs: Any) -> Any:
        try:
            work = Work(lambda _: function(*args, **kwargs))
            asked = LocalContext.request.get(None)
            session = asked.session_hash if isinstance(asked, gr.Request) else None
            with listened_to(work, session, LocalContext.event_id.get(None)):
                made = work.result()
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from None
        if isinstance(made, dict):  # a file's bytes and name -> its address
            return {k: served(*v) if isinstance(v, tuple) else v for k, v in made.items()}
        return made

    return answer
