"""Cost: how many multiplications a forward pass takes, counted while it runs."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from featvis.model import VisionModel

__all__ = ["Products", "multiplications"]


class Products(TorchDispatchMode):
    """Counts the multiplications of convolutions, matrix products and attention within it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if flops := flop_registry.get(func._overloadpacket):
            self.count += flops(*args, **(kwargs or {}), out_val=out) // 2
        return out


def multiplications(model: VisionModel) -> int:
    """Of one pass of one picture at the network's own size; adding up is not counted."""
    picture = torch.full((1, model.bands, *model.size), 0.5).to(model.like)
    with torch.no_grad(), Products() as products:
        model(picture)
    return products.count
