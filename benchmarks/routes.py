"""The routes of the running app, as this version of Gradio declares them."""

from __future__ import annotations

import warnings

import gradio
from gradio.routes import App
from starlette.routing import Route

__all__ = ["routes"]

BESIDE = (("GET", "/healthz"), ("GET", "/status"), ("GET", "/openapi.json"), ("GET", "/docs"),
          ("POST", "/gradio_api/mcp/"), ("GET", "/gradio_api/mcp/sse"))  # fmt: skip


def routes() -> list[tuple[str, str]]:
    """Method and path of each, where a path may have {parts}."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        app = App.create_app(gradio.Blocks())
    paths = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    return sorted(paths | set(BESIDE))
