"""Finding a network offline: by fragments of its name and by what is known of it."""

from __future__ import annotations

import socket

import pytest

import zoo_adapters
from featvis.model import WrongRequest
from zoo_adapters.facts import HEADS, KINDS
from zoo_adapters.find import nearest
from zoo_adapters.measured import FILE, Entry, completed, table


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))


def names(*args, **how):
    return [facts.name for facts in zoo_adapters.find(*args, **how)]


def test_fragments_find_names():
    assert "timm:convnext_nano.in12k" in names("conv nano")
    found = names("resnet 50 a1", zoo="timm")
    assert found[0] == "timm:resnet50.a1_in1k"
    assert all("resnet" in n and "50" in n and "a1" in n for n in found)
    assert names("nothing of the kind") == []


def test_a_word_that_is_in_no_name_has_near_ones():
    assert nearest("reznet")[0] == "resnet"
    assert "mobilenetv3" in nearest("small mobilnetv3")
    assert nearest("conv nano") == nearest("resnet vit") == nearest("") == ()
    assert nearest("qqqqqqqqqqqq") == ()


def test_without_a_text_all_are_listed_once_the_popular_families_first():
    found = names(zoo="timm")
    assert sorted(found) == sorted(zoo_adapters.names("timm"))
    assert zoo_adapters.find(zoo="timm")[0].family == "resnet"
    assert {name.partition(":")[0] for name in names()} >= {"bundled", "timm", "torchvision"}


def test_every_filter_is_the_definition_again():
    everything = zoo_adapters.find()
    wanted = {
        "family": ("convnext", lambda f: f.family == "convnext"),
        "most_parameters": (5e6, lambda f: f.about is not None and f.about <= 5e6),
        "head": ("any", lambda f: f.head in HEADS[:3]),
        "kind": ("transformer", lambda f: f.kind == "transformer"),
        "licence": ("cc-by-nc", lambda f: f.licence.startswith("cc-by-nc")),
    }
    for name, (value, fits) in wanted.items():
        expected = [f.name for f in everything if fits(f)]
        assert names(**{name: value}) == expected
        assert 0 < len(expected) < len(everything)
    free = zoo_adapters.find(licence="commercial")
    assert not [f for f in free if "-nc-" in f.licence or f.licence == "unknown"]


def test_orders():
    about = [f.about for f in zoo_adapters.find("resnet", sort="parameters") if f.about]
    assert about == sorted(about)
    costs = [f.gmacs for f in zoo_adapters.find("resnet", sort="gmacs") if f.gmacs]
    assert costs == sorted(costs)
    assert names("vgg", sort="name") == sorted(names("vgg"))
    once, again = names("vgg", sort="random", seed=1), names("vgg", sort="random", seed=1)
    assert once == again != names("vgg", sort="random", seed=2)
    assert sorted(once) == sorted(names("vgg"))


@pytest.mark.parametrize("how", [{"head": "some"}, {"kind": "large"}, {"sort": "best"}])
def test_wrong_filters_are_refused_with_the_right_ones(how):
    with pytest.raises(WrongRequest, match="is one of"):
        zoo_adapters.find(**how)


# --- the table ------------------------------------------------------------------------------------


def test_the_table_is_small_and_true_of_networks_that_are_built():
    assert FILE.stat().st_size < 300_000
    for name in ("timm:test_resnet", "timm:test_vit", "torchvision:mobilenet_v3_small"):
        entry = table()[name]
        model = zoo_adapters.load(name, pretrained=False)
        assert entry.parameters == model.parameters
        assert entry.size == model.size
        assert entry.kind == ("transformer" if "vit" in name else "convolutional")
        if entry.head:
            assert entry.head == (model.head.kind if model.head else "none")


def test_every_row_is_of_a_network_that_is_listed():
    listed = {n.partition(".")[0] for zoo in ("timm", "torchvision") for n in names(zoo=zoo)}
    rows = [name for name in table() if not name.startswith("transformers:")]
    assert set(rows) <= listed
    for name, entry in table().items():
        assert entry.parameters > 0, name
        assert entry.gmacs > 0, name
        assert entry.kind in ("", *KINDS), name
        assert entry.head in ("", *HEADS), name


