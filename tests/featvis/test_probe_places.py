"""Where in a picture: the parts that channels detect, and the patches that positions see."""

from __future__ import annotations

from itertools import product

import pytest
import torch

import featvis
from featvis.probe import Masked, dissect, patch
from tests.support import tiny

NETS = tiny.nets()


def test_a_part_is_found_by_its_channel():
    """IoU with masks, against a loop over cells; and 1 where the mask is the detector itself."""
    model = tiny.model(NETS["GAP + FC"])
    pixels = tiny.images(3)
    masks = torch.rand(3, 2, 32, 32, generator=torch.Generator().manual_seed(0)).double().round()
    limits = {"trunk": torch.full((6,), 0.1).double()}
    found = dissect(model, [Masked(pixels[:2], masks[:2]), Masked(pixels[2:], masks[2:])], limits)
    maps = featvis.record(model, pixels, "trunk")["trunk"]
    place, (h, w) = model.layer("trunk").place, maps.shape[2:]
    for c, p in product(range(6), range(2)):
        both = either = 0
        for n, i, j in product(range(3), range(32), range(32)):
            y = ((i + 0.5) * 24 / 32 - place.start[0]) / place.step[0]
            x = ((j + 0.5) * 32 / 32 - place.start[1]) / place.step[1]
            y, x = min(max(y, 0), h - 1), min(max(x, 0), w - 1)
            a, b = min(int(y), h - 2), min(int(x), w - 2)
            u, v = y - a, x - b
            m = maps[n, c]
            value = (m[a, b] * (1 - v) + m[a, b + 1] * v) * (1 - u)
            value += (m[a + 1, b] * (1 - v) + m[a + 1, b + 1] * v) * u
            inside, part = bool(value > 0.1), bool(masks[n, p, i, j] > 0)
            both += inside and part
            either += inside or part
        assert float(found["trunk"][c, p]) == pytest.approx(both / either, abs=1e-12)


def test_a_patch_is_the_receptive_field_on_the_original():
    model = tiny.model(NETS["GAP + FC"])
    seen = featvis.receptive_field(model, "trunk", (2, 3))
    assert patch(model, "trunk", (2, 3)).box == pytest.approx(seen.box)
    image = featvis.Image(tiny.images(1), (10.0, 20.0, 58.0, 84.0), (68, 104))  # twice as large
    box = patch(model, "trunk", (2, 3), image).box
    assert box == pytest.approx(
        (10 + 2 * seen.box.top, 20 + 2 * seen.box.left,
         10 + 2 * seen.box.bottom, 20 + 2 * seen.box.right)
    )  # fmt: skip


def test_a_patch_of_attention_is_the_effective_box_and_says_so():
    model = tiny.model(NETS["tokens, average"])
    layer = list(model.layers)[-1]
    h, w = model.layer(layer).size
    made = patch(model, layer, (h // 2, w // 2))
    assert made.effective
    assert "attention" in made.note
    assert made.box == featvis.receptive_field(model, layer, (h // 2, w // 2)).effective
