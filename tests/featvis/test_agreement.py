"""Agreement of maps, against its definitions."""

from __future__ import annotations

import pytest
import torch

from featvis.measures.agreement import agreement


def test_a_map_agrees_with_itself_and_with_any_rising_function_of_it():
    one = torch.rand(9, 7, generator=torch.Generator().manual_seed(0))
    found = agreement([one, one.exp() * 1e-6, -one])
    assert found.correlation[0, 1] == pytest.approx(1)
    assert found.correlation[0, 2] == pytest.approx(-1)
    assert found.overlap[0, 1] == 1
    assert found.overlap[0, 2] == 0


def test_the_overlap_is_that_of_the_strongest_fifth():
    one, other = torch.zeros(10, 10), torch.zeros(10, 10)
    one[0], one[1] = torch.arange(1.0, 11), torch.arange(1.0, 11)  # the first two rows
    other[1], other[2] = torch.arange(1.0, 11), torch.arange(1.0, 11)
    assert agreement([one, other]).overlap[0, 1] == pytest.approx(10 / 30)


def test_random_maps_do_not_agree():
    made = torch.Generator().manual_seed(1)
    maps = [torch.rand(40, 40, generator=made) for _ in range(6)]
    found = agreement(maps)
    others = ~torch.eye(6, dtype=torch.bool)
    assert found.correlation[others].abs().max() < 0.1
    assert found.overlap[others].mean() == pytest.approx(0.2 / 1.8, abs=0.02)


def test_a_flat_map_agrees_with_none():
    found = agreement([torch.rand(5, 5), torch.ones(5, 5)])
    assert found.correlation[0, 1] == 0
    assert found.overlap[0, 1] == 0


def test_they_disagree_where_their_ranks_differ():
    one = torch.arange(16.0).view(4, 4)
    other = one.clone()
    other[0, 0], other[3, 3] = one[3, 3], one[0, 0]
    spread = agreement([one, other]).disagreement
    assert spread[0, 0] == pytest.approx(0.5)
    assert spread[3, 3] == pytest.approx(0.5)
    assert spread[1:3, 1:3].max() == 0
