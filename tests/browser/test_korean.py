"""The window in Korean, in a real browser."""

from __future__ import annotations

import json
import re
from urllib.request import Request, urlopen

import pytest

from tests.support.settled import filled, settled
from tests.support.untranslated import in_html, in_markdown, require_korean

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore"),  # of Gradio and pandas, while the server runs
]


def test_every_component_has_korean(address):
    with urlopen(f"{address}config") as answer:
        components = json.load(answer)["components"]
    missing: list[str] = []
    for component in components:
        props, kind = component["props"], component["type"]
        told = [
            props.get(name) for name in ("label", "info", "placeholder", "submit_btn", "alt_text")
        ]
        told += [choice[0] for choice in props.get("choices") or ()]
        told += [props.get("html_template")] if kind == "html" else []
        told += [props.get("value")] if kind in ("html", "button") else []
        for text in told:
            if kind != "api" and isinstance(text, str) and "${value}" not in text:
                missing += in_html(text)
        if kind == "markdown":
            missing += in_markdown(str(props["value"]))
    require_korean(missing)


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [("", "ko-KR,ko;q=0.9", "ko"), ("", "en-US", "en"), ("?lang=en", "ko", "en")],
)
def test_the_first_page_is_in_its_language_and_small(address, query, accepted, language):
    headers = {"Accept-Language": accepted, "Accept-Encoding": "gzip"}
    with urlopen(Request(address + query, headers=headers)) as answer:
        size = len(answer.read())
    assert size < 120_000
    with urlopen(Request(address + query, headers={"Accept-Language": accepted})) as answer:
        text = answer.read().decode("utf8")
        assert "Accept-Language" in answer.headers["Vary"]
    assert re.search(r'<html\s+lang="(\w+)"', text)[1] == language
    assert ("특징 맵" in text) == (language == "ko")
    assert ("Feature maps: " in text) == ("특징 맵: " in text)


def test_a_korean_browser_gets_a_korean_window(window, tmp_path):
    page = window(locale="ko-KR")
    assert page.evaluate("document.documentElement.lang") == "ko"
    assert "로짓과 정확히 일치합니다" in page.locator("figcaption").first.inner_text()
    page.get_by_role("tab", name="특징 맵").click()
    page.locator(".fv-grid:visible").wait_for()
    settled(page)
    page.get_by_text("이 뉴런이 보는 곳", exact=True).wait_for()
    page.get_by_role("button", name="네트워크 찾기").click()
    filled(page, "이름의 일부", "timm:resnet5000").press("Enter")
    page.get_by_role("alert").wait_for()
    assert "가장 가까운 이름" in page.get_by_role("alert").inner_text()
    page.screenshot(path=tmp_path / "korean.png", full_page=True)


def test_the_other_language_shows_what_is_shown(window):
    page = window("?tab=Feature+maps&ch=7")
    settled(page)  # Gradio's client writes an error where a page is left while it waits
    page.get_by_role("link", name="한국어").click()
    page.get_by_text("채널 7", exact=True).first.wait_for()
    settled(page)
    assert "lang=ko" in page.url
    assert "ch=7" in page.url
    assert page.get_by_role("link", name="English").get_attribute("lang") == "en"
