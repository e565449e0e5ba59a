"""The window, built: its components, its events, and the endpoints that stand beside them."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from .events import connect
from .layout import Window


def build(offer: Callable[[], None] = lambda: None) -> gr.Blocks:
    """The window; `offer` declares the endpoints of the API in it."""

    def wire(window: Window) -> None:
        connect(window)
        offer()

    return Window(wire).blocks