def test_listed_networks_have_a_kind_and_all_but_three_a_head():
    assert [f.name for f in zoo_adapters.find() if f.kind not in KINDS] == []
    # weights with other classes than the architecture has by itself, or without any
    assert [f.name for f in zoo_adapters.find() if not f.head] == [
        "timm:vit_so400m_patch14_siglip_378.webli_ft_in1k",
        "timm:vit_so400m_patch14_siglip_gap_378.webli_ft_in1k",
        "torchvision:vgg16.IMAGENET1K_FEATURES",
    ]


def test_known_costs_are_those_of_the_literature():
    assert table()["timm:resnet50"].gmacs == pytest.approx(4.09, abs=0.02)
    assert table()["timm:vgg16"].gmacs == pytest.approx(15.47, abs=0.02)


def test_weights_of_another_size_or_of_other_classes_are_told_apart(monkeypatch):
    row = {"timm:net": Entry(1000, 2.0, (224, 224), 10, "transformer", "exact")}
    monkeypatch.setattr("zoo_adapters.measured.table", lambda: row)
    facts = zoo_adapters.Facts("timm:net.a", "net", "net.a", size=(224, 224), classes=10)
    same = completed(facts, "timm:net")
    assert (same.parameters, same.about, same.gmacs, same.head) == (1000, 1000, 2.0, "exact")
    from dataclasses import replace

    larger = completed(replace(facts, size=(448, 448)), "timm:net")
    assert (larger.parameters, larger.about, larger.gmacs) == (None, 1000, 8.0)
    headless = completed(replace(facts, classes=0), "timm:net")
    assert (headless.parameters, headless.head) == (None, "none")
    assert completed(facts, "timm:other") == facts


def test_what_does_not_fit_into_memory_is_refused_before_anything_is_done(monkeypatch):
    assert zoo_adapters.too_large("timm:test_resnet") is None
    monkeypatch.setattr(zoo_adapters, "memory", lambda: 10_000_000)
    assert "of memory" in zoo_adapters.too_large("timm:resnet50")
    with pytest.raises(WrongRequest, match="choose a smaller one"):
        zoo_adapters.load("timm:resnet50")


# --- the page of the sweep ------------------------------------------------------------------------


def test_the_page_counts_what_was_measured_and_says_what_was_not():
    from benchmarks.sweep.page import page

    listed = {"timm": ["timm:a", "timm:b", "timm:c"], "torchvision": ["torchvision:a"],
              "torchvision, detection": ["torchvision:d"]}  # fmt: skip
    facts = {n: {"error": ""} for n in ("timm:a", "timm:b", "torchvision:a", "torchvision:d")}
    heads = {
        "timm:a": {"error": "", "head": "exact", "reason": "", "residual": "1e-7"},
        "timm:b": {"error": "", "head": "none", "reason": "its classifier reads the class token"},
        "torchvision:a": {"error": "FAILED ValueError: no"},
    }
    methods = {"timm:a": {"error": "", "cam": "1 passes, in float64", "saliency": "FAILED it"},
               "timm:b": {"error": "", "cam": "it has none", "saliency": "1 passes"}}  # fmt: skip
    text = page(listed, facts, heads, methods)
    assert "| timm | 3 | 2 | 2 | 2 |" in text
    assert "| torchvision | 1 | 1 | 0 | 0 |" in text
    assert "| torchvision, detection | 1 | 1 | 0 | 0 |" in text
    assert text.count("torchvision 0.") == 1
    assert "What is missing was not reached, or failed" in text
    assert "| timm | 1 | 0 | 0 | 1 | 1 |" in text
    assert "- 1: its classifier reads the class token. b" in text
    assert "| CAM | 1 | 1 | 0 |" in text
    assert "| Saliency | 1 | 0 | 1 |" in text
    assert "- `torchvision:a`, head: ValueError: no" in text
    assert "- `timm:a`, saliency: it" in text
