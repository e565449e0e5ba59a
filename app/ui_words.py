"""The window in the visitor's language: the page when it is opened, and what changes in it."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import gradio as gr

from . import words
from .whole import changed

__all__ = ["Page", "language_of", "spoken"]

CONFIG = re.compile(r"(<script>window\.gradio_config = )(.*?)(;</script>)", re.DOTALL)
HEAD = re.compile(r'(<title>|<meta (?:name|property)="[^"]*"\s+content=")([^"<]*)')
UNSAFE = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&'"})
PLAIN = (
    "label",
    "info",
    "placeholder",
    "submit_btn",
    "alt_text",
)  # what components say besides their value
TEXTS = {"html": words.html, "markdown": words.markdown, "button": words.said}

Message = MutableMapping[str, Any]


def language_of(request: gr.Request | None, query: str = "") -> str:
    """The language of the page that a request comes from, or of the link `query`."""
    if request is None:
        return "en"
    asked = parse_qs(query).get("lang", [None])[0] or dict(request.query_params).get("lang")
    return words.chosen(asked, request.headers.get("accept-language", ""))


def spoken(update: dict[Any, Any], language: str) -> dict[Any, Any]:
    """Changes of components, in a language."""
    if language == "en":
        return update
    return {component: _changed(component, value, language) for component, value in update.items()}


def _changed(component: Any, value: Any, language: str) -> Any:
    """A component's new value or properties, translated."""
    kind = component.get_block_name()
    if isinstance(value, gr.blocks.Block):
        value = {**value.constructor_args, "__type__": "update"}
    if isinstance(value, dict) and value.get("__type__") == "update":
        return _properties(kind, value, language)
    if isinstance(value, str) and kind in TEXTS:
        return TEXTS[kind](value, language)
    return value


def _properties(kind: str, given: dict[str, Any], language: str) -> dict[str, Any]:
    made = dict(given)
    for name in PLAIN:
        if isinstance(made.get(name), str):
            made[name] = words.said(made[name], language)
    if isinstance(made.get("value"), str) and kind in TEXTS:
        made["value"] = TEXTS[kind](made["value"], language)
    if isinstance(made.get("html_template"), str):
        made["html_template"] = words.html(made["html_template"], language)
    if isinstance(made.get("choices"), list | tuple):
        made["choices"] = [_choice(choice, language) for choice in made["choices"]]
    return made


def _choice(choice: Any, language: str) -> tuple[str, Any]:
    read, meant = (choice, choice) if isinstance(choice, str) else choice
    return words.said(str(read), language), meant


def page(text: str, language: str) -> str:
    """The first page: its components, its head, and Gradio's own words."""

    def config(at: re.Match[str]) -> str:
        made = json.loads(at[2])
        for component in made["components"]:
            component["props"] = _properties(component["type"], component["props"], language)
        told = json.dumps(made, ensure_ascii=False, separators=(",", ":")).translate(UNSAFE)
        return f"{_told(language)}{at[1]}{told}{at[3]}"

    text = text.replace('lang="en"', f'lang="{language}"', 1)
    if language == "en":
        return CONFIG.sub(lambda at: _told(language) + at[0], text)
    text = HEAD.sub(lambda at: at[1] + words.said(at[2], language), text)
    return CONFIG.sub(config, text)


def _told(language: str) -> str:
    """Gradio takes its own words, as those of an upload, from the browser's language."""
    return (
        "<script>Object.defineProperty(navigator, 'language', "
        f"{{get: () => '{language}'}});</script>"
    )


class Page:
    """Middleware: the first page in the language that its link or its browser asks for."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != scope.get("root_path", "") + "/":
            await self.app(scope, receive, send)
            return
        query = parse_qs(scope.get("query_string", b"").decode("latin1"))
        headers = {name: value.decode("latin1") for name, value in scope["headers"]}
        accepted = headers.get(b"accept-language", "")
        language = words.chosen(query.get("lang", [None])[0], accepted)

        def spoken_in(body: bytes) -> bytes:
            return page(body.decode("utf8"), language).encode()

        vary = (b"vary", b"Accept-Language")
        await changed(self.app, scope, receive, send, spoken_in, vary)
