"""Rendering: magnitudes kept, maps placed where the network looked, nothing stretched to noise."""

import numpy as np
import pytest
import torch

from featvis import render
from featvis.model import Image
from featvis.render import color
from featvis.types import Attribution, FeatureMaps, Filters, Heatmap, Place


def heatmap(values, place=None, signed=False):
    """A heat map (1, h, w) of class 0."""
    h, w = values.shape[1:]
    place = place or Place((112 / h, 112 / w), (224 / h, 224 / w))
    return Heatmap(values, "x", place, "y", torch.zeros(1), torch.zeros(1).long(), signed)


def whole(height=224, width=224):
    """An image of which all was seen."""
    return Image(torch.zeros(1, 3, 224, 224), (0, 0, height, width), (height, width))


def peak(layer):
    """Row and column of the most opaque pixel's region."""
    alpha = layer[0, ..., 3].float()
    rows, columns = (alpha == alpha.max()).nonzero().double().mean(0).tolist()
    return rows, columns


def test_a_flat_map_stays_flat_and_nothing_is_not_a_number():
    layer = render.over(heatmap(torch.zeros(1, 7, 7)), whole())
    assert layer[..., 3].max() == 0
    broken = torch.full((1, 7, 7), float("nan"))
    assert render.over(heatmap(broken), whole())[..., 3].max() == 0
    assert render.render(heatmap(broken)).dtype == torch.uint8


def test_a_shared_limit_keeps_a_weak_map_weak():
    values = torch.zeros(1, 7, 7)
    values[0, 3, 3] = 1.0
    strong, weak = heatmap(values), heatmap(values * 0.01)
    assert render.over(strong, whole())[..., 3].max() == 255
    assert render.over(weak, whole(), limit=render.limit(strong))[..., 3].max() <= 4


@pytest.mark.parametrize("position", [(0, 0), (3, 3), (5, 1)])
def test_a_map_is_placed_by_its_centres(position):
    values = torch.zeros(1, 7, 7)
    values[0, position[0], position[1]] = 1.0
    place = Place((0.5, 0.5), (32.0, 32.0))  # a ResNet's, not proportional
    row, column = peak(render.over(heatmap(values, place), whole()))
    center = place.center(position)
    for found, expected in ((row, center[0]), (column, center[1])):
        assert abs(found + 0.5 - expected) < 6


def test_a_map_goes_back_through_a_crop_of_a_picture_that_is_not_square():
    values = torch.zeros(1, 7, 7)
    values[0, 2, 5] = 1.0
    image = Image(torch.zeros(1, 3, 224, 224), (30.0, 150.0, 330.0, 450.0), (360, 600))
    layer = render.over(heatmap(values), image)
    assert layer.shape == (1, 360, 600, 4)
    row, column = peak(layer)
    assert abs(row + 0.5 - (30 + 2.5 / 7 * 300)) < 2
    assert abs(column + 0.5 - (150 + 5.5 / 7 * 300)) < 2
    outside = layer.clone()
    outside[:, 30:330, 150:450] = 0
    assert outside[..., 3].max() == 0


def test_an_attribution_is_placed_pixel_by_pixel():
    gradient = torch.zeros(1, 3, 224, 224)
    gradient[0, 1, 100, 60] = -2.0
    found = Attribution(gradient, "class 0", torch.zeros(1), gradient.abs().amax(1))
    row, column = peak(render.over(found, whole(448, 448), limit=2.0))
    assert abs(row - 200.5) <= 1
    assert abs(column - 120.5) <= 1


def test_strokes_are_coloured_about_grey_and_placed_pixel_by_pixel():
    gradient = torch.zeros(1, 3, 224, 224)
    gradient[0, 1, 100, 60], gradient[0, 2, 10, 10] = -2.0, 1.0
    found = Attribution(gradient, "class 0", torch.zeros(1), gradient.abs().amax(1), colors=True)
    layer = render.over(found, whole(448, 448), limit=2.0)[0].float()
    assert (layer[..., 3] == 255).all()
    assert layer[200:202, 120:122, 1].max() < 60
    assert layer[20:22, 20:22, 2].min() > 150
    assert (layer[300:, 300:, :3] - 127.5).abs().max() <= 1


