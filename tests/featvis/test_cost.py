"""Multiplications: counted as the definition says, and those that the tables tell."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import zoo_adapters
from featvis.network.cost import multiplications


def test_a_convolution_and_a_product_are_counted_by_their_definition():
    """C_out h w C_in / groups k k for each convolution, and in x out for a linear layer."""
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=4),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip
    model = zoo_adapters.wrap(module, name="a", mean=(0.5,) * 3, std=(0.25,) * 3, size=(16, 16))
    before = torch.random.get_rng_state()
    assert multiplications(model) == 8 * 8 * 8 * 3 * 9 + 8 * 6 * 6 * 2 * 9 + 8 * 5
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_known_network_costs_what_the_table_tells():
    name = "timm:test_resnet"
    model = zoo_adapters.load(name, pretrained=False)
    assert multiplications(model) / 1e9 == pytest.approx(
        zoo_adapters.describe(name).gmacs, rel=1e-3
    )


@pytest.mark.parametrize("name", zoo_adapters.names("bundled"))
def test_what_a_bundled_network_tells_of_itself_is_true(name):
    model, facts = zoo_adapters.load(name), zoo_adapters.describe(name)
    assert facts.parameters == facts.about == model.parameters
    assert facts.gmacs == pytest.approx(multiplications(model) / 1e9, rel=1e-3)
    assert facts.training == "drawn scenes"
