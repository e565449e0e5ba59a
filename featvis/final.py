"""Final activations: what a network does to its scores last, and the scores before that.

A saturated sigmoid or softmax has no gradient, and no map adds up to it. What is explained is
therefore the value before it. `Calls` watches the functions that a forward pass applies, modules
or not, and can leave out some of them: with its final activation left out, a network gives the
value before that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from featvis.bounds import function_name
from featvis.hooks import in_hook
from featvis.network.node import Node, node

__all__ = ["NAMES", "PROBABILITY", "VALUE", "Calls", "probabilities"]

# Function of torch -> activation. A logarithm, a limit, a division and a difference are none by
# themselves, but may belong to one: log(softmax(z)), softmax(z).clamp(1e-7),
# exp(z - z.max()) / exp(z - z.max()).sum(), z - z.logsumexp().
FUNCTIONS = {
    "sigmoid": "sigmoid",
    "expit": "sigmoid",
    "special_expit": "sigmoid",
    "hardsigmoid": "hardsigmoid",
    "logsigmoid": "log_sigmoid",
    "log_sigmoid": "log_sigmoid",
    "softmax": "softmax",
    "special_softmax": "softmax",
    "softmin": "softmax",
    "log_softmax": "log_softmax",
    "special_log_softmax": "log_softmax",
    "softplus": "softplus",
    "exp": "exp",
    "tanh": "tanh",
    "log": "log",
    "clamp": "clamp",
    "clip": "clamp",
    "clamp_min": "clamp",
    "clamp_max": "clamp",
    "div": "div",
    "true_divide": "div",
    "__truediv__": "div",
    "__itruediv__": "div",
    "sub": "sub",
    "subtract": "sub",
    "__sub__": "sub",
    "__isub__": "sub",
}
PROBABILITY = "probability"  # the scores are probabilities, and what was before is out of reach
VALUE = "value"  # the scores are neither logits nor probabilities
NAMES = {  # activation -> in words
    "sigmoid": "sigmoid",
    "hardsigmoid": "hard sigmoid",
    "log_sigmoid": "log-sigmoid",
    "softmax": "softmax",
    "log_softmax": "log-softmax",
    "softplus": "softplus",
    "exp": "exponential",
    "tanh": "tanh",
}


def _softmax(values: Tensor) -> Tensor:
    return values.softmax(-1)


def _as_given(values: Tensor) -> Tensor:
    return values


# Activation -> probabilities (..., K) of the values before it; "" is trained with a softmax.
SHARES: dict[str, Callable[[Tensor], Tensor]] = {
    "": _softmax,
    "softmax": _softmax,
    "log_softmax": _softmax,
    "sigmoid": torch.sigmoid,
    "log_sigmoid": torch.sigmoid,
    "hardsigmoid": torch.nn.functional.hardsigmoid,
    PROBABILITY: _as_given,
}


def probabilities(values: Tensor, final: str) -> Tensor | None:
    """The network's own probabilities (..., K) of scores before its final activation.

    After a sigmoid each class has one of its own, after a softmax they add up to 1. None where
    the activation gives none, as tanh, softplus and the exponential.
    """
    return SHARES[final](values) if final in SHARES else None


class Calls(TorchFunctionMode):
    """Within: calls of `FUNCTIONS` are counted from 0, and those `left_out` return their input.

    `ending_in` gives the call that a tensor of the pass came out of.
    """

    def __init__(self, left_out: Sequence[int] = ()) -> None:
        super().__init__()
        self.left_out = frozenset(left_out)
        self.count = 0
        self._calls: dict[int, tuple[Node, str, int]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = function_name(func)
        if name not in FUNCTIONS or in_hook():
            return func(*args, **kwargs)
        number = self.count
        self.count += 1
        if number in self.left_out:
            value = args[0] if args else kwargs["input"]
            return -value if name == "softmin" else value
        out = func(*args, **kwargs)
        operation = node(out)
        if operation is not None:
            self._calls[id(operation)] = (operation, FUNCTIONS[name], number)
        return out

    def ending_in(self, operation: Node) -> tuple[str, int] | None:
        """The activation and the number of the call that ended in an operation, or None."""
        call = self._calls.get(id(operation))
        return (call[1], call[2]) if call else None
