"""Packed convolution: its weights lie as the processor's kernels read them, for both passes.

Where maps are small and channels many, bringing the weights into the order of oneDNN takes as long
as the convolution itself, and PyTorch does it anew in every pass, forward and back. Here it is done
once for inputs of one shape. The way back is the transposed convolution.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from featvis.ascent.fast_stem import Constant

__all__ = ["Packed", "can_be_packed"]

KINDS = (torch.float32, torch.bfloat16)
NEEDED = (  # they are PyTorch's own, for its compiler: it may do without them one day
    "_convolution_pointwise",
    "_convolution_transpose_pointwise",
    "_reorder_convolution_transpose_weight",
)
ALONE: tuple[Any, ...] = ("none", [], "")  # nothing is done to what it gives


def can_be_packed(module: nn.Module) -> bool:
    """Is it a plain convolution, on a processor for which there are such kernels?"""
    return (
        type(module) is nn.Conv2d
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
        and module.weight.device.type == "cpu"
        and module.weight.dtype in KINDS
        and torch.backends.mkldnn.is_available()
        and all(hasattr(torch.ops.mkldnn, name) for name in NEEDED)
    )


class Packed(Constant):
    """A convolution as `can_be_packed` takes it; all else of it is the same."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(conv)
        # what the kernels are given beside the maps, and for which maps: one pair for each pass
        self.forth: tuple[Any, tuple[Any, ...]] = None, ()
        self.home: tuple[Any, tuple[Any, ...]] = None, ()
        # in bfloat16 the way back of such a step takes fifty times as long
        self.full = conv.groups == conv.in_channels and max(conv.stride) > 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, h, w), as of the convolution."""
        if torch.is_autocast_enabled("cpu"):
            x = x.to(torch.get_autocast_dtype("cpu"))
        if x.dtype not in KINDS:
            return super().forward(x)
        made: Tensor = _Both.apply(x, self)
        return made

    def there(self, x: Tensor) -> Tensor:
        """The convolution."""
        maps = x.shape, x.dtype
        if self.forth[0] != maps:
            self.forth = maps, self._forth(x)
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *self.forth[1])
        return made

    def _forth(self, x: Tensor) -> tuple[Any, ...]:
        how = self.padding, self.stride, self.dilation, self.groups
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        weight = reorder(self.weight.to(x.dtype).to_mkldnn(), *how, x.shape)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return (weight, bias, *how, *ALONE)

    def back(self, gradient: Tensor, size: tuple[int, int]) -> Tensor:
        """The gradient (B, C, *size) at the input, of that (B, O, h, w) at the output."""
        if self.full:
            gradient = gradient.float()
        maps = gradient.shape, gradient.dtype, size
        if self.home[0] != maps:
            self.home = maps, self._home(gradient, size)
        made: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(gradient, *self.home[1])
        return made

    def _home(self, gradient: Tensor, size: tuple[int, int]) -> tuple[Any, ...]:
        reach = [self.dilation[i] * (self.kernel_size[i] - 1) + 1 for i in (0, 1)]
        twice = [2 * int(pad) for pad in self.padding]
        rest = [  # rows and columns at the end of the input at which no step of the kernel begins
            size[i] - (gradient.shape[2 + i] - 1) * self.stride[i] + twice[i] - reach[i]
            for i in (0, 1)
        ]
        how = self.padding, rest, self.stride, self.dilation, self.groups
        weight = torch.ops.mkldnn._reorder_convolution_transpose_weight(
            self.weight.to(gradient.dtype), *how, gradient.shape
        )
        return (weight, None, *how, *ALONE)


class _Both(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, conv: Packed) -> Tensor:
        ctx.conv, ctx.size = conv, x.shape[2:]
        return conv.there(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.conv.back(gradient, ctx.size).to(gradient.dtype), None
