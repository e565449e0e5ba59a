"""Dead ReLUs: gradients through rectifiers that would stop them all while a picture begins.

A channel behind a ReLU that nothing in the first noise excites has no gradient, and its picture
would stay grey. Like the rules of `featvis.methods.guided` this acts on the operations of the
backward pass, so it makes no difference whether a ReLU is a module, a function or in place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from featvis.network.rules import operation

__all__ = ["Leak"]

# Operation of the backward pass -> where its input lies below all that it lets through.
BELOW: dict[str, Callable[[Any], Tensor]] = {
    "threshold_backward": lambda args: args[1] <= args[2],
    "hardtanh_backward": lambda args: args[1] <= args[2],
}


class Leak(TorchDispatchMode):
    """Within: where a rectifier stops a picture's whole gradient, what would raise it passes.

    The objective is maximized, so a positive gradient asks for more of a rectifier's input. Where
    any gradient gets through by itself, nothing is altered (as Lucid's redirected ReLU has it).
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        below = BELOW.get(operation(func))
        if below is None:
            return out
        wanted = torch.where(below(args), args[0].clamp_min(0), 0.0)
        stopped = ~out.flatten(1).any(1)  # for each picture
        return torch.where(stopped.reshape(-1, *[1] * (out.ndim - 1)), wanted, out)
