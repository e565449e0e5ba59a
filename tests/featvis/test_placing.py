"""Where maps are drawn: the mirror test on some networks, edges, and colors beside heat."""

from __future__ import annotations

import pytest
import torch

import featvis
import zoo_adapters
from benchmarks.placing import measured, mirrored, pictures
from featvis import Image, render
from featvis.types import Heatmap, Place


@pytest.mark.parametrize(
    ("name", "pretrained"),
    [
        ("bundled:scenes-resnet", True),
        ("bundled:scenes-mobilenet", True),
        ("torchvision:shufflenet_v2_x0_5", False),
    ],
)
def test_maps_are_placed_twice_as_well_as_stretched_ones(name, pretrained):
    model = mirrored(zoo_adapters.load(name, pretrained=pretrained))
    row = measured(model, pictures(model, 4))
    assert row.holds
    assert row.ours < 0.13 < 0.3 < row.plain


def test_a_map_that_is_placed_wrongly_fails_the_mirror_test():
    model = mirrored(zoo_adapters.load("bundled:scenes-resnet"))
    layer = model.layer(model.last_layer)
    moved = layer.place._replace(start=(16.0, 16.0))  # as if the map were stretched
    model.layers[layer.name].__dict__["place"] = moved
    assert not measured(model, pictures(model, 4)).holds


# A map of 4 x 4 positions over 128 pixels -> its first position, and pixels from one to the next.
PLACES = {
    "in the middle of cells": (16.0, 32.0),
    "at the left edge": (0.5, 32.0),
    "far inside": (31.5, 32.0),
    "beyond the edge": (-4.0, 40.0),
}


def heat(start, step, value=1.0):
    maps = torch.full((1, 4, 4), value)
    place = Place((start, start), (step, step))
    return Heatmap(maps, "layer", place, "class", torch.ones(1), torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize("kind", PLACES)
def test_heat_ends_where_no_position_looks(kind):
    start, step = PLACES[kind]
    drawn = render.on_input(heat(start, step), (128, 128))[0, 64]
    for pixel in range(128):
        beyond = max(start - (pixel + 0.5), pixel + 0.5 - (start + 3 * step)) / step
        if beyond <= 0.5:
            assert float(drawn[pixel]) == pytest.approx(1, abs=1e-5)
        elif beyond >= 1:
            assert float(drawn[pixel]) == 0
        else:
            assert float(drawn[pixel]) == pytest.approx(2 * (1 - beyond), abs=1e-4)


@pytest.mark.parametrize("kind", PLACES)
def test_colors_lie_where_heat_lies(kind):
    """A single bright position has its peak at the same pixel in both."""
    start, step = PLACES[kind]
    maps = torch.zeros(1, 4, 4)
    maps[0, 1, 2] = 1
    image = Image(torch.zeros(1, 3, 128, 128), (0.0, 0.0, 128.0, 128.0), (128, 128))
    evidence = heat(start, step).__class__(
        maps, "layer", Place((start, start), (step, step)), "class", torch.ones(1),
        torch.zeros(1, dtype=torch.long),
    )  # fmt: skip
    warm = render.over(evidence, image)[0, ..., 3].float()
    colors = (255 * maps[0, ..., None]).expand(4, 4, 3).byte()
    layer = render.components_over(colors, evidence.place, image)
    assert layer.shape == (128, 128, 4)
    bright = layer[..., 0].float() * layer[..., 3].float()
    for picture in (warm, bright):
        rows, columns = (picture == picture.max()).nonzero().float().mean(0)
        assert float(rows) == pytest.approx(start + step - 0.5, abs=1.5)
        assert float(columns) == pytest.approx(start + 2 * step - 0.5, abs=1.5)
    covered = render.on_input(heat(start, step), (128, 128))[0] * 255
    torch.testing.assert_close(layer[..., 3].float(), covered, atol=1.5, rtol=0)


def test_what_the_network_did_not_see_has_no_color():
    image = Image(torch.zeros(1, 3, 128, 128), (0.0, 64.0, 128.0, 192.0), (128, 256))
    layer = render.components_over(
        torch.full((4, 4, 3), 200).byte(), Place((16.0, 16.0), (32.0, 32.0)), image
    )
    assert not layer[:, :60, 3].any()
    assert layer[:, 70:180, 3].all()


def test_a_network_that_pads_at_one_side_shows_nothing_at_the_other(real_data):
    model = zoo_adapters.load(f"timm:local-dir:{real_data}/weights/mobilenetv2_100.coral_qat_in1k")
    image = zoo_adapters.read_image(next((real_data / "images").glob("*.jpg")), model)
    drawn = render.on_input(featvis.cam(model, image), model.size)[0].abs()
    assert float(drawn[:, 0].max()) < 0.1 * float(drawn.max())
    assert float(drawn[:, 223].max()) > 0
