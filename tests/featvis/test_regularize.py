"""Regularizers, and the steps of an ascent."""

from __future__ import annotations

import pytest
import torch

from featvis.ascent import objectives, regularize
from featvis.ascent.climb import adam, normalized
from featvis.ascent.objectives import Seen
from tests.support import tiny


def test_regularizers_do_what_they_say():
    x, g = tiny.images(2) - 0.5, tiny.images(2, seed=7) - 0.5
    assert torch.equal(regularize.decay(0.25)(x, g, 0), x * 0.75)
    blurred = regularize.blur(1.0, every=4)
    assert torch.equal(blurred(x, g, 2), x)
    assert float(blurred(x, g, 3).diff(dim=3).abs().mean()) < 0.5 * float(
        x.diff(dim=3).abs().mean()
    )
    for made, worth in (
        (regularize.clip_norm(25)(x, g, 0), x.norm(dim=1)),
        (regularize.clip_contribution(25)(x, g, 0), (x * g).sum(1).abs()),
    ):
        for i in range(2):
            gone = (made[i] == 0).all(0)
            assert int(gone.sum()) == 24 * 32 // 4
            assert float(worth[i][gone].max()) < float(worth[i][~gone].min())
            assert torch.equal(made[i][:, ~gone], x[i][:, ~gone])


def test_adam_is_torchs_adam():
    x = torch.nn.Parameter(torch.randn(2, 5, generator=torch.Generator().manual_seed(0)).double())
    y, step = x.detach().clone(), adam(0.1)()
    other = torch.optim.Adam([x], lr=0.1, maximize=True)
    for count in range(20):
        other.zero_grad()
        x.grad = torch.autograd.grad((-(x**4) + x).sum(), x)[0]
        other.step()
        leaf = y.clone().requires_grad_()
        y = y + step(torch.autograd.grad((-(leaf**4) + leaf).sum(), leaf)[0], count)
    torch.testing.assert_close(x.detach(), y, rtol=0, atol=1e-6)


def test_a_normalized_step_has_its_length():
    made = normalized(0.3)()(tiny.images(2) * 1e-5, 0)
    size = made.square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(size, torch.full_like(size, 0.3), rtol=0, atol=1e-12)


@pytest.mark.parametrize("weights", [(0.15, 0.3), (0.0, 0.1), (0.2, 0.0)])
def test_the_prior_is_the_gradient_of_what_it_says(weights):
    l2, variation = weights
    pictures = tiny.images(2, (9, 7)).requires_grad_()
    said = -l2 * objectives.l2() - variation * objectives.total_variation()
    value = said(Seen(pictures, {}, None)).sum()
    expected = torch.autograd.grad(value, pictures)[0] * pictures[0].numel()
    made = regularize.calm(l2=l2, variation=variation)(pictures.detach())
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-12)
