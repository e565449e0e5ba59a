"""A patch does not grow to the whole picture just before its field does."""

from __future__ import annotations

import pytest
from torch import nn

import featvis
from featvis.probe import patch
from featvis.probe.patch import EXACT, LARGE, NEARLY
from tests.support import tiny

SIDE = 32


class Deep(nn.Module):
    """Convolutions of 9 x 9 pixels, each a layer; fields of 9, 25, 41 pixels."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 9, 2, 4), nn.Conv2d(4, 4, 9, 1, 4)
        self.three, self.fc = nn.Conv2d(4, 4, 9, 1, 4), nn.Linear(4, 3)

    def forward(self, x):
        x = self.three(self.two(self.one(x).relu()).relu()).relu()
        return self.fc(x.mean((2, 3)))


@pytest.fixture(scope="module")
def model():
    return tiny.model(Deep(), size=(SIDE, SIDE))


def area(box):
    return box.height * box.width


@pytest.mark.parametrize(("layer", "field", "note"), [
    ("one", 9, EXACT), ("two", 25, NEARLY), ("three", 41, LARGE),
])  # fmt: skip
def test_a_field_that_is_nearly_the_picture_is_cut_to_what_counts(model, layer, field, note):
    assert model.layer(layer).field == (field, field)
    found, seen = patch(model, layer, (8, 8)), featvis.receptive_field(model, layer, (8, 8))
    assert found.note == note
    assert found.effective == (note != EXACT)
    assert found.box == pytest.approx(seen.effective if found.effective else seen.box)
    assert area(found.box) <= area(seen.box)
    if note == NEARLY:
        assert area(found.box) < area(seen.box)


def test_a_layer_further_up_has_no_smaller_patch(model):
    areas = [area(patch(model, layer, (8, 8)).box) for layer in ("one", "two", "three")]
    assert areas == sorted(areas)
