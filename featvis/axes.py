"""Following one axis of a tensor back to where it comes from: is it made of places, or of channels?

Two tensors of (B, C, 16) may be alike and yet be different things: 16 places of a map, or 16 hidden
states, each a mixture of all places, as many as somebody chose.
"""

from __future__ import annotations

from math import prod

from featvis.graph import Node

__all__ = ["of_places"]

VIEWS = ("view", "_unsafe_view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze")
TURNS = ("transpose", "permute", "t")
PRODUCTS = ("bmm", "mm", "matmul")


def of_places(here: Node, axis: int) -> bool | None:
    """Does this axis run over the places of a map? None where that cannot be told."""
    while here.parents:
        if len(here.shape) == 4 and here.name == "convolution":
            return axis >= 2
        if here.name in VIEWS:
            taken = _merged(here.parents[0].shape, here.shape, axis)
            if len(taken) > 1 and 0 not in taken:
                return True  # rows and columns in one
            if len(taken) != 1:
                return None
            here, axis = here.parents[0], taken[0]
        elif here.name in TURNS:
            here, axis = here.parents[0], _turned(here, axis)
        elif here.name == "convolution":  # of a row
            if axis == 1:
                return False
            here = here.parents[0]
        elif here.name in PRODUCTS:
            if len(here.parents) < 2:
                return None
            here = here.parents[axis == len(here.shape) - 1]  # rows of one, columns of the other
        else:
            alike = [p for p in here.parents if len(p.shape) == len(here.shape)]
            if not alike:
                return None
            here = max(alike, key=lambda p: p.shape[axis])  # what is broadcast has length 1
    return None


def _merged(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> list[int]:
    """The axes longer than 1 that a view made this one of; [] where it cuts them otherwise."""
    begin, end = prod(after[:axis]), prod(after[: axis + 1])
    spans = [(prod(before[:i]), prod(before[: i + 1])) for i in range(len(before))]
    found = [i for i, (a, b) in enumerate(spans) if begin <= a < b <= end]
    return found if prod(before[i] for i in found) * begin == end else []


def _turned(here: Node, axis: int) -> int:
    dims = len(here.shape)
    if here.name == "permute":
        return int(here.args[1][axis]) % dims
    first, second = (int(a) % dims for a in ([*here.args[1:], 0, 1][:2]))
    return {first: second, second: first}.get(axis, axis)
