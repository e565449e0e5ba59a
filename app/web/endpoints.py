"""The endpoints: the functions of the API behind gr.api, with their files served."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.context import LocalContext
from gradio.data_classes import FileData

from ..files import save
from ..machine.callers import asked_by, listened_to
from ..machine.disk import GROUP, file_key, file_url
from ..machine.errors import sentence
from ..machine.jobs import Work
from ..machine.values import text
from ..question.incoming import picture_name
from ..question.pictures import delete as delete_picture
from ..question.pictures import group
from ..question.state import from_query
from ..window.lists import LINK
from . import api


def offer() -> None:
    """Declare all endpoints in the Blocks at hand; long jobs wait for one another (lanes.py)."""
    for function in (*api.ENDPOINTS, picture, upload, delete):
        gr.api(_endpoint(function), api_name=function.__name__, concurrency_id="api",
               concurrency_limit=None)  # fmt: skip


def picture(link: str) -> FileData:
    """See what a link shows, as a PNG that carries its recipe: any view of the window.

    Args:
        link: as the other functions give it, "?tab=...&m=...", or the address of the window.
    """
    link = text("link", link, LINK)
    state = from_query(link.partition("?")[2] or link)
    GROUP.set(group(state.image))  # the file is deleted with the upload
    data, name = save.picture(state)
    key = file_key(data, name)
    return {  # plain values: Gradio would look for a file of this path, and copy it
        "path": key,
        "url": f"gradio_api/file={key}",
        "orig_name": name,
        "mime_type": "image/png",
        "is_stream": False,
    }  # type: ignore[return-value]


def upload(picture: str) -> str:
    """Keep a picture, and get the name by which the other tools take it as `image`.

    Args:
        picture: the picture as a data: URL of at most 8 MB ("data:image/png;base64,..."); a client
            in Python gives handle_file("cat.png").
    """
    return picture_name(picture)


def delete(picture: str) -> str:
    """Delete a picture that was sent from here, with all files that were made from it.

    Args:
        picture: the name that `upload` gave.
    """
    delete_picture(picture_name(picture))
    return "deleted"


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
