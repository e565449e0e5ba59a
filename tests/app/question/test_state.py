"""The state and its link: what goes in comes out, and what is wrong is left out."""

from __future__ import annotations

import random

import pytest

from app.question.state import State, from_query, start, to_query
from app.question.tabs import FAMILIES
from featvis import METHODS

ODD = ["timm:hf-hub:org/name", "timm:local-dir:/a b/c&d=e#f?g", "zoo:ü+%20", "x:'\"<script>"]


def states(count):
    """States of all kinds, by seed."""
    for seed in range(count):
        rng = random.Random(seed)
        tab = rng.choice(FAMILIES)
        family = [name for name, method in METHODS.items() if method.family == tab]
        params = {"scale": rng.choice(["shared", "own"])} if rng.random() < 0.5 else {}
        yield State(
            tab=tab,
            model=rng.choice(ODD),
            image=rng.choice(["scene-0", "scene-1234567", "0123456789abcdef"]),
            methods=tuple(m for m in family if rng.random() < 0.5),
            layer=rng.choice([None, "layer4.1.conv2", "a b&c"]),
            channel=rng.choice([None, 0, 2047]),
            position=rng.choice([None, (0, 0), (13, 6)]),
            target=rng.choice([None, "0", "999", "3-14", "scene-7"]),
            seed=rng.choice([0, 7]),
        ).having(**params)


@pytest.mark.parametrize("state", list(states(40)))
def test_a_link_gives_back_the_state(state):
    assert from_query(to_query(state)) == state


def test_a_link_is_readable():
    state = State(
        model="timm:resnet50", layer="layer3.2", channel=17, position=(3, 4), target="281"
    )
    assert to_query(state) == (
        "v=1&tab=Class+evidence&m=timm:resnet50&layer=layer3.2&ch=17&cls=281&pos=3,4&img=scene-24"
    )


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "v=1&unknown=1&__theme=dark",
        "tab=No+such+tab",
        "m=",
        "m=" + "x" * 301,
        "m=a%00b",
        "img=../../etc/passwd",
        "img=scene-",
        "img=scene-%D9%A3",
        "ch=-1&cls=1e3&seed=x",
        "ch=%C2%B2",
        "ch=99999999999999999999",
        "pos=1&pos=1,2,3",
        "pos=a,b",
        "method=no_method,",
        "p.sort=upside-down&p.nothing=1&p.scale=none",
        "layer=%0A",
    ],
)
def test_what_is_wrong_in_a_link_is_left_out(query):
    assert from_query(query) == start()


def test_the_rest_of_a_wrong_link_is_kept():
    assert from_query("m=timm:a&ch=x&cls=3") == start().but(model="timm:a", target="3")


def test_the_start_can_be_another_model(monkeypatch):
    monkeypatch.setenv("FEATVIS_MODEL", "torchvision:alexnet")
    assert start().model == "torchvision:alexnet"
