"""Good starts, titles and previews of links: declared once, true, and the page restores each."""

from __future__ import annotations

import io
import re

import PIL.Image
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

import zoo_adapters
from app import docs
from app.pages import starts, tabs
from app.pages.starts import STARTS
from app.question import pictures
from app.question.state import State, from_query, to_query
from app.question.tabs import TABS
from app.question.title import title
from app.web import preview
from app.window.visit import simpler_states

NAMES = zoo_adapters.names("bundled")


@pytest.mark.parametrize("start", STARTS, ids=[start.title for start in STARTS])
def test_a_start_is_restored_exactly_and_shows_all_that_it_asks_for(start):
    """The page opens the first of ever simpler states that can be drawn: it must be this one."""
    asked = from_query(to_query(start.state))
    assert asked == start.state
    assert next(iter(simpler_states(asked))) == start.state
    shown = tabs.draw(asked)
    assert shown.view
    assert "fv-notice" not in shown.view
    if start.state.methods and start.state.tab == "Class evidence":
        assert shown.view.count("fv-heat") == len(start.state.methods)


def test_starts_are_over_what_comes_with_featvis_and_cover_every_tab():
    assert {start.state.tab for start in STARTS} == set(TABS)
    assert len({to_query(start.state) for start in STARTS}) == len(STARTS)
    for start in STARTS:
        assert {start.state.model, *start.state.others} <= set(NAMES)
        assert start.state.image in pictures.EXAMPLES
        assert len(start.why) < 110


def test_the_window_and_the_page_have_each_of_them_with_its_picture():
    view, page = starts.view(), starts.page()
    links = re.findall(r'href="\?([^"]+)"', view)
    assert [from_query(link.replace("&amp;", "&")) for link in links] == [s.state for s in STARTS]
    assert all(f"/?{to_query(start.state)})" in page for start in STARTS)
    rows = -(-len(STARTS) // starts.COLUMNS)
    with PIL.Image.open(starts.FILE) as sheet:
        assert sheet.width / starts.COLUMNS == sheet.height / rows
    assert docs.LINKS.read_text("utf8") == page


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (State(methods=("cam",)), "CAM · scenes-resnet · strawberry"),
        (State(methods=("cam", "saliency")), "Class evidence · scenes-resnet · strawberry"),
        (State(image="0" * 16), "Class evidence · scenes-resnet"),
        (State(tab="Channel", layer="layer3", channel=7),
         "Channel · scenes-resnet · layer3 channel 7"),
        (State(tab="Compare", others=("timm:hf-hub:a/vit",)),
         "Compare · scenes-resnet, vit · strawberry"),
        (State(tab="Filters"), "Filters · scenes-resnet"),
    ],
)  # fmt: skip
def test_a_title_says_what_is_shown(state, told):
    assert title(state) == told


def page_of(query, root="https://example.org/sub", path="/"):
    """What the middleware makes of a page of Gradio's."""

    async def gradio(request):
        text = (
            '<html><head><title>old</title><meta property="og:title" content="Gradio" />\n<meta\n'
            'property="og:image"\ncontent="https://elsewhere/a.jpg"/></head><body>og:title</body>'
        )
        return HTMLResponse(text)

    async def other(request):
        return Response(b"<head></head>", media_type="application/json")

    app = Starlette(routes=[*preview.ROUTES, Route("/", gradio), Route("/api", other)])
    return TestClient(preview.Preview(app, lambda request: root)).get(path + query)


def test_the_head_of_a_link_says_what_it_shows_and_leaves_the_rest():
    start = STARTS[0]
    text = page_of(f"?{to_query(start.state)}").text
    assert text.count("og:title") == 2  # ours, and that of the body
    assert "elsewhere" not in text
    assert "<title>CAM · scenes-resnet · strawberry · featvis</title>" in text
    assert 'content="https://example.org/sub/preview.jpg"' in text
    assert start.why.split(",")[0].replace("'", "&#x27;") in text
    assert text.endswith("<body>og:title</body>")
    assert "old" not in text


def test_a_plain_address_has_the_name_of_the_window_and_an_evil_link_is_escaped():
    assert preview.NAME in page_of("").text
    evil = page_of("?tab=Compare&m=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>" not in evil


def test_the_picture_of_a_preview_has_the_shape_of_previews():
    answer = page_of("", path="/preview.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    with PIL.Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.size == (1200, 630)
    assert len(answer.content) < 300_000  # what previews load at most
    assert page_of("", path="/api").content == b"<head></head>"
