"""Parametrizations: grey at zero, seeds, colours, frequencies, magnitudes."""

from __future__ import annotations

import math

import pytest
import torch

from featvis.ascent import param
from tests.support import tiny

LIKE = torch.zeros(1, dtype=torch.double)
SIZES = [(24, 32), (15, 21), (16, 9)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [param.pixels, param.fourier])
def test_zeros_are_grey(make, size):
    canvas = make(size, [0, 1], LIKE)
    grey = canvas.paint(torch.zeros_like(canvas.start))
    assert grey.shape == (2, 3, *size)
    assert torch.equal(grey, torch.full_like(grey, 0.5))


@pytest.mark.parametrize("make", [param.pixels, param.fourier, param.maco])
def test_a_start_is_its_seeds_alone(make):
    before = torch.get_rng_state()
    two, one = make((24, 32), [5, 9], LIKE), make((24, 32), [9], LIKE)
    assert torch.equal(two.start[1:], one.start)
    assert not torch.allclose(two.start[0], two.start[1])
    assert torch.equal(torch.get_rng_state(), before)
    repeated = two.repeated(3).start
    assert torch.equal(repeated, torch.cat([two.start] * 3))


def components(rgb):
    """The inverse of `to_rgb`."""
    return torch.einsum("cd,bdhw->bchw", torch.linalg.inv(param.color_matrix(rgb)), rgb)


def test_colours_are_recovered_from_their_components():
    image = tiny.images(2)
    torch.testing.assert_close(param.to_rgb(components(image)), image, rtol=0, atol=1e-12)
    matrix = param.color_matrix(LIKE)
    gram = matrix.T @ matrix
    expected = torch.tensor(param.SPREADS, dtype=torch.double).square().diag()
    torch.testing.assert_close(gram, expected, rtol=0, atol=1e-12)


def test_a_frequency_is_painted_as_its_wave():
    size = (24, 32)
    canvas = param.fourier(size, [0], LIKE, decay=1.0)
    z = torch.zeros_like(canvas.start)
    z[0, 0, 3, 4, 0] = 1.0
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    rows, columns = rows.double(), columns.double()
    f = math.hypot(3 / 24, 4 / 32)
    wave = 2 / (24 * 32) * torch.cos(2 * math.pi * (3 * rows / 24 + 4 * columns / 32))
    expected = (wave / f * math.sqrt(24 * 32) / 4 / math.sqrt(3)).sigmoid()
    made = canvas.paint(z)[0]
    for plane in made:
        torch.testing.assert_close(plane, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_macos_pictures_have_the_magnitudes_asked_for(size):
    canvas = param.maco(size, [3], LIKE)
    logits = canvas.paint(canvas.start).logit()
    found = torch.fft.rfft2(components(logits)).abs()
    wanted = param.spectrum(size).expand_as(found)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-8)
    spread = components(logits)[0].std((1, 2), unbiased=False)
    torch.testing.assert_close(spread, torch.full_like(spread, param.CONTRAST), rtol=0, atol=1e-9)
