"""Every tab's link, as the window writes it, shows the same bytes in a fresh browser."""

from __future__ import annotations

import re

import PIL.Image
import pytest

import zoo_adapters
from app.machine.cache import PASSES, RESULTS
from app.pages.starts import STARTS
from tests.support.settled import settled

NAMES = zoo_adapters.names("bundled")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore"),  # of Gradio and pandas, while the server runs
]
# The bytes of all pictures in the tab in view, as hashes.
SEEN = """async () => {
  const tab = [...document.querySelectorAll('.fv-stage [role=tabpanel]')].find((p) => p.offsetParent);
  const url = (e) => e.src || getComputedStyle(e).getPropertyValue('--u').match(/url\\(["']?(.*?)["']?\\)/)[1];
  const all = [...tab.querySelectorAll('img, [style*="--u"]')].map(url);
  return Promise.all(all.map(async (u) => {
    const answer = await fetch(u);
    const hash = await crypto.subtle.digest('SHA-256', await answer.arrayBuffer());
    return answer.status + ' ' + [...new Uint8Array(hash)].map((b) => b.toString(16)).join('');
  }));
}"""  # noqa: E501


QUICK = "&p.steps=2&p.octaves=1&seed=7&layer=layer2&ch=5"


def copied(page):
    """The link that "Copy link" gives, which is the one in the address bar."""
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("The link is copied").wait_for()
    link = page.evaluate("() => navigator.clipboard.readText()")
    assert link == page.url
    return link[link.index("?") :]


def test_every_link_of_the_window_opens_as_the_same_picture_in_a_fresh_browser(window, tmp_path):
    seen = {}

    def note(page):
        settled(page)
        link = copied(page)
        seen[link] = (page.evaluate(SEEN), page.title())

    page = window("?p.samples=3", permissions=["clipboard-read", "clipboard-write"])
    PIL.Image.effect_noise((300, 200), 60).convert("RGB").save(tmp_path / "mine.png")
    page.locator("#fv-picture button").first.click()
    page.locator("#fv-picture input[type=file]").first.set_input_files(tmp_path / "mine.png")
    page.wait_for_function(r"() => /img=[0-9a-f]{16}/.test(location.search)")
    settled(page)
    page.locator("#fv-prediction .fv-class").nth(1).click()
    page.wait_for_function("() => location.search.includes('cls=')")
    page.get_by_role("checkbox", name="SmoothGrad").click()
    page.wait_for_function("() => location.search.includes('smoothgrad')")
    note(page)  # an upload, a class, several methods, a parameter

    page.get_by_role("tab", name="Feature maps").click()
    page.locator(".fv-grid:visible [data-pick='5']").click()
    page.wait_for_function("() => location.search.includes('ch=5')")
    settled(page)
    page.locator(".fv-stack:visible").first.click(position={"x": 90, "y": 70})
    page.wait_for_function("() => location.search.includes('pos=')")
    page.get_by_role("radio", name="own").first.click()
    page.wait_for_function("() => location.search.includes('p.scale=own')")
    note(page)  # a neuron's position

    for tab in ("Filters", "Channel"):
        page.get_by_role("tab", name=tab).click()
        page.locator(".fv-grid:visible [data-pick='3']").click()
        page.wait_for_function("() => location.search.includes('ch=3')")
        note(page)
    page.get_by_role("tab", name="Neighbours").click()
    page.locator(".fv-tiles.large:visible").wait_for()
    note(page)
    page.get_by_role("tab", name="Compare").click()
    page.locator(".fv-compared").first.wait_for()
    settled(page)
    page.locator(".fv-others:visible input").first.click()
    page.get_by_role("option", name="bundled:scenes-vit").click()
    page.wait_for_function("() => location.search.includes('scenes-vit')")
    page.get_by_role("radio", name="depth").click()
    page.wait_for_function("() => location.search.includes('p.columns=depth')")
    note(page)  # several networks
    for tab in ("Synthesis", "DeepDream"):
        page.goto(page.url.partition("?")[0] + f"?tab={tab}&m=bundled:scenes-resnet{QUICK}")
        page.locator(".fv-made:visible img").first.wait_for()
        note(page)

    assert [re.findall("tab=([^&]+)", link)[0].replace("+", " ") for link in seen] == [
        "Class evidence", "Feature maps", "Filters", "Channel", "Neighbours", "Compare",
        "Synthesis", "DeepDream",
    ]  # fmt: skip
    RESULTS.clear()  # all of it is computed anew
    PASSES.clear()
    for link, (pictures, title) in seen.items():
        fresh = window(link)
        assert pictures, link
        assert fresh.evaluate(SEEN) == pictures, link
        assert fresh.title() == title
        assert fresh.url.endswith(link)
        fresh.context.close()


def test_a_newcomer_starts_from_a_picture_and_the_page_has_its_title(window):
    page = window()
    first = NAMES[0].partition(":")[2]
    assert page.title() == f"Class evidence · {first} · strawberry · featvis"
    page.get_by_role("button", name="Start from one of these").click()
    page.locator(".fv-starts a").nth(len(STARTS) - 1).wait_for()
    assert page.locator(".fv-starts a").count() == len(STARTS)
    page.get_by_role("link", name=STARTS[0].title).click()
    page.wait_for_url("**method=cam**")
    page.locator(".fv-heat:visible").first.wait_for()
    settled(page)
    assert page.title() == "CAM · scenes-resnet · strawberry · featvis"
