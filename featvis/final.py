"""Final activations: what a network does to its scores last, and the scores before that.

A saturated sigmoid or softmax has no gradient, and no map adds up to it. What is explained is
therefore the value before it. `Calls` watches the functions that a forward pass applies, modules
or not, and can leave out some of them: with its final activation left out, a network gives the
value before that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from featvis.bounds import function_name
from featvis.hooks import in_hook
from featvis.types import WrongRequest

__all__ = [
    "EXCLUSIVE",
    "INDEPENDENT",
    "NAMES",
    "PROBABILITY",
    "SCALES",
    "VALUE",
    "Call",
    "Calls",
    "leaving_out",
    "probabilities",
]

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

EXCLUSIVE = ("", "softmax", "log_softmax")  # of classes that exclude each other
INDEPENDENT = ("sigmoid", "log_sigmoid", "hardsigmoid")  # of classes of which several may be true
SCALES = {
    PROBABILITY: "the scores are probabilities, as the network gives them",
    VALUE: "the scores are the network's own output, neither logits nor probabilities",
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


class Call(NamedTuple):
    """One of the calls of an activation in a pass, counted from 0."""

    activation: str
    number: int


class Calls(TorchFunctionMode):
    """Within: the calls of each activation are counted, and those `left_out` return their input."""

    def __init__(self, left_out: Collection[Call] = ()) -> None:
        super().__init__()
        self.left_out = frozenset(left_out)
        self.counts: Counter[str] = Counter()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = function_name(func)
        if name not in FUNCTIONS or in_hook():
            return func(*args, **kwargs)
        activation = FUNCTIONS[name]
        call = Call(activation, self.counts[activation])
        self.counts[activation] += 1
        if call in self.left_out:
            value = args[0] if args else kwargs["input"]
            return -value if name == "softmin" else value
        out = func(*args, **kwargs)
        self.note(out, call)
        return out

    def note(self, out: Any, call: Call) -> None:
        """Take note of what came out of a call; here nothing is done."""


@contextmanager
def leaving_out(
    network: str, final: str, calls: Sequence[Call], counts: Sequence[int]
) -> Iterator[None]:
    """Within: a network runs without the calls of its final activation, a row of `Call`s.

    `counts`: how often a pass calls the activation of each. Another pass is refused, as its calls
    have other numbers.
    """
    with Calls(calls) as watched:
        yield
    if [watched.counts[call.activation] for call in calls] != list(counts):
        own = PROBABILITY if final in ("sigmoid", "hardsigmoid", "softmax") else VALUE
        raise WrongRequest(
            f"{network} does not always run through as many activations, so that its final "
            f'{NAMES[final]} cannot be left out; wrap it with output=Classes(final="{own}") to '
            "explain its own output"
        )
