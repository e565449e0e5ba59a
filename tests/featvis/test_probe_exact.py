"""The arithmetic of the probe: sums, bins, quantiles and draws against their definitions."""

from __future__ import annotations

import math

import pytest
import torch

from featvis.probe import percentile, quantile
from featvis.probe.exact import BINS, added, bins, edges, hashed, limbs
from featvis.probe.tally import drawn


def test_sums_of_limbs_are_exact_in_any_order():
    make = torch.Generator().manual_seed(0)
    numbers = (
        torch.randn(1000, generator=make).double() * 10 ** torch.linspace(-9, 9, 1000).double()
    )
    total = added(limbs(numbers).sum(1))
    assert float(total) == pytest.approx(math.fsum(numbers.tolist()), abs=1000 * 2.0**-66)
    mixed = numbers[torch.randperm(1000, generator=make)]
    assert torch.equal(limbs(mixed).sum(1), limbs(numbers).sum(1))


def test_bins_lie_between_their_edges():
    values = torch.tensor([0.0, -0.0, 1e-7, 1.0, -1.0, 1.1, -3.3, 65535.0, 1e9, -1e9, 2.0**-16])
    ends, at = edges(), bins(values)
    inside = values.double().clamp(-65535.9, 65535.9)
    assert bool((ends[at] <= inside).all())
    assert bool((inside <= ends[at + 1]).all())
    assert bool((ends.diff() > 0).all())


def test_quantiles_and_percentiles_agree_with_sorting():
    values = torch.randn(1, 1, 20_000, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(bins(values).flatten(), minlength=BINS)[None]
    for share in (0.01, 0.3, 0.5, 0.9, 0.995):
        wanted = float(values.flatten().double().quantile(share))
        assert float(quantile(counts, share)) == pytest.approx(wanted, rel=0.03, abs=0.02)
        assert percentile(counts[0], wanted) == pytest.approx(100 * share, abs=0.5)
    assert percentile(counts[0], 1e9) == 100
    assert percentile(counts[0], -1e9) == 0


def test_draws_are_spread_evenly():
    at = drawn(torch.arange(4000), 160)
    counts = torch.bincount(at.flatten(), minlength=160).double()
    assert at.sort(1).values.equal(at)
    assert float(counts.std() / counts.mean()) < 0.08
    assert len(hashed(torch.arange(10_000)).unique()) == 10_000
