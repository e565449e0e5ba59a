"""Packed: a convolution whose weights lie as the processor's kernels read them, for both passes.

Where maps are small and channels many, bringing the weights into the order of oneDNN takes as long
as the convolution itself, and PyTorch does it anew in every pass, forward and back. Here it is done
once for inputs of one shape. The way back is the transposed convolution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from featvis.stem import Constant

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
        self.ordered: dict[str, tuple[torch.Size, torch.dtype, Tensor]] = {}
        self.shifts: dict[torch.dtype, Tensor] = {}  # the biases, by kind

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
        how = self.padding, self.stride, self.dilation, self.groups

        def order() -> Tensor:
            reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
            made: Tensor = reorder(self.weight.to(x.dtype).to_mkldnn(), *how, x.shape)
            return made

        weight = self._weight("there", x, order)
        if self.bias is not None and x.dtype not in self.shifts:
            self.shifts[x.dtype] = self.bias.to(x.dtype)
        shift = self.shifts.get(x.dtype)
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(x, weight, shift, *how, *ALONE)
        return made

    def back(self, gradient: Tensor, size: tuple[int, int]) -> Tensor:
        """The gradient (B, C, *size) at the input, of that (B, O, h, w) at the output."""
        if self.groups == self.in_channels and max(self.stride) > 1:
            gradient = gradient.float()  # in bfloat16 such a step takes fifty times as long
        reach = [self.dilation[i] * (self.kernel_size[i] - 1) + 1 for i in (0, 1)]
        twice = [2 * int(pad) for pad in self.padding]
        rest = [  # rows and columns at the end of the input at which no step of the kernel begins
            size[i] - (gradient.shape[2 + i] - 1) * self.stride[i] + twice[i] - reach[i]
            for i in (0, 1)
        ]
        how = self.padding, rest, self.stride, self.dilation, self.groups

        def order() -> Tensor:
            weight, kernels = self.weight.to(gradient.dtype), torch.ops.mkldnn
            made: Tensor = kernels._reorder_convolution_transpose_weight(
                weight, *how, gradient.shape
            )
            return made

        weight = self._weight("back", gradient, order)
        made: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
            gradient, weight, None, *how, *ALONE
        )
        return made

    def _weight(self, way: str, like: Tensor, order: Callable[[], Tensor]) -> Tensor:
        """The weights in order, made anew where the shape or the kind is another one."""
        known = self.ordered.get(way)
        if known is None or known[:2] != (like.shape, like.dtype):
            known = self.ordered[way] = (like.shape, like.dtype, order())
        return known[2]


class _Both(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, conv: Packed) -> Tensor:
        ctx.conv, ctx.size = conv, x.shape[2:]
        return conv.there(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.conv.back(gradient, ctx.size).to(gradient.dtype), None
