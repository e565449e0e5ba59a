"""The window in a real browser: what a newcomer does in the first two minutes."""

from __future__ import annotations

import time

import PIL.Image
import pytest

import zoo_adapters
from tests.support.settled import SLOW, filled, settled

NAMES = zoo_adapters.names("bundled")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore"),  # of Gradio and pandas, while the server runs
]


def test_a_newcomer_sees_a_map_without_a_click(window, tmp_path):
    page = window()
    assert page.locator("figure").filter(has_text="CAM").locator(".fv-heat").first.is_visible()
    assert "adds up to the logit" in page.locator("figcaption").first.inner_text()
    assert page.locator("#fv-prediction .fv-class").count() == 5
    page.screenshot(path=tmp_path / "first.png", full_page=True)


def test_model_layer_tile_point_and_class(window, tmp_path):
    page = window()
    page.get_by_role("tab", name="Feature maps").click()
    page.locator(".fv-grid:visible").wait_for()
    settled(page)
    page.get_by_role("combobox", name="Layer").click()
    page.get_by_role("option").nth(2).click()
    settled(page)
    page.locator(".fv-grid:visible [data-pick='5']").click()
    page.get_by_text("Channel 5", exact=True).wait_for()
    settled(page)
    assert page.get_by_role("spinbutton", name="Channel").input_value() == "5"
    page.locator(".fv-stack:visible").first.click(position={"x": 90, "y": 90})
    page.locator(".fv-mark:visible").first.wait_for()
    settled(page)
    assert "ch=5" in page.url
    assert "pos=" in page.url
    page.get_by_role("tab", name="Class evidence").click()
    page.locator("figure:visible").first.wait_for()
    settled(page)
    second = page.locator(".fv-class").nth(1)
    label = second.locator("span").inner_text()
    second.click()
    page.locator("figcaption:visible b", has_text=label).first.wait_for()
    settled(page)
    assert "cls=" in page.url
    page.screenshot(path=tmp_path / "class.png", full_page=True)


def test_another_network_and_another_picture(window):
    page = window()
    other = NAMES[-1]
    page.get_by_role("button", name="Find any network").click()
    filled(page, "Words of the name", other).press("Enter")
    page.wait_for_function("name => location.search.includes(name)", arg=other)
    settled(page)
    page.locator("#fv-examples [data-pick]").nth(3).click()
    page.wait_for_function("() => !location.search.includes('img=scene-24')")
    settled(page)
    assert page.locator("#fv-examples [aria-pressed=true]").count() == 1


def test_an_upload_is_shown(window, tmp_path):
    page = window()
    PIL.Image.effect_noise((300, 200), 60).convert("RGB").save(tmp_path / "mine.png")
    page.locator("#fv-picture button[aria-label='Clear'], #fv-picture button").first.click()
    page.locator("#fv-picture input[type=file]").first.set_input_files(tmp_path / "mine.png")
    page.wait_for_function(r"() => /img=[0-9a-f]{16}/.test(location.search)")
    delete = page.get_by_role("button", name="Delete this picture everywhere")
    delete.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.search.includes('img=scene-24')")
    delete.wait_for(state="detached")
    assert "Anyone who has its link can see it" in page.locator("#fv-upload").inner_text()


def test_a_link_opens_what_it_shows(window):
    query = f"?tab=Feature+maps&m={NAMES[0]}&ch=7&img=scene-2&p.scale=own"
    page = window(query)
    page.get_by_text("Channel 7", exact=True).wait_for()
    assert page.get_by_role("tab", name="Feature maps").get_attribute("aria-selected") == "true"
    assert page.get_by_role("radio", name="own").first.is_checked()
    assert "p.scale=own" in page.url


@pytest.mark.parametrize("wrong", ["m=timm:no_such_model", "tab=Feature+maps&ch=99999",
                                   "layer=no.layer", "cls=99999", "img=" + 16 * "0"])  # fmt: skip
def test_a_wrong_link_says_so_and_shows_what_it_can(window, wrong):
    page = window(f"?{wrong}")
    page.get_by_role("alert").wait_for()
    assert page.get_by_role("alert").inner_text().count(".") >= 1


def test_a_wrong_request_keeps_the_last_result(window):
    page = window()
    before = page.url
    page.get_by_role("button", name="Find any network").click()
    filled(page, "Words of the name", "timm:resnet5000").press("Enter")
    page.get_by_role("alert").wait_for()
    assert "timm:resnet" in page.get_by_role("alert").inner_text()
    assert page.url == before
    assert page.get_by_placeholder("conv nano").input_value() == "timm:resnet5000"
    assert page.locator(".fv-heat:visible").count() >= 1
    page.get_by_role("button", name="Close").click()
    page.get_by_role("alert").wait_for(state="detached")


def test_files_are_offered(window, tmp_path):
    page = window()
    for button, start in (("PNG", b"\x89PNG"), ("Arrays (npz)", b"PK")):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        download.value.save_as(tmp_path / "file")
        assert (tmp_path / "file").read_bytes().startswith(start)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off(window, width, scheme, tmp_path):
    page = window(width=width, color_scheme=scheme)
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0
    page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)


def test_tiles_are_reached_by_keyboard(window):
    page = window("?tab=Feature+maps")
    page.locator(".fv-grid:visible [data-pick]").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_text("Channel 1", exact=True).wait_for()


def test_the_page_is_quick(window):
    begin = time.monotonic()
    window()
    assert time.monotonic() - begin < 30  # 2 s on an idle machine


