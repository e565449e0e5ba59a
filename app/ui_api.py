"""The endpoints: the functions of the API behind gr.api, with their files served."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from featvis import WrongRequest

from . import api, pictures
from .faults import sentence
from .serve import served
from .work import Work

__all__ = ["offer"]


def offer() -> None:
    """Declare all endpoints in the Blocks at hand; heavy ones wait for one another."""
    for function in (*api.ENDPOINTS, upload):
        gr.api(_endpoint(function), api_name=function.__name__, concurrency_id="api",
               concurrency_limit=2)  # fmt: skip


def upload(picture: dict[str, Any]) -> str:
    """Keep a picture; the name by which the other functions take it.

    Args:
        picture: a file, as the client's handle_file gives it.
    """
    path = Path(str(picture.get("path") or "")) if isinstance(picture, dict) else Path()
    # nothing but what came over the network is opened: a path is only a string that anyone can send
    if not path.resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        raise WrongRequest("a picture is uploaded first: give what the client's handle_file makes")
    return pictures.keep(path)


def _endpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def answer(*args: Any, **kwargs: Any) -> Any:
        try:
            made = Work(lambda _: function(*args, **kwargs)).result()
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from None
        if isinstance(made, dict):  # a file's bytes and name -> its address
            return {k: served(*v) if isinstance(v, tuple) else v for k, v in made.items()}
        return made

    return answer
