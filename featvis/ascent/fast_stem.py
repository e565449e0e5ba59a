"""Fast stem: a strided convolution of the picture whose gradient costs what its forward pass does.

The gradient at a picture of 3 channels is a convolution with 3 outputs, which leaves most lanes of
a processor idle: for a 7x7 stem it took four times the forward pass. Its s x s phases are computed
together here, as one convolution with 3 s^2 outputs and a kernel s times smaller:

    dx[s q + r - p] = sum_t g[q - t] w[s t + r]        for each phase r of 0 ... s - 1
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, pad, pixel_shuffle

__all__ = ["Constant", "Stem", "is_stem"]

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

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(conv)
        self.known: dict[torch.dtype, tuple[Tensor, Tensor | None, Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, h, w), as of the convolution."""
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        made: Tensor = _Strided.apply(x, self)
        return made

    def there(self, x: Tensor) -> Tensor:
        """The convolution."""
        weight, bias, _ = self._weights(x.dtype)
        return conv2d(x, weight, bias, self.stride, self.padding)

    def back(self, gradient: Tensor, size: tuple[int, int]) -> Tensor:
        """The gradient (B, C, *size) at the input, of that (B, O, h, w) at the output."""
        padding: Any = self.padding
        return phases(gradient, self._weights(gradient.dtype)[2], self.stride[0], padding, size)

    def _weights(self, kind: torch.dtype) -> tuple[Tensor, Tensor | None, Tensor]:
        """Weights, biases, and the kernels of the phases, which are made once."""
        if kind not in self.known:
            bias = None if self.bias is None else self.bias.to(kind)
            weight = self.weight.to(kind)
            self.known[kind] = weight, bias, of_phases(weight, self.stride[0])
        return self.known[kind]


class _Strided(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, stem: Stem) -> Tensor:
        ctx.stem, ctx.size = stem, x.shape[2:]
        return stem.there(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.stem.back(gradient, ctx.size), None


def of_phases(weight: Tensor, stride: int) -> Tensor:
    """A convolution's weights (O, C, *kernel) as those of its phases, (C stride^2, O, ...)."""
    out, channels, *kernel = weight.shape
    high, wide = (-(-side // stride) for side in kernel)  # of the kernel of one phase
    whole = pad(weight, (0, wide * stride - kernel[1], 0, high * stride - kernel[0]))
    split = whole.reshape(out, channels, high, stride, wide, stride).permute(1, 3, 5, 0, 2, 4)
    turned = split.reshape(channels * stride**2, out, high, wide).flip(2, 3)
    return turned.contiguous(memory_format=torch.channels_last)


def phases(
    gradient: Tensor, turned: Tensor, stride: int, padding: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """The gradient (B, C, *size) at a convolution's input, of that (B, O, h, w) at its output.

    `turned` are the weights `of_phases`.
    """
    high, wide = turned.shape[2:]
    made = pixel_shuffle(conv2d(gradient, turned, None, 1, (high - 1, wide - 1)), stride)
    # what the padding would get is cut off; rows that no kernel reached get nothing
    bottom, right = (padding[i] + size[i] - made.shape[2 + i] for i in (0, 1))
    return pad(made, (-padding[1], right, -padding[0], bottom))
