"""The window in Korean: everything that a visitor can read is translated, and nothing else is."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from app.answers import kinship
from app.index import pooled
from app.machine.cache import RESULTS
from app.question.state import from_query
from app.question.tabs import DISPLAY, TABS
from app.words import texts, translate
from app.words.korean import fitted
from featvis import METHODS
from tests.support.absent import skip_or_fail
from tests.support.untranslated import (
    ROOT,
    in_html,
    in_markdown,
    in_state,
    messages,
    require_korean,
    source,
)
from zoo_adapters.bundled.scenes import CLASSES

# Of the command line and of Python alone: no visitor sees what these refuse.
APART = (
    "app/cli/*", "app/web/api.py", "app/web/endpoints.py", "app/question/recipe.py",
    "app/answers/animation.py", "app/index/b*", "app/index/c*", "app/index/hub.py",
    "app/index/plan.py", "app/index/s*", "featvis/measures/faithfulness.py",
    "app/index/reading.py", "featvis/ascent/objectives.py", "zoo_adapters/module.py",
    "app/files/compare_sheet.py", "zoo_adapters/find.py", "featvis/model.py",
    "featvis/ascent/memory.py", "zoo_adapters/bundled/*", "featvis/request.py",
    "featvis/selection.py", "zoo_adapters/given.py", "zoo_adapters/own.py",
    "zoo_adapters/checkpoints.py",
)  # fmt: skip
SEEN = [
    file
    for package in ("app", "featvis", "zoo_adapters")
    for file in sorted((ROOT / package).rglob("*.py"))
    if not any(file.relative_to(ROOT).match(pattern) for pattern in APART)
]
PAGES = [  # beside the examples of the tabs, which test_tries.py draws
    "tab=Filters&m=bundled:scenes-vit", "tab=Feature+maps&pos=3,3", "cls=3-5&method=cam,saliency",
    "method=cam,guided_backprop,smoothgrad,integrated_gradients&p.steps=4&p.samples=2",
    "method=cam&p.trust=true&p.sanity=true", "method=attention_rollout,cam&m=bundled:scenes-vit",
    "p.explain=neuron&method=saliency,cam",
    "tab=Synthesis&p.steps=2&p.size=64&method=caricature,inversion",
    "tab=Channel&layer=layer4&ch=52&m=bundled:scenes-resnet&m=bundled:scenes-alexnet",
    "tab=Neighbours&m=bundled:scenes-alexnet&p.by=layer",
    "tab=Neighbours&m=bundled:scenes-alexnet&p.by=channel",
    "tab=Compare&m=bundled:scenes-resnet&m=bundled:scenes-alexnet&method=cam&p.layers=true",
]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def few_scenes(tmp_path_factory):
    """Networks are compared over a few scenes: what is said of it is the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinship, "COUNT", kinship.BATCH)
        patch.setattr(pooled, "AMONG", 16)
        patch.setenv("FEATVIS_INDEXES", str(tmp_path_factory.mktemp("indexes")))
        yield
        RESULTS.clear()


@pytest.mark.parametrize("query", PAGES)
def test_everything_that_a_tab_shows_has_korean(query):
    require_korean(in_state(from_query(query)))


@pytest.mark.parametrize("call", ["WrongRequest", "Refusal", "say", "busy", "sentence"])
def test_every_message_has_korean(call):
    missing = []
    for file in SEEN:
        for written, example in messages(file, call):
            plain = not re.search("[A-Za-z]{2}", example)
            if not plain and not re.search("[가-힣]", translate.said(example, "ko")):
                missing.append(f"{written}    ({file.relative_to(ROOT)})")
    require_korean(missing)


def test_every_explanation_has_korean():
    explained = [tab.explanation for tab in TABS.values() if tab.explanation]
    explained += [texts.explanation([method]) for method in METHODS.values()]
    missing = [text for explanation in explained for text in in_markdown(explanation)]
    helps = {p.help for m in METHODS.values() for p in m.params if not p.tuning}
    helps |= {p.help for p in DISPLAY.values()}
    missing += [text for text in helps if not re.search("[가-힣]", translate.said(text, "ko"))]
    require_korean(missing)


def test_every_class_and_tab_has_korean():
    names = [*CLASSES, *TABS]
    for tab in TABS.values():
        names += [tab.lead, tab.others_label, tab.others, *(title for title, _ in tab.examples)]
    require_korean(name for name in names if list(in_html(name)))


