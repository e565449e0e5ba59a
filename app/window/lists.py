"""Lists of networks to choose from, and files to take away: what a page asks for by the way.

None of it changes the state of the page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

import zoo_adapters
from featvis import WrongRequest

from ..files import save as files
from ..machine import broken, disk
from ..machine.callers import asked_by, listened_to
from ..machine.errors import sentence
from ..machine.jobs import Work
from ..machine.values import text as read_text
from ..pages import choices, views
from ..pages.picker import listing
from ..question import pictures
from ..question.state import State, from_query
from ..words import texts, translate
from .visit import Visit

LINK = 20_000  # characters of a link


async def networks(
    visit: Visit,
    text: str,
    where: str,
    kind: str,
    head: str,
    size: str,
    licence: str,
    order: str,
    request: gr.Request,
) -> str:
    """The networks that fit the words and the filters."""
    if is_whole(text):
        return ""
    try:
        page = await _in_background(
            request, lambda: listing(text, where, kind, head, size, licence, order)
        )
    except Exception as error:
        page = views.notice(sentence(error))
    return translate.html(page, visit.language)


async def families(visit: Visit, zoo: str, request: gr.Request) -> tuple[Any, Any, str]:
    """The families of a zoo; nothing is loaded yet."""
    try:
        groups = await _in_background(request, lambda: zoo_adapters.families(zoo))
    except Exception as error:
        refusal = translate.html(views.notice(sentence(error)), visit.language)
        return gr.skip(), gr.skip(), refusal
    first = next(iter(groups), None)
    variants = gr.Dropdown(choices.short(groups[first] if first else ()), value=None)
    reason = zoo != "bundled" and broken.hub_missing()
    notice = views.notice(texts.without_hub(reason)) if reason else ""
    return (
        gr.Dropdown(list(groups), value=first),
        variants,
        translate.html(notice, visit.language),
    )


async def members(zoo: str, family: str, request: gr.Request) -> Any:
    """The networks of a family, as choices."""
    try:
        name = read_text("family", family)
        names = await _in_background(request, lambda: zoo_adapters.families(zoo).get(name, ()))
    except WrongRequest:
        return gr.skip()
    return gr.Dropdown(choices.short(names), value=None)


async def save(values: Any, request: gr.Request) -> dict[str, str]:
    """The address of a file (see FILES) of what a query shows, or why there is none."""
    values = values if isinstance(values, dict) else {}
    try:
        query, kind = (read_text(name, values.get(name), LINK) for name in ("query", "kind"))
        make = files.FILES.get(kind, files.picture)
        with asked_by(request):
            work = Work.shared(("save", query, kind), lambda _: _saved(make, query))
        with listened_to(work):
            return await work.answer()
    except Exception as error:
        asked = values.get("lang")
        language = translate.chosen(asked if isinstance(asked, str) else None, "")
        return {"error": translate.said(sentence(error), language)}


def _saved(make: Callable[[State], tuple[bytes, str]], query: str) -> dict[str, str]:
    """The address of a file of a link, and its name."""
    state = from_query(query)
    disk.GROUP.set(pictures.group(state.image))  # the file is deleted with the upload
    data, name = make(state)
    return {"url": disk.file_url(data, name), "name": name}


def is_whole(text: str | None) -> bool:
    """Is it a name with its zoo, and not words to be found?"""
    return isinstance(text, str) and ":" in text


async def _in_background(request: Any, function: Callable[[], Any]) -> Any:
    """Run a function as work of whoever sent the request."""
    with asked_by(request):
        work = Work(lambda _: function())
    with listened_to(work):
        return await work.answer()
