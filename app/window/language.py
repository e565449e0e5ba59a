"""The window in the visitor's language: whatever changes in it is translated on its way out."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import gradio as gr

from ..words import translate

PLAIN = (
    "label",
    "info",
    "placeholder",
    "submit_btn",
    "alt_text",
)  # what components say besides their value
TEXTS = {"html": translate.html, "markdown": translate.markdown, "button": translate.said}


def language_of(request: gr.Request | None, query: str = "") -> str:
    """The language of the page that a request comes from, or of the link `query`."""
    if request is None:
        return "en"
    asked = parse_qs(query).get("lang", [None])[0] or dict(request.query_params).get("lang")
    return translate.chosen(asked, request.headers.get("accept-language", ""))


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
        return properties(kind, value, language)
    if isinstance(value, str) and kind in TEXTS:
        return TEXTS[kind](value, language)
    return value


def properties(kind: str, given: dict[str, Any], language: str) -> dict[str, Any]:
    """The properties of a component, translated."""
    made = dict(given)
    for name in PLAIN:
        if isinstance(made.get(name), str):
            made[name] = translate.said(made[name], language)
    if isinstance(made.get("value"), str) and kind in TEXTS:
        made["value"] = TEXTS[kind](made["value"], language)
    if isinstance(made.get("html_template"), str):
        made["html_template"] = translate.html(made["html_template"], language)
    if isinstance(made.get("choices"), list | tuple):
        made["choices"] = [_choice(choice, language) for choice in made["choices"]]
    return made


def _choice(choice: Any, language: str) -> tuple[str, Any]:
    read, meant = (choice, choice) if isinstance(choice, str) else choice
    return translate.said(str(read), language), meant
