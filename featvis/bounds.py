"""Bounds: units before the activation that holds them below a value.

Behind ReLU6, Hardtanh, a sigmoid or tanh all strong answers of a unit are the same number, or
nearly: the strongest pictures are then no longer told apart, and the gradient is zero. `Unbound`
watches a forward pass and lets each tensor that comes out of such an activation carry the values
before it, in the same shape, whatever rearranges them on their way to the end of a layer.

A bound is found where it is applied, so it makes no difference whether it is a module, a function
or in place. ReLU and its like cut from below only, and are none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from math import isinf
from typing import Any, NamedTuple

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes

from featvis.hooks import in_hook

__all__ = ["Bound", "Unbound", "bound_of", "function_name", "value_before"]

# Function of torch -> the activation's name.
SQUASHES = {
    "relu6": "ReLU6",
    "hardsigmoid": "Hardsigmoid",
    "sigmoid": "Sigmoid",
    "expit": "Sigmoid",
    "special_expit": "Sigmoid",
    "tanh": "Tanh",
    "softsign": "Softsign",
    "logsigmoid": "LogSigmoid",
    "log_sigmoid": "LogSigmoid",
    "erf": "Erf",
    "special_erf": "Erf",
    "atan": "Arctan",
    "arctan": "Arctan",
}
CUTS = ("hardtanh", "clamp", "clip", "clamp_max", "minimum", "fmin", "min")
APPLIED = frozenset([*SQUASHES, *CUTS])

# Functions that move values or leave some out, and change none; those that keep their order, if
# nothing but numbers is with them; and those that join tensors.
MOVES = frozenset([
    "view", "view_as", "reshape", "reshape_as", "flatten", "unflatten", "ravel", "permute",
    "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "mT", "squeeze",
    "unsqueeze", "expand", "expand_as", "contiguous", "clone", "detach", "to", "type", "type_as",
    "float", "double", "half", "bfloat16", "__getitem__", "narrow", "select", "index_select",
    "chunk", "split", "split_with_sizes", "tensor_split", "unbind", "roll", "flip", "pixel_shuffle",
    "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "pad", "dropout", "dropout1d",
    "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout", "feature_alpha_dropout",
    "max_pool1d", "max_pool2d", "adaptive_max_pool2d",
])  # fmt: skip
NUMBERS = frozenset([
    "relu", "clamp_min", "clamp", "clip", "mul", "div", "true_divide", "add", "sub", "__mul__",
    "__rmul__", "__imul__", "__truediv__", "__itruediv__", "__add__", "__radd__", "__iadd__",
    "__sub__", "__isub__",
])  # fmt: skip
JOINS = frozenset(["cat", "concat", "concatenate", "stack"])


class Bound(NamedTuple):
    """An activation that bounds the output of a layer."""

    names: tuple[str, ...]  # "ReLU6"; several where branches with different ones are joined
    calls: tuple[int, ...]  # of the calls of functions in APPLIED during a pass, counted from 0
    whole: bool = True  # every channel comes out of it; else of joined branches some do

    def __str__(self) -> str:
        return " / ".join(self.names)


class Before(NamedTuple):
    """The values before a bound, in the shape of the tensor that carries them."""

    values: Tensor
    bound: Bound


class Unbound(TorchFunctionMode):
    """Within: tensors carry their values before the bound, see `value_before`.

    `calls`: those that matter, the `Bound.calls` of layers; None looks for all there are, which a
    forward pass of two pictures is needed for: what is the same for both may be a limit.
    """

    def __init__(self, calls: Collection[int] | None = None) -> None:
        super().__init__()
        self.calls = calls
        self.count = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        name, kwargs = function_name(func), kwargs or {}
        if name in APPLIED and not in_hook():
            return self._apply(name, func, args, kwargs)
        out = func(*args, **kwargs)
        self._pass_on(name, func, args, kwargs, out)
        return out

    def _pass_on(
        self, name: str, func: Any, args: Sequence[Any], kwargs: dict[str, Any], out: Any
    ) -> None:
        """Let what came out of a function carry what its arguments carried, if it still may."""
        tensors = _tensors((*args, *kwargs.values()))
        carriers = [t for t in tensors if _before(t)]
        if not carriers:
            return

        def again(values: Any) -> Any:
            with _disable_current_modes():
                return func(values, *args[1:], **kwargs)

        first = args[0] if args else None
        if name in JOINS and not isinstance(first, Tensor):
            _join(out, tensors, again)
        elif first is carriers[0] and name in MOVES:
            same = out is first and not func.__name__.endswith("_")  # a dropout that does nothing
            if not same:
                _follow(out, first, again)
        elif first is carriers[0] and name in NUMBERS and len(tensors) == 1:
            _follow(out, first, again)
        elif name == "__setitem__" or any(out is t for t in carriers):  # changed in place
            for tensor in carriers:
                _forget(tensor)

    def _apply(self, name: str, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        number, source = self.count, _operand(args, kwargs)
        self.count += 1
        label = _label(name, args, kwargs) if self.calls is None else name
        if source is None or not label or (self.calls is not None and number not in self.calls):
            out = func(*args, **kwargs)
            self._pass_on(name, func, args, kwargs, out)
            return out
        inner = _before(source)
        with _disable_current_modes():
            values = inner.values if inner else source.clone()  # it may be changed in place
        out = func(*args, **kwargs)
        calls = (*(inner.bound.calls if inner else ()), number)
        _carry(out, Before(values, Bound((label,), calls)))
        return out


def value_before(tensor: Tensor) -> Tensor:
    """The values before a bound that a tensor carries, or else the tensor itself."""
    before = _before(tensor)
    return tensor if before is None else before.values


def bound_of(tensor: Tensor) -> Bound | None:
    """The bound that a tensor came out of, or None."""
    before = _before(tensor)
    return before.bound if before else None


def function_name(func: Any) -> str:
    """The name of a function of torch, one for its variants: "relu" of `Tensor.relu_`."""
    name: str = getattr(func, "__name__", "")
    if name == "__get__":  # a property: x.T
        return str(getattr(func.__self__, "__name__", ""))
    return name if name.startswith("__") else name.partition(".")[0].rstrip("_")


def _operand(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    """The tensor that is bounded: of a minimum the larger one."""
    tensors = [a for a in chain(args[:2], kwargs.values()) if isinstance(a, Tensor)]
    return max(tensors, key=Tensor.numel, default=None)


def _label(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """The name of the activation, "" where it has no upper limit after all."""
    if name in SQUASHES:
        return SQUASHES[name]
    source = _operand(args, kwargs)
    if name == "hardtanh":
        limits = {**dict(zip(("min_val", "max_val"), args[1:3], strict=False)), **kwargs}
        low, high = limits.get("min_val", -1.0), limits.get("max_val", 1.0)
        return "" if isinf(high) else "ReLU6" if (low, high) == (0, 6) else "Hardtanh"
    if name in ("clamp", "clip"):
        limit = kwargs.get("max", args[2] if len(args) > 2 else None)
    elif name == "clamp_max":
        limit = kwargs.get("max", args[1] if len(args) > 1 else None)
    else:  # the smaller of two tensors
        limit = next((a for a in chain(args[:2], kwargs.values()) if a is not source), None)
        limit = limit if isinstance(limit, Tensor) else None
    return "Clamp" if source is not None and _is_limit(limit, source) else ""


def _is_limit(limit: Any, source: Tensor) -> bool:
    """Is it a number, or does it at least not change with the picture?"""
    if not isinstance(limit, Tensor):
        return limit is not None and not isinf(limit)
    return limit.numel() == 1 or limit.ndim < source.ndim or len(limit) < len(source)


def _tensors(args: Sequence[Any]) -> list[Tensor]:
    """The tensors among the arguments, those of lists too."""
    flat = chain.from_iterable(a if isinstance(a, list | tuple) else (a,) for a in args)
    return [a for a in flat if isinstance(a, Tensor)]


def _follow(out: Any, source: Tensor, again: Callable[[Any], Any]) -> None:
    """What came out carries what the same function makes of the values."""
    before = _before(source)
    assert before is not None
    for tensor, values in zip(_tensors((out,)), _tensors((again(before.values),)), strict=True):
        _carry(tensor, Before(values, before.bound))


def _join(out: Tensor, parts: Sequence[Tensor], again: Callable[[Any], Any]) -> None:
    """Joined parts that came out of no bound carry themselves: each channel counts by itself."""
    before = [_before(part) for part in parts]
    bounds = [one.bound for one in before if one]
    bound = Bound(
        names=tuple(dict.fromkeys(chain.from_iterable(one.names for one in bounds))),
        calls=tuple(sorted(set(chain.from_iterable(one.calls for one in bounds)))),
        whole=len(bounds) == len(parts) and all(one.whole for one in bounds),
    )
    values = again([one.values if one else p for one, p in zip(before, parts, strict=True)])
    _carry(out, Before(values, bound))


def _before(tensor: Tensor) -> Before | None:
    return getattr(tensor, "_featvis_before", None)


def _carry(tensor: Tensor, before: Before) -> None:
    tensor._featvis_before = before  # type: ignore[attr-defined]


def _forget(tensor: Tensor) -> None:
    tensor.__dict__.pop("_featvis_before", None)
