"""The strokes of a neuron are scaled by what it sees, however small that is."""

from __future__ import annotations

import pytest
import torch

import featvis
from featvis import render
from featvis.types import Attribution
from tests.support import tiny


@pytest.mark.parametrize("layer", ["trunk.conv1", "trunk.conv2"])
def test_strokes_of_a_small_field_keep_their_shades(models, layer):
    """Within the field no more than a hundredth, or one pixel, is cut off at full colour."""
    model = models["GAP + FC"]
    images = tiny.images(1)
    for channel in range(3):
        ways = {"layer": layer, "channel": channel, "position": (2, 3)}
        found = featvis.guided_backprop(model, images, **ways)
        inside = found.map[found.map > 0]
        assert 9 <= len(inside) < 0.1 * found.map.numel()
        limit = render.limit(found)
        assert int((inside > limit).sum()) <= max(1, 0.01 * len(inside))
        assert limit >= float(inside.quantile(0.8))
        colors = render.strokes(found)[0].float()
        assert len(colors.flatten(0, 1).unique(dim=0)) > 0.8 * len(inside)


def test_the_limit_is_the_99th_percentile_of_what_is_not_zero():
    shown = torch.zeros(1, 20, 20)
    shown[0, :10] = torch.arange(200).view(10, 20) + 1.0
    found = Attribution(shown[:, None].expand(-1, 3, -1, -1), "", torch.zeros(1), shown)
    assert render.limit(found) == 198
    blank = Attribution(0 * found.values, "", torch.zeros(1), 0 * shown)
    assert render.limit(blank) == 0
    assert render.strokes(blank).unique().numel() == 1
