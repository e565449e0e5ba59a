"""A tensor of a forward pass: the operation that made it, and what its positions see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["Node", "Pair", "Sight", "mark", "node"]

Pair = tuple[float, float]


@dataclass(frozen=True)
class Sight:
    """What the positions of a map see: centre of (0, 0), pixels from one to the next, extent."""

    start: Pair
    jump: Pair
    field: Pair
    gated: bool = False  # a global average multiplies it: every pixel matters a little
    mixed: str = ""  # ATTENTION or WEIGHTS where every position sees every other


@dataclass(frozen=True, eq=False)
class Node:
    """A tensor of the pass: the operation that made it, its parents, its shape."""

    func: str  # "aten.mean.dim"
    name: str  # "mean"
    ordinal: int  # which call of func it is
    index: int  # which operation of the pass it is
    args: tuple[Any, ...]  # the arguments that are not tensors, None in place of tensors
    parents: tuple[Node, ...]
    shape: tuple[int, ...]
    sight: Sight | None

    def ancestors(self) -> Iterator[Node]:
        """This node and all before it, once each."""
        todo, seen = [self], set()
        while todo:
            here = todo.pop()
            if id(here) not in seen:
                seen.add(id(here))
                yield here
                todo.extend(here.parents)


def node(tensor: Any) -> Node | None:
    """The node of a tensor seen by a Graph, or None."""
    return getattr(tensor, "_featvis_node", None)


def mark(tensor: Tensor, made: Node) -> None:
    """Tell a tensor its node."""
    tensor._featvis_node = made  # type: ignore[attr-defined]
