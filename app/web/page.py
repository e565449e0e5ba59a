"""The first page, in the language that its link or its browser asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from ..window.language import properties
from ..words import translate
from .health import FIRST_PAGE
from .whole import changed

CONFIG = re.compile(r"(<script>window\.gradio_config = )(.*?)(;</script>)", re.DOTALL)
HEAD = re.compile(r'(<title>|<meta (?:name|property)="[^"]*"\s+content=")([^"<]*)')
UNSAFE = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&'"})

Message = MutableMapping[str, Any]


def page(text: str, language: str) -> str:
    """The first page: its components, its head, and Gradio's own words."""

    def config(at: re.Match[str]) -> str:
        made = json.loads(at[2])
        for component in made["components"]:
            component["props"] = properties(component["type"], component["props"], language)
        told = json.dumps(made, ensure_ascii=False, separators=(",", ":")).translate(UNSAFE)
        return f"{_told(language)}{at[1]}{told}{at[3]}"

    text = text.replace('lang="en"', f'lang="{language}"', 1)
    if language == "en":
        return CONFIG.sub(lambda at: _told(language) + at[0], text)
    text = HEAD.sub(lambda at: at[1] + translate.said(at[2], language), text)
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
        language = translate.chosen(query.get("lang", [None])[0], accepted)

        def spoken_in(body: bytes) -> bytes:
            return page(body.decode("utf8"), language).encode()

        vary = (b"vary", b"Accept-Language")
        await changed(self.app, scope, receive, send, spoken_in, vary)
        FIRST_PAGE.set()
