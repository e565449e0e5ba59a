"""The pages, the picker and the files in a real browser."""

from __future__ import annotations

import pytest

from tests.support.settled import filled, settled

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore"),  # of Gradio and pandas, while the server runs
]


def test_networks_are_found_by_words_and_filters_and_one_is_chosen(window):
    page = window()
    page.get_by_role("button", name="Find any network").click()
    page.wait_for_function("() => document.querySelectorAll('.fv-found button').length === 40")
    filled(page, "Words of the name", "").press_sequentially("scenes net")
    page.wait_for_function("() => document.querySelectorAll('.fv-found button').length === 3")
    names = page.locator(".fv-found b").all_inner_texts()
    assert all("scenes" in name and "net" in name for name in names)
    page.locator(".fv-found button", has_text="scenes-mobilenet").click()
    page.wait_for_function("() => location.search.includes('scenes-mobilenet')")
    settled(page)
    assert page.locator(".fv-heat:visible").count() >= 1


def test_the_channel_page_leads_on(window, tmp_path):
    page = window("?tab=Channel&layer=layer3&ch=7&m=bundled:scenes-resnet")
    assert page.locator(".fv-page h2").inner_text().split() == ["layer3", "channel", "7"]
    page.locator(".fv-grid:visible [data-pick='12']").click()
    page.locator(".fv-page h2", has_text="channel 12").wait_for()
    assert "ch=12" in page.url
    settled(page)
    page.locator(".fv-page [data-pick^='picture:']").first.click()
    page.wait_for_function("() => location.search.includes('img=scene-10')")
    settled(page)
    page.get_by_role("button", name="›").click()
    page.locator(".fv-page h2", has_text="channel 13").wait_for()
    page.screenshot(path=tmp_path / "channel.png", full_page=True)


def test_a_neighbour_becomes_the_query(window, tmp_path):
    page = window("?tab=Neighbours&m=bundled:scenes-resnet&img=scene-2")
    page.screenshot(path=tmp_path / "neighbours.png", full_page=True)
    tile = page.locator(".fv-tiles.large [data-pick]").first
    name = tile.get_attribute("data-pick").partition(":")[2]
    tile.click()
    page.wait_for_function("name => location.search.includes(name)", arg=f"img={name}")


def test_networks_are_compared_and_the_rest_goes_on(window, tmp_path):
    page = window("?tab=Compare&m=bundled:scenes-resnet&m=bundled:scenes-vit&method=cam,saliency")
    page.locator(".fv-agree td").first.wait_for()
    settled(page)
    assert page.locator(".fv-compared").count() == 2
    assert page.locator(".fv-heat:visible").count() == 3  # the transformer has no CAM
    assert "class token" in page.locator(".fv-compared").nth(1).inner_text()
    page.screenshot(path=tmp_path / "compare.png", full_page=True)


def test_recipe_and_code_are_offered(window, tmp_path):
    page = window("?method=cam")
    for button, said in (("Recipe", '"method": "cam"'), ("Python", "featvis.cam(model, image")):
        with page.expect_download() as download:
            page.get_by_role("button", name=button, exact=True).click()
        download.value.save_as(tmp_path / "file")
        assert said in (tmp_path / "file").read_text("utf8")
