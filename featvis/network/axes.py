"""Following one axis of a tensor back to where it comes from: is it made of places, or of channels?

Two tensors of (B, C, 16) may be alike and yet be different things: 16 places of a map, or 16 hidden
states, each a mixture of all places, as many as somebody chose.
"""

from __future__ import annotations

from math import prod

from featvis.network.node import Node
from featvis.types import ATTENTION, WEIGHTS

__all__ = ["mixes", "of_places"]

VIEWS = ("view", "_unsafe_view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze")
TURNS = ("transpose", "permute", "t")
TAKEN = ("select", "unbind")  # one of an axis, which is gone
PRODUCTS = ("bmm", "mm", "matmul")
SUMS = (*PRODUCTS, "addmm", "baddbmm")  # of products, over the last axis of the left operand


def mixes(made: Node, operands: tuple[Node | None, ...]) -> str:
    """Does every position of an operation's output see every other of its input, and by what?

    ATTENTION where they are added up with weights made of themselves, WEIGHTS where with learned
    ones, else "". `operands`: the nodes of its tensors in order, None for weights.
    """
    if "softmax" in made.name or "attention" in made.name:
        return ATTENTION
    if made.name == "convolution" and len(made.shape) == 3:  # over tokens, taken as channels
        source = operands[0]
        return WEIGHTS if source and of_places(source, 1) else ""
    if made.name not in SUMS or len(operands) < 2:
        return ""
    left, right = operands[-2:]
    found = [of_places(n, len(n.shape) - 1 - i) for i, n in enumerate((left, right)) if n]
    if len(found) == 2:  # of two activations: a linear attention, unless it compares channels
        return "" if False in found else ATTENTION
    return WEIGHTS if True in found else ""


def of_places(here: Node, axis: int) -> bool | None:
    """Does this axis run over the places of a map? None where that cannot be told."""
    return _of_places(here, axis, {})


def _of_places(here: Node, axis: int, known: dict[tuple[int, int], bool | None]) -> bool | None:
    """`known`: what was found out on the way, by node and axis; merged axes lead back together."""
    key = (id(here), axis)
    if key not in known:
        known[key] = _followed(here, axis, known)
    return known[key]


def _followed(here: Node, axis: int, known: dict[tuple[int, int], bool | None]) -> bool | None:
    features = False  # a sum over the axis that is followed, which may be as long as it by chance
    while here.parents and not (here.name == "convolution" and len(here.shape) == 4):
        if here.name in VIEWS and (source := _rows(here, axis)):
            here = source
        elif here.name in VIEWS:
            taken = _merged(here.parents[0].shape, here.shape, axis)
            if len(taken) > 1 and 0 not in taken:  # rows and columns in one, or with channels
                first = here.parents[0]
                all_are = all(_of_places(first, a, known) for a in taken if first.shape[a] > 1)
                return True if all_are and not features else None
            if len(taken) != 1:
                return None
            here, axis = here.parents[0], taken[0]
        elif here.name in TURNS:
            here, axis = here.parents[0], _turned(here, axis)
        elif here.name in TAKEN:
            cut = int([*here.args[1:], 0][0]) % len(here.parents[0].shape)
            here, axis = here.parents[0], axis + (axis >= cut)
        elif here.name == "convolution":  # of a row, or over tokens that are taken as channels
            if axis == 1:
                return None if _of_places(here.parents[0], 1, known) else False
            here = here.parents[0]
        elif here.name in SUMS and len(here.parents) == 1:  # with learned weights
            source, dims = here.parents[0], len(here.shape)
            weights_first = source.shape[-2] != here.shape[-2]
            features |= axis == dims - 1 - weights_first
            here = source
        elif here.name in PRODUCTS:
            here = here.parents[axis == len(here.shape) - 1]  # rows of one, columns of the other
        else:
            alike = [p for p in here.parents if len(p.shape) == len(here.shape)]
            if not alike:
                return None
            here = max(alike, key=lambda p: p.shape[axis])  # what is broadcast has length 1
    if axis == 0 or len(here.shape) != 4 or here.name not in ("convolution", "input"):
        return None  # with the pictures there may be windows of them
    return None if features and axis >= 2 else axis >= 2


def _rows(here: Node, axis: int) -> Node | None:
    """What a linear layer was given, if this view is its output and the axis none of its own.

    Its rows are merged by a view before the product, and cut again by one behind it.
    """
    product = here.parents[0]
    if product.name not in SUMS or product.parents[0].name not in VIEWS:
        return None
    source = product.parents[0].parents[0]
    rows = here.shape[:-1]
    return source if axis < len(rows) and source.shape[:-1] == rows else None


def _merged(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> list[int]:
    """The axes longer than 1 that a view made this one of, or the one that it is a piece of.

    [] where the view cuts otherwise.
    """
    begin, end = prod(after[:axis]), prod(after[: axis + 1])
    spans = [(prod(before[:i]), prod(before[: i + 1])) for i in range(len(before))]
    found = [i for i, (a, b) in enumerate(spans) if begin <= a < b <= end]
    if found:
        return found if prod(before[i] for i in found) * begin == end else []
    return [i for i, (a, b) in enumerate(spans) if a <= begin < end <= b]


def _turned(here: Node, axis: int) -> int:
    dims = len(here.shape)
    if here.name == "permute":
        return int(here.args[1][axis]) % dims
    first, second = (int(a) % dims for a in ([*here.args[1:], 0, 1][:2]))
    return {first: second, second: first}.get(axis, axis)
