"""The endpoints: the functions of the API behind gr.api, with their files served."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import LocalContext
from gradio.data_classes import FileData
from gradio.utils import get_upload_folder

from featvis import WrongRequest

from . import api, files, pictures
from .callers import asked_by, listened_to
from .disk import file_at, file_key, file_url
from .faults import sentence
from .serve import SIDE_BY_SIDE
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
    return FileData(path=str(file_at(file_key(data, name))), orig_name=name, mime_type="image/png")


def upload(picture: FileData) -> str:
    """Keep a picture, and get the name by which the other tools take it as `image`.

    Args:
        picture: a picture file of at most 8 MB (in MCP: its http or https address, or a data: URL).
    """
    given: Any = picture  # Gradio hands over the plain values
    path = Path(str(given.get("path") or "")) if isinstance(given, dict) else Path()
    # nothing but what came over the network is opened: a path is only a string that anyone can send
    if not path.resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        raise WrongRequest("a picture is uploaded first: give what the client's handle_file makes")
    return pictures.keep(path.read_bytes())


def _endpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def answer(*args: Any, **kwargs: Any) -> Any:
        request, event = LocalContext.request.get(None), LocalContext.event_id.get(None)
        session = request.session_hash if isinstance(request, gr.Request) else None
        key = (function.__name__, repr(args), repr(sorted(kwargs.items())))
        try:
            with asked_by(request):
                work = Work.shared(key, lambda _: _with_addresses(function(*args, **kwargs)))
            with listened_to(work, session, event):
                return await work.answer()
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from None

    return answer


def _with_addresses(result: Any) -> Any:
    """The answer with the address of each file in place of its bytes and name."""
    if not isinstance(result, dict):
        return result
    return {k: file_url(*v) if isinstance(v, tuple) else v for k, v in result.items()}