def test_a_map_of_an_attribution_is_on_its_input_as_it_is():
    gradient = torch.randn(2, 3, 9, 7)
    found = Attribution(gradient, "class 0", torch.zeros(2), gradient.sum(1), signed=True)
    assert torch.equal(render.on_input(found, (9, 7)), gradient.sum(1))
    coarse = heatmap(torch.tensor([[[1.0, -3.0], [5.0, 2.0]]]), signed=True)
    fine = render.on_input(coarse, (224, 224))
    assert fine.shape == (1, 224, 224)
    assert (fine.min(), fine.max()) == (-3, 5)


def test_large_pictures_are_reduced():
    layer = render.over(heatmap(torch.rand(1, 7, 7)), whole(3000, 1500))
    assert layer.shape == (1, 768, 384, 4)


def test_evidence_for_and_against_have_different_colours():
    values = torch.tensor([[[-1.0, 1.0], [-1.0, 1.0]]])
    layer = render.over(heatmap(values, signed=True), whole())[0].float()
    against, in_favour = layer[112, 10], layer[112, -10]
    assert against[2] > against[0]
    assert in_favour[0] > in_favour[2]


def test_filters_share_a_symmetric_scale_or_have_their_own():
    weights = torch.zeros(2, 3, 2, 2)
    weights[0], weights[1] = 1.0, -0.1
    result = Filters(weights, "x", True, torch.ones(2), torch.tensor([1, 0]))
    shared, own = render.tiles(result), render.tiles(result, scale="own")
    assert shared[1].unique().tolist() == [255]
    assert abs(int(shared[0, 0, 0, 0]) - 115) <= 1
    assert own[0].unique().tolist() == [0]


def test_feature_maps_share_a_scale_or_have_their_own():
    maps = torch.zeros(1, 2, 3, 3)
    maps[0, 0, 1, 1], maps[0, 1, 2, 2] = 10.0, 0.1
    result = FeatureMaps(maps, "x", Place((1, 1), (1, 1)), torch.arange(2)[None])
    shared, own = render.tiles(result).float(), render.tiles(result, scale="own").float()
    assert (shared[1, 2, 2] - shared[1, 0, 0]).abs().max() < 6
    assert torch.equal(own[1, 2, 2], own[0, 1, 1])


def test_a_sheet_holds_every_tile_once():
    pictures = torch.arange(7, dtype=torch.uint8)[:, None, None, None].expand(7, 4, 6, 3)
    made = render.sheet(pictures, columns=3, gap=1)
    assert made.shape == (3 * 5 + 1, 3 * 7 + 1, 3)
    for i in range(7):
        assert (made[1 + i // 3 * 5, 1 + i % 3 * 7] == i).all()
    assert (made[-3, -3] == 255).all()


def test_composing_leaves_the_picture_where_there_is_no_evidence():
    picture = torch.randint(0, 255, (20, 30, 3), dtype=torch.uint8)
    layer = torch.zeros(20, 30, 4, dtype=torch.uint8)
    assert torch.equal(render.compose(picture, layer), picture)


def test_colours_lie_on_straight_lines_between_their_anchors():
    def lines(at, anchors):
        known = np.array([[int(c[i : i + 2], 16) for i in (0, 2, 4)] for c in anchors])
        places = np.linspace(0, 1, len(anchors))
        return np.stack([np.interp(at, places, known[:, i]) for i in range(3)], -1)

    at = torch.rand(5, 7, 300, generator=torch.Generator().manual_seed(0)).clamp(min=1e-3)
    for made, expected in (
        (color.heat(at), lines(at, color.HEAT)),
        (color.signed(2 * at - 1), lines(at, color.SIGNED)),
        (color.evidence(at)[..., :3], lines(at, color.HEAT)),
        (color.evidence(-at)[..., :3], lines(at, color.COLD)),
        (color.evidence(-at)[..., 3], 255 * np.minimum(color.ALPHA * at.numpy(), 1)),
    ):
        assert made.dtype == torch.uint8
        assert np.abs(made.numpy() - expected).max() < 0.75  # half a byte, and the table's step
    assert torch.equal(color.heat(torch.tensor([-3.0, 7.0])), color.heat(torch.tensor([0.0, 1.0])))
