"""Stems: a strided convolution of the picture, whose gradient costs what its forward pass does.

The gradient at a picture of 3 channels is a convolution with 3 outputs, which leaves most lanes of
a processor idle: for a 7x7 stem it took four times the forward pass. Its s x s phases are computed
together here, as one convolution with 3 s^2 outputs and a kernel s times smaller:

    dx[s q + r - p] = sum_t g[q - t] w[s t + r]        for each phase r of 0 ... s - 1
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle

__all__ = ["Constant", "Stem", "is_stem", "phases"]

FEW = 4  # channels of the picture, at most


def is_stem(module: nn.Module) -> bool:
    """Is it a convolution of few channels with the same stride both ways, which pads with zeros?"""
    return (
        type(module) is nn.Conv2d
        and module.in_channels <= FEW
        and module.groups == 1
        and module.stride[0] == module.stride[1] > 1
        and set(module.dilation) == {1}
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


class Constant(nn.Conv2d):
    """A convolution with the weights of another one, which stay as they are."""

    def __init__(self, conv: nn.Conv2d) -> None:
        shape: Any = (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride)
        how: Any = {
            "padding": conv.padding, "dilation": conv.dilation, "groups": conv.groups,
            "bias": conv.bias is not None, "device": "meta",
        }  # fmt: skip
        super().__init__(*shape, **how)
        self.weight = nn.Parameter(conv.weight.detach(), requires_grad=False)
        if conv.bias is not None:
            self.bias = nn.Parameter(conv.bias.detach(), requires_grad=False)


class Stem(Constant):
    """A convolution as `is_stem` takes it; all else of it is the same."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, h, w), as of the convolution."""
        given: tuple[Tensor | None, ...] = x, self.weight, self.bias
        if torch.is_autocast_enabled(x.device.type):
            kind = torch.get_autocast_dtype(x.device.type)
            given = tuple(None if t is None else t.to(kind) for t in given)
        made: Tensor = _Strided.apply(*given, self.stride[0], self.padding)
        return made


class _Strided(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int,
        padding: tuple[int, int],
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(weight)
        ctx.stride, ctx.padding, ctx.size = stride, padding, x.shape[2:]
        return conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (weight,) = ctx.saved_tensors
        return (phases(gradient, weight, ctx.stride, ctx.padding, ctx.size), *[None] * 4)  # type: ignore[return-value]


def phases(
    gradient: Tensor, weight: Tensor, stride: int, padding: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """The gradient (B, C, *size) at a convolution's input, of that (B, O, h, w) at its output."""
    out, channels, *kernel = weight.shape
    high, wide = (-(-side // stride) for side in kernel)  # of the kernel of one phase
    whole = pad(weight, (0, wide * stride - kernel[1], 0, high * stride - kernel[0]))
    split = whole.reshape(out, channels, high, stride, wide, stride).permute(1, 3, 5, 0, 2, 4)
    turned = split.reshape(channels * stride**2, out, high, wide).flip(2, 3)
    turned = turned.contiguous(memory_format=torch.channels_last)
    made = pixel_shuffle(conv2d(gradient, turned, None, 1, (high - 1, wide - 1)), stride)
    # what the padding would get is cut off; rows that no kernel reached get nothing
    bottom, right = (padding[i] + size[i] - made.shape[2 + i] for i in (0, 1))
    return pad(made, (-padding[1], right, -padding[0], bottom))