def test_no_translation_is_left_of_what_is_no_longer_said():
    """Half of a key's pairs of words are still written; others stand beside a value."""
    said = re.findall(r"[\w'-]+", source().lower())
    written = {*said, *pairwise(said)}
    left = []
    for key in translate.catalog("ko"):
        pieces = re.split(r"\{[a-z_]+\}|</?b>", key.lower())
        parts = [re.findall(r"[\w'-]+", piece) for piece in pieces]
        pairs = [pair for part in parts for pair in pairwise(part)] or [w for p in parts for w in p]
        if 2 * sum(pair in written for pair in pairs) < len(pairs):
            left.append(key)
    if left:
        skip_or_fail("take these out of app/assets/words/ko.json:\n" + "\n".join(left))


@pytest.mark.parametrize(
    ("data", "outcome"), [("", pytest.skip.Exception), ("/data", pytest.fail.Exception)]
)
def test_a_missing_translation_fails_only_where_the_real_data_are(data, outcome, monkeypatch):
    monkeypatch.setenv("FEATVIS_REAL_DATA", data)
    require_korean([])
    with pytest.raises(outcome, match=r"ko\.json:\nA new sentence\.$"):
        require_korean(["A new sentence."])


def test_a_translation_has_the_values_of_its_sentence():
    for key, text in translate.catalog("ko").items():
        assert set(translate.VALUE.findall(text)) <= set(translate.VALUE.findall(key)), key
        assert sorted(re.findall("</?b>", text)) == sorted(re.findall("</?b>", key)), key


@pytest.mark.parametrize(
    ("text", "korean"),
    [
        ("channel 5 of layer3: its channels go from 0 to 9",
         "layer3의 채널 5: 채널은 0부터 9까지입니다"),
        ("Channel 5 of a: its channels go from 0 to 9.", "a의 채널 5: 채널은 0부터 9까지입니다."),
        ("Computing CAM: about 12 s … about 3 s left", "CAM 계산 중, 약 12초 … 약 3초 남음"),
        ("layer3 · 128 ch · 16x16 · stride 8", "layer3 · 채널 128개 · 16x16 · 보폭 8"),
        ("nobody has said this before", "nobody has said this before"),
        ("  Filters ", "  필터 "), ("12.5", "12.5"), ("", ""),
    ],
)  # fmt: skip
def test_a_sentence_is_found_with_its_values(text, korean):
    assert translate.said(text, "ko") == korean
    assert translate.said(text, "en") == text


def test_html_keeps_its_tags_and_what_is_escaped():
    given = '<p title="Close"><b>&lt;3</b> at most in your picture</p><i data-x="Close">Close</i>'
    made = translate.html(given, "ko")
    assert made == '<p title="닫기">내 사진에서 최대 <b>&lt;3</b></p><i data-x="Close">닫기</i>'
    assert translate.html(given, "en") == given


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        (None, "ko-KR,ko;q=0.9,en-US;q=0.8", "ko"), (None, "en-US,en;q=0.9,ko;q=0.8", "en"),
        (None, "de,ko;q=0.2,en;q=0.1", "ko"), (None, "", "en"), (None, "*;q=x,fr", "en"),
        ("en", "ko", "en"), ("ko", "en", "ko"), ("tlh", "ko", "ko"),
    ],
)  # fmt: skip
def test_the_language_is_the_links_or_else_the_browsers(asked, accepted, language):
    assert translate.chosen(asked, accepted) == language


@pytest.mark.parametrize(
    ("text", "korean"),
    [("방법을(를)", "방법을"), ("채널 5을(를)", "채널 5를"), ("채널 10이(가)", "채널 10이"),
     ("ResNet50(으)로", "ResNet50으로"), ("창문(으)로", "창문으로"), ("창틀(으)로", "창틀로"),
     ("<b>고양이</b>과(와)", "<b>고양이</b>와")],
)  # fmt: skip
def test_particles_follow_the_last_sound(text, korean):
    assert fitted(text, "ko") == korean
    assert fitted(text, "en") == text


def test_the_catalog_is_beside_the_code():
    assert (Path(translate.__file__).parents[1] / "assets" / "words" / "ko.json").is_file()
