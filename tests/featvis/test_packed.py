"""Convolutions whose weights are brought into order once: values and gradients stay."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from featvis.ascent.fused_copy import folded
from featvis.ascent.packed_conv import Packed, can_be_packed
from tests.support import tiny

SHAPES = [  # channels in and out, kernel, stride, padding, dilation, groups, size of the map
    (8, 12, 3, 1, 1, 1, 1, (9, 11)), (64, 32, 1, 1, 0, 1, 1, (7, 7)),
    (16, 16, 3, 2, 1, 1, 1, (14, 15)), (16, 32, 1, 2, 0, 1, 1, (14, 13)),
    (16, 32, 5, 3, 2, 1, 4, (17, 20)), (16, 16, 3, 1, 2, 2, 1, (14, 14)),
    (16, 16, 3, 2, 1, 1, 16, (14, 15)), (8, 8, (3, 5), (1, 2), (1, 2), 1, 1, (10, 13)),
    (4, 8, 7, 4, 0, 1, 1, (30, 33)), (16, 32, 3, 1, 1, 1, 16, (8, 8)),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_value_and_gradient_are_those_of_the_convolution(shape, half, order):
    *how, size = shape
    make = torch.Generator().manual_seed(3)
    conv = nn.Conv2d(*how).requires_grad_(False)
    assert can_be_packed(conv)
    packed, near = Packed(conv), 0.02 if half else 1e-5
    for count in (2, 1, 2):  # the weights are put into another order for another shape
        x = torch.randn(count, how[0], *size, generator=make).contiguous(memory_format=order)
        x.requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            values, found = conv(x), packed(x)
        up = torch.randn(values.shape, generator=make)
        assert (found.shape, found.dtype) == (values.shape, values.dtype)
        (expected,), (gradient,) = (torch.autograd.grad(v, x, up) for v in (values, found))
        assert (gradient.shape, gradient.dtype) == (expected.shape, expected.dtype)
        for mine, right in ((found, values), (gradient, expected)):
            assert (mine - right).abs().max() <= near * right.abs().max()


@pytest.mark.parametrize("conv", [
    nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"), nn.Conv2d(8, 8, 3, padding="same"),
    nn.Conv2d(8, 8, 3).double(), nn.Conv2d(8, 8, 3, device="meta"), nn.ConvTranspose2d(8, 8, 3),
])  # fmt: skip
def test_others_are_left_as_they_are(conv):
    assert not can_be_packed(conv)


def test_what_the_processor_lacks_is_not_asked_for(monkeypatch):
    monkeypatch.setattr("featvis.ascent.packed_conv.NEEDED", ("_a_kernel_of_the_past",))
    assert not can_be_packed(nn.Conv2d(8, 8, 3))


def test_the_copy_for_an_ascent_has_it_and_shares_the_rest_with_the_network():
    double = tiny.model(tiny.nets()["GAP + FC"])
    mean, std = double.mean.float(), double.std.float()
    model = replace(double, module=double.module.float(), mean=mean, std=std)
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    copy = folded(model, tiny.images(1).float(), ["trunk.conv1"])
    assert isinstance(copy.module.get_submodule("trunk.conv2"), Packed)
    assert type(model.module.get_submodule("trunk.conv2")) is nn.Conv2d
    last, same = ([*m.module.parameters()][-2] for m in (copy, model))
    assert last is same
    for name, tensor in model.module.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert tensor.stride() == before[name].stride()
