"""Widgets: a parameter of a method -> the component that sets it."""

from __future__ import annotations

from abc import ABCMeta
from math import floor, log10
from typing import Any

import gradio as gr

from featvis import Param


class Quiet(type(gr.Image)):  # type: ignore[misc]
    """Gradio's own kind of class writes a .pyi beside the file; this one writes nothing."""

    def __new__(cls, name: str, bases: Any, attributes: Any) -> Any:
        return ABCMeta.__new__(cls, name, bases, attributes)


class Picture(gr.Image, metaclass=Quiet):
    """The component that shows a picture by its name, and gives the name of an upload.

    Gradio's own takes and gives files; here no file's path comes from outside, or leaves.
    """

    is_template = True  # in the page it is Gradio's own
    data_model = None

    def preprocess(self, payload: Any) -> Any:
        return payload

    def postprocess(self, value: str | None) -> dict[str, Any] | None:
        """Show the picture at an address (see `incoming.picture_url`)."""
        if value is None:
            return None
        return {
            "path": value.partition("=")[2],
            "url": value,
            "orig_name": "picture.webp",
            "mime_type": "image/webp",
            "is_stream": False,
        }

    def api_info(self) -> dict[str, str]:
        return {"type": "string"}

    def example_payload(self) -> str:
        return "scene-24"

    def example_value(self) -> str:
        return "scene-24"


def widget(param: Param) -> Any:
    """The component for a parameter, with its default and its help."""
    words: dict[str, Any] = {"label": param.name.replace("_", " ").capitalize(), "info": param.help}
    if param.choices:
        kind = gr.Radio if len(param.choices) <= 4 else gr.Dropdown
        return kind(list(param.choices), value=param.default, **words)
    if param.type is bool:
        return gr.Checkbox(value=bool(param.default), **words)
    if param.type is str:
        return gr.Textbox(value=str(param.default), **words)
    whole = param.type is int
    if param.range is None:
        return gr.Number(value=param.default, precision=0 if whole else None, **words)
    low, high = param.range
    step = 1 if whole else 10 ** floor(log10((high - low) / 50))
    return gr.Slider(low, high, value=param.default, step=step, **words)


def on_use(component: Any) -> Any:
    """The event of a component that means: the user has set it."""
    return component.release if isinstance(component, gr.Slider) else component.input
