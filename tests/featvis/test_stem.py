"""A strided first convolution: the gradient by its phases is the gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from featvis.ascent.fast_stem import Stem, is_stem
from featvis.ascent.fused_copy import folded
from tests.support import tiny

SHAPES = [  # kernel, stride, padding, size of the picture
    (7, 2, 3, (24, 31)), (3, 2, 1, (24, 32)), (3, 2, 0, (17, 18)), (4, 4, 0, (24, 32)),
    (4, 4, 0, (26, 35)), (2, 2, 0, (9, 10)), (11, 4, 2, (40, 47)), (1, 2, 0, (9, 8)),
    ((3, 5), 2, (0, 4), (12, 13)), (16, 16, 0, (33, 32)), (3, 4, 1, (21, 22)),
]  # fmt: skip


@pytest.mark.parametrize(("kernel", "stride", "padding", "size"), SHAPES)
@pytest.mark.parametrize("bias", [True, False])
def test_value_and_gradient_are_those_of_the_convolution(kernel, stride, padding, size, bias):
    conv = nn.Conv2d(3, 5, kernel, stride, padding, bias=bias).double()
    x = tiny.images(2, size).requires_grad_()
    assert is_stem(conv)
    values, found = conv(x), Stem(conv)(x)
    torch.testing.assert_close(found, values, rtol=0, atol=1e-12)
    up = torch.randn(values.shape, generator=torch.Generator().manual_seed(2)).double()
    (expected,) = torch.autograd.grad(values, x, up)
    (gradient,) = torch.autograd.grad(found, x, up)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)
    assert gradient.shape == x.shape


def test_in_bfloat16_it_is_what_the_convolution_is():
    conv = nn.Conv2d(3, 8, 7, 2, 3)
    x = tiny.images(2).float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        values, found = conv(x), Stem(conv)(x)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, values)
    (expected,) = torch.autograd.grad(values.sum(), x)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.dtype == torch.float32
    assert (gradient - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("conv", [
    nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(3, 9, 3, 2, groups=3),
    nn.Conv2d(3, 8, 3, 2, 1, padding_mode="reflect"), nn.Conv2d(3, 8, 3, (2, 1)),
    nn.Conv2d(3, 8, 3, 2, dilation=2), nn.ReLU(),
])  # fmt: skip
def test_others_are_left_as_they_are(conv):
    assert not is_stem(conv)


def test_the_copy_for_an_ascent_has_it_and_the_network_does_not():
    model = tiny.model(tiny.nets()["GAP + FC"])
    copy = folded(model, tiny.images(1), ["trunk.conv2"])
    assert isinstance(copy.module.get_submodule("trunk.conv1"), Stem)
    assert isinstance(model.module.get_submodule("trunk.conv1"), nn.Conv2d)
    x, y = (tiny.images(2).requires_grad_() for _ in range(2))
    one, two = copy.module(x), model.module(y)
    torch.testing.assert_close(one, two, rtol=0, atol=1e-12)
    gradients = [torch.autograd.grad(o.square().sum(), i)[0] for o, i in ((one, x), (two, y))]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)
