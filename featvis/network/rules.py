"""Rules: how an operation is computed when a head is frozen at the values of one forward pass.

A frozen rule is (operation, new arguments, recorded arguments, recorded output) -> new output.
Frozen, every head that pools a map is affine in that map: an activation act(z) becomes
z * [act(z) / z], a normalization keeps its [sigma], a gate keeps its value; [.] are the recorded
constants. At the recorded values themselves the result is unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["ACTIVATIONS", "FROZEN", "frozen_kind", "operation"]

Rule = Callable[[Any, Sequence[Any], dict[str, Any], Sequence[Any], Any], Any]


def operation(func: Any) -> str:
    """The bare name of an aten operation, the in-place variant under the plain one's name."""
    name: str = func.overloadpacket.__name__
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def out_of_place(func: Any) -> Any:
    """The variant of an operation that leaves its arguments alone."""
    if not func.overloadpacket.__name__.endswith("_"):
        return func
    packet = getattr(torch.ops.aten, operation(func))
    return getattr(packet, func._overloadname, packet)


def _gate(func: Any, new: Sequence[Any], _: Any, old: Sequence[Any], out: Tensor) -> Tensor:
    # act(0) = 0 for all of ACTIVATIONS, so any finite gate is right where z = 0
    z = old[0]
    gate: Tensor = torch.where(z == 0, torch.zeros_like(out), out / torch.where(z == 0, 1, z))
    return new[0] * gate


def _constant(func: Any, new: Sequence[Any], _: Any, old: Sequence[Any], out: Tensor) -> Tensor:
    return out


def _layer_norm(func: Any, new: Sequence[Any], _: Any, old: Sequence[Any], out: Any) -> Any:
    x, shape, weight, bias = new[:4]
    axes = tuple(range(-len(shape), 0))
    centered = (x - x.mean(axes, keepdim=True)) * out[2]  # out = (result, mean, 1 / sigma)
    if weight is not None:
        centered = centered * weight
    if bias is not None:
        centered = centered + bias
    return centered, out[1], out[2]


def _group_norm(func: Any, new: Sequence[Any], k: Any, old: Sequence[Any], out: Any) -> Any:
    x, weight, bias, batch, channels, _, groups = new[:7]
    grouped = x.reshape(batch, groups, -1)
    centered = (grouped - grouped.mean(-1, keepdim=True)) * out[2].reshape(batch, groups, 1)
    shape = (1, channels, *[1] * (x.ndim - 2))
    y = centered.reshape(x.shape)
    if weight is not None:
        y = y * weight.reshape(shape)
    if bias is not None:
        y = y + bias.reshape(shape)
    return y, out[1], out[2]


def _rms_norm(func: Any, new: Sequence[Any], k: Any, old: Sequence[Any], out: Any) -> Any:
    x, _, weight = new[:3]
    y = x * out[1]  # out = (result, 1 / rms)
    return (y if weight is None else y * weight), out[1]


def _product(func: Any, new: Sequence[Any], k: Any, old: Sequence[Any], out: Tensor) -> Tensor:
    # of two factors that both depend on the map the second one is the gate, and stays
    return func(new[0], old[1], **k)


ACTIVATIONS = frozenset(
    [
        "relu",
        "hardtanh",
        "gelu",
        "silu",
        "mish",
        "hardswish",
        "leaky_relu",
        "elu",
        "celu",
        "selu",
        "tanh",
        "prelu",
        "_prelu_kernel",
        "rrelu_with_noise",
        "pow",
        "abs",
        "log1p",
        "softshrink",
        "hardshrink",
    ]
)
GATES = frozenset(
    [
        "sigmoid",
        "hardsigmoid",
        "_softmax",
        "_log_softmax",
        "exp",
        "softplus",
        "logit",
        "log_sigmoid_forward",
    ]
)
STATISTICS = frozenset(
    [
        "rsqrt",
        "sqrt",
        "reciprocal",
        "var",
        "std",
        "var_mean",
        "linalg_vector_norm",
        "norm",
        "clamp_min",
    ]
)
NORMS: dict[str, Rule] = {
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "_fused_rms_norm": _rms_norm,
}
FROZEN: dict[str, Rule] = {
    **dict.fromkeys(ACTIVATIONS, _gate),
    **dict.fromkeys(GATES | STATISTICS, _constant),
    **NORMS,
}
PRODUCTS = frozenset(["mul", "div", "bmm", "mm", "matmul"])


def frozen(func: Any, both: bool) -> Rule | None:
    """The frozen rule of an operation; None where it is affine already.

    `both`: two of its arguments depend on the map, so that it is not affine in it.
    """
    name = operation(func)
    if name in PRODUCTS:
        return _product if both else None
    return FROZEN.get(name)


def frozen_kind(names: Sequence[str]) -> str:
    """What was frozen among these operations: "exact", "frozen norm" or "frozen gates"."""
    if any(name in ACTIVATIONS | GATES for name in names if name != "pow"):
        return "frozen gates"
    if any(name in NORMS or name in STATISTICS for name in names):
        return "frozen norm"
    return "exact"
