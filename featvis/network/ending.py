"""The ending of a forward pass: how the output of a network is read, settled once for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from featvis.classes import Classes
from featvis.embedding import Embedding
from featvis.final import PROBABILITY, VALUE
from featvis.network.find_final import WatchedCalls, find_final
from featvis.network.node import Node, node
from featvis.output import Output
from featvis.selection import has_rows, rows, select
from featvis.tensors import shapes
from featvis.types import WrongRequest

__all__ = ["Ending", "settle"]

PRODUCTS = ("addmm", "mm", "bmm", "matmul", "linear", "convolution")  # with weights
SIDES = ("not {}", "{}")  # labels of the two sides of a single score with one label


@dataclass(frozen=True, eq=False)
class Ending:
    """The output of a network for some pictures, and how it is read."""

    output: Output
    values: Tensor | None  # (B, ...) as the output reads them; None where it cannot
    again: bool = False  # its final activation must be left out, in another pass


def settle(output: Output, raw: Any, calls: WatchedCalls, pictures: int) -> Ending:
    """Settle, within the pass that `calls` watches, how the raw output of a module is read."""
    if isinstance(output, Classes) and output.left_out:  # settled in the pass before
        return Ending(output, output.arrange(rows(output.read(raw), pictures)))
    chosen = output.key is not None
    if type(output).read is Output.read:  # else a kind of output that reads by itself
        wanted = len(output.labels) if isinstance(output, Classes) else 0
        try:
            selection = select(
                output.network, raw, output.key, wanted, pictures, output.names, _ends
            )
        except WrongRequest as error:
            if chosen:
                raise
            return Ending(replace(output, problem=str(error)), None)
        output = replace(output, key=selection.key, others=selection.others)
    values = output.read(raw)
    if chosen and not has_rows(values, pictures):
        raise WrongRequest(
            f"output= of {output.network} chooses {shapes({'': values}, pictures)}, which has no "
            "row of numbers for each picture; choose another one"
        )
    values = rows(values, pictures)
    if isinstance(output, Embedding) and values.ndim == 2:
        output = replace(output, size=values.shape[1])
    if not isinstance(output, Classes):
        return Ending(output, output.arrange(values))
    again = False
    if values.ndim == 2 and output.final not in (PROBABILITY, VALUE):  # else it is not to be found
        final = find_final(values, calls)
        output = replace(
            output,
            final=final.name or output.final,
            left_out=final.calls,
            counts=tuple(calls.counts[call.activation] for call in final.calls),
        )
        again = bool(final.calls)
    output = _counted(output, values)
    return Ending(output, output.arrange(values), again=again)


def _counted(output: Classes, values: Tensor) -> Classes:
    """The classes with their number; of a single score, its two sides."""
    if values.ndim != 2 or values.shape[1] != 1:
        return replace(output, unlabeled=values.shape[1] if values.ndim == 2 else 0)
    labels = output.labels
    if len(labels) > 2:
        raise WrongRequest(
            f"{output.network} has one output but {len(labels)} labels; give two, of its negative "
            "and of its positive side, or that of the positive side"
        )
    if len(labels) == 1:
        labels = tuple(side.format(labels[0]) for side in SIDES)
    return replace(output, labels=labels, unlabeled=2, final=output.final or "sigmoid")


def _ends(tensors: Mapping[str, Tensor]) -> list[str]:
    """The paths of those that no other is computed from by weights, if a pass was watched."""
    nodes = {path: node(tensor) for path, tensor in tensors.items()}
    before: set[int] = set()
    for end in nodes.values():
        before |= _before_weights(end) if end else set()
    return [path for path in tensors if id(nodes[path]) not in before] or list(tensors)


def _before_weights(end: Node) -> set[int]:
    """The ids of the nodes that weights lead from to a node."""
    before: set[int] = set()
    todo, visited = [end], set()
    while todo:
        here = todo.pop()
        if id(here) in visited:
            continue
        visited.add(id(here))
        if here.name in PRODUCTS:
            before.update(id(earlier) for parent in here.parents for earlier in parent.ancestors())
        else:
            todo.extend(here.parents)
    return before
