"""Changes of view: moves, zooms, turns, crops."""

from __future__ import annotations

import pytest
import torch

from featvis.ascent import transform
from tests.support import tiny


def drawn(draw, count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([draw(generator) for _ in range(count)])


@pytest.mark.parametrize("size", [(24, 32), (40, 28)])
def test_views_have_the_size_asked_for_and_are_differentiable(size):
    images = tiny.images(2).requires_grad_()
    seen = transform.warp(images, drawn(transform.robust(24)), size)
    assert seen.shape == (6, 3, *size)
    assert 0 <= float(seen.detach().min()) <= float(seen.detach().max()) <= 1
    gradient = torch.autograd.grad(seen.sum(), images)[0]
    assert float(gradient.abs().sum()) > 0
    for count, made in ((1, (7, 6)), (1, (6, 7)), (2, (6, 5))):  # whole, in halves, in groups
        assert torch.autograd.gradcheck(
            lambda x, made=made: transform.warp(x, drawn(transform.robust(8), 2), made),
            (tiny.images(count, (6, 5)).requires_grad_(),),
        )


def test_a_jitter_is_a_move_by_whole_pixels():
    images = tiny.images(1)
    matrix = torch.eye(3, dtype=torch.double)
    matrix[:2, 2] = torch.tensor([2.0, -3.0])
    seen = transform.warp(images, matrix[None], tiny.SIZE)
    torch.testing.assert_close(seen[..., 3:, :-2], images[..., :-3, 2:], rtol=0, atol=1e-12)
    moves = drawn(transform.jitter(3), 100)[:, :2, 2]
    assert sorted(moves.unique().tolist()) == list(range(-3, 4))


def test_without_a_change_of_view_the_picture_is_itself():
    images = tiny.images(2)
    assert torch.equal(transform.warp(images, drawn(transform.still), tiny.SIZE)[2:4], images)
    tiny_turn = transform.compose(transform.rotate(1e-9), transform.scale(1, 1))
    seen = transform.warp(images, drawn(tiny_turn, 1), tiny.SIZE)
    torch.testing.assert_close(seen, images, rtol=0, atol=1e-6)


def test_a_zoom_enlarges_and_a_turn_turns():
    rows, columns = torch.meshgrid(torch.arange(31.0), torch.arange(31.0), indexing="ij")
    ramp = (columns - 15).double().expand(1, 3, 31, 31) / 40 + 0.5
    zoomed = transform.warp(ramp, drawn(transform.scale(2, 2), 1), (31, 31))
    torch.testing.assert_close(zoomed - 0.5, (ramp - 0.5) / 2, rtol=0, atol=1e-12)
    matrix = drawn(transform.rotate(90), 1)
    matrix[0, :2, :2] = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    turned = transform.warp(ramp, matrix, (31, 31))
    expected = (15 - rows).double().expand_as(ramp) / 40 + 0.5
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-12)


def test_a_crop_lies_within_the_picture():
    for matrix in drawn(transform.crop(0.2, 0.7, (24, 32)), 50):
        corners = matrix @ torch.tensor([[-16.0, 16], [-12, 12], [1, 1]]).double()
        assert float(corners[0].abs().max()) <= 16 + 1e-9
        assert float(corners[1].abs().max()) <= 12 + 1e-9