def test_six_methods_side_by_side_are_in_the_link(window):
    six = "cam,grad_cam,layer_cam,saliency,gradient_x_input,guided_backprop"
    page = window(f"?method={six}")
    assert page.locator(".fv-row figure").count() == 6
    assert page.locator(".fv-heat:visible").count() == 6
    page.get_by_role("checkbox", name="HiResCAM").click()
    page.get_by_role("alert").wait_for()
    assert "at most 6" in page.get_by_role("alert").inner_text()
    settled(page)
    assert page.locator(".fv-row figure").count() == 6


def test_a_map_is_enlarged_and_put_back(window):
    page = window()
    figure = page.locator(".fv-row figure").nth(1)
    before = figure.bounding_box()["width"]
    figure.get_by_role("button").click()
    assert figure.bounding_box()["width"] > 1.5 * before
    figure.get_by_role("button").click()
    assert figure.bounding_box()["width"] == pytest.approx(before)


def test_a_class_is_held_against_another(window):
    page = window()
    page.get_by_role("combobox", name="rather than").click()
    page.get_by_role("option").nth(3).click()
    page.wait_for_function(r"() => /cls=\d+-\d+/.test(location.search)")
    settled(page)
    assert "rather than" in page.locator("figcaption b").first.inner_text()


def test_a_point_of_the_picture_picks_a_neuron(window):
    page = window("?p.explain=neuron")
    page.locator(".fv-stack:visible").nth(2).click(position={"x": 100, "y": 120})
    page.wait_for_function("() => location.search.includes('pos=')")
    settled(page)
    assert page.locator(".fv-mark:visible").count() >= 1
    shown = page.locator("figure", has=page.locator(".fv-heat:visible")).first
    assert "activation" in shown.locator("figcaption").inner_text()


def test_trust_and_the_sanity_check_are_one_click_away(window, tmp_path):
    page = window("?method=cam")
    page.get_by_role("checkbox", name="Trust", exact=True).click()
    page.get_by_text("random map").first.wait_for()
    settled(page)
    assert page.locator(".fv-box:visible").count() == 1
    page.get_by_role("checkbox", name="Sanity", exact=True).click()
    page.locator(".fv-strip img").first.wait_for()
    settled(page)
    assert page.locator(".fv-strip img").count() == 5
    assert "sanity check" in page.locator("figcaption").first.inner_text()
    page.screenshot(path=tmp_path / "trust.png", full_page=True)


def test_slow_work_tells_its_time_and_is_cancelled(window):
    page = window("?method=cam&p.steps=500")
    chip = page.locator("label", has_text="Integrated gradients")
    assert "about" in chip.inner_text()
    chip.click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("alert").wait_for()
    assert "Cancelled" in page.get_by_role("alert").inner_text()
    assert page.locator(".fv-row figure").count() == 1
    assert "integrated_gradients" not in page.url


def test_a_channel_is_sent_to_synthesis_and_a_class_is_made(window, tmp_path):
    page = window("?tab=Feature+maps&p.steps=12")
    page.locator(".fv-grid:visible [data-pick='5']").click()
    page.get_by_text("Channel 5", exact=True).wait_for()
    settled(page)
    page.get_by_role("tab", name="Synthesis").click()
    page.locator(".fv-made:visible").get_by_text("channel 5").wait_for(timeout=3 * SLOW)
    settled(page)
    assert page.locator(".fv-made:visible .fv-curve").count() == 1
    assert page.locator(".fv-made:visible img").evaluate("img => img.naturalWidth") >= 64
    assert "ch=5" in page.url
    page.screenshot(path=tmp_path / "made.png", full_page=True)


@pytest.mark.parametrize("tab", ["Synthesis", "DeepDream"])
def test_a_link_makes_its_picture_on_a_phone_too(window, tab, tmp_path):
    page = window(f"?tab={tab}&p.steps=3", width=390)
    assert page.locator(".fv-made:visible img").count() == 1
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0
    page.screenshot(path=tmp_path / f"{tab}.png", full_page=True)


def test_a_pasted_picture_is_shown_and_then_an_example(window):
    page = window(permissions=["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
            const canvas = Object.assign(document.createElement('canvas'), {width: 90, height: 60});
            canvas.getContext('2d').fillRect(9, 9, 40, 40);
            const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
            await navigator.clipboard.write([new ClipboardItem({'image/png': blob})]);
        }"""
    )
    picture = page.locator("#fv-picture")
    picture.get_by_role("button", name="Remove Image").click()
    picture.get_by_text("Drop Image Here").wait_for()
    picture.get_by_role("button", name="Paste from clipboard").last.click()  # pastes at once
    page.wait_for_function(r"() => /img=[0-9a-f]{16}/.test(location.search)")
    settled(page)
    shown = page.locator("#fv-picture img").first.get_attribute("src")
    assert shown.endswith("gradio_api/file=" + page.url.partition("img=")[2][:16])
    page.locator("#fv-examples [data-pick]").nth(2).click()
    page.wait_for_function("() => /img=scene-/.test(location.search)")
    settled(page)
    assert "/picture.webp" in page.locator("#fv-picture img").first.get_attribute("src")


def test_an_upload_that_is_refused_says_why(browser, address, tmp_path):
    (tmp_path / "mine.png").write_bytes(b"<svg/>")
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.locator("figure").first.wait_for()
    page.locator("#fv-picture button[aria-label='Clear'], #fv-picture button").first.click()
    page.locator("#fv-picture input[type=file]").first.set_input_files(tmp_path / "mine.png")
    page.get_by_text("this is not a picture that can be read").first.wait_for()
    context.close()
