"""Finding the final activation: walk back from the output to the last of what made the scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from featvis.final import PROBABILITY, Calls
from featvis.network.node import Node, node

__all__ = ["Final", "WatchedCalls", "find_final"]

# Operations that move numbers and change none; `lift_fresh` and `alias` hand a tensor on.
MOVES = frozenset([
    "view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "unsqueeze", "squeeze",
    "expand", "permute", "transpose", "t", "select", "slice", "split", "split_with_sizes",
    "unbind", "cat", "stack", "clone", "detach", "alias", "contiguous", "_to_copy", "lift_fresh",
    "copy", "native_dropout",
])  # fmt: skip
OVER_CLASSES = ("softmax", "log_softmax")  # these take all classes together
FOLLOWERS = ("log", "clamp", "div")  # what may follow an activation and is none by itself
TOGETHER = {  # (last, before it) -> what both are together
    ("exp", "log_softmax"): "softmax",
    ("log", "softmax"): "log_softmax",
    ("div", "exp"): "softmax",
    ("exp", "log_sigmoid"): "sigmoid",
    ("log", "sigmoid"): "log_sigmoid",
    ("clamp", "sigmoid"): "sigmoid",
    ("clamp", "softmax"): "softmax",
}
TINY = 1e-3  # what is added before a logarithm so that it stays finite
ROUNDING = 1e-3  # by which probabilities of 16-bit numbers miss a sum of 1


class WatchedCalls(Calls):
    """Calls that are told again by the operation in which they ended."""

    def __init__(self, left_out: Sequence[int] = ()) -> None:
        super().__init__(left_out)
        self._of: dict[int, tuple[Node, str, int]] = {}

    def note(self, out: Any, name: str, number: int) -> None:
        """Keep which operation an activation's call ended in."""
        operation = node(out)
        if operation is not None:
            self._of[id(operation)] = (operation, name, number)

    def ended_in(self, operation: Node) -> tuple[str, int] | None:
        """The activation and the number of the call that ended in an operation, or None."""
        found = self._of.get(id(operation))
        return (found[1], found[2]) if found else None


class Final(NamedTuple):
    """The final activation, and the calls to leave out for the value before it."""

    name: str = ""
    calls: tuple[int, ...] = ()


def find_final(scores: Tensor, calls: WatchedCalls) -> Final:
    """The final activation of scores (2, K), from the pass that `calls` watched.

    Where the scores are probabilities that no call can be left out of, as averages of several
    softmaxes are, it is PROBABILITY.
    """
    end = node(scores)
    steps = _steps(end, calls, len(scores)) if end else []
    while steps and steps[0].name in FOLLOWERS:  # nothing that it belongs to came before
        steps = []
    if steps:
        whole = all(step.whole for step in steps)
        name = steps[0].name
        if whole or name not in OVER_CLASSES:
            return Final(name, tuple(number for step in steps for number in step.numbers))
        return Final(PROBABILITY) if name == "softmax" else Final()
    behind = end and _activation_behind(end)
    return Final(PROBABILITY) if behind or _adds_up(scores) else Final()


class Step(NamedTuple):
    """An activation on the way back, or several alike side by side."""

    name: str
    numbers: tuple[int, ...]
    whole: bool  # a softmax over all classes, of which none was left out or joined


def _steps(end: Node, calls: WatchedCalls, pictures: int) -> list[Step]:
    """The activations that end the pass and are one together, or only the last of them."""
    first = _sources(end)
    known = [one for source in first if (one := calls.ended_in(source))]
    if not known or len(known) < len(first) or len({name for name, _ in known}) > 1:
        return []
    name = known[0][0]
    size = _size(end.shape)
    classes = size // pictures
    whole = len(first) == 1 and _size(first[0].shape) == size and _over(first[0], classes)
    here = Step(name, tuple(number for _, number in known), whole)
    if len(first) > 1 or not first[0].parents:
        return [here]
    before = _steps(first[0].parents[0], calls, pictures)
    if before and (name, before[0].name) in TOGETHER and (name != "div" or _normalizes(first[0])):
        together = TOGETHER[name, before[0].name]
        numbers = tuple(number for step in before for number in step.numbers)
        whole = name == "div" or all(step.whole for step in before)
        return [Step(together, (*here.numbers, *numbers), whole)]
    return [here]


def _sources(end: Node) -> list[Node]:
    """The nodes reached by undoing moves: one, or those of all joined parts."""
    todo, seen, found = [end], set(), []
    while todo:
        here = todo.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        if here.parents and (here.name in MOVES or _adds_little(here)):
            todo.extend(here.parents)
        else:
            found.append(here)
    return found


def _adds_little(here: Node) -> bool:
    added = here.args[1] if here.name == "add" and len(here.args) > 1 else None
    return isinstance(added, float) and abs(added) <= TINY


def _normalizes(division: Node) -> bool:
    """Are its operands numbers and their own sum?"""
    if len(division.parents) != 2:
        return False
    over, under = (_sources(parent) for parent in division.parents)
    if len(over) != 1 or len(under) != 1 or under[0].name != "sum":
        return False
    summed = _sources(under[0].parents[0])
    return len(summed) == 1 and _same(over[0], summed[0])


def _same(one: Node, other: Node) -> bool:
    """Is it one exponential, or the same one computed twice?"""
    if one is other:
        return True
    twice = one.name == other.name == "exp" and one.parents and other.parents
    return bool(twice) and _sources(one.parents[0])[0] is _sources(other.parents[0])[0]


def _over(here: Node, classes: int) -> bool:
    """Does a softmax go over the axis of the classes, of all of them?"""
    if here.name not in ("_softmax", "_log_softmax", "_safe_softmax"):
        return True
    dim = here.args[1] % len(here.shape)
    return dim > 0 and here.shape[dim] == classes


def _activation_behind(end: Node) -> bool:
    """Does the way back end in a sigmoid or softmax that ran where no call is seen?"""
    names = [source.name for source in _sources(end)]
    return bool(names) and all(name in ("sigmoid", "_softmax") for name in names)


def _adds_up(scores: Tensor) -> bool:
    """Are these rows of probabilities?"""
    if scores.is_meta or scores.shape[1] < 2 or not bool((scores >= 0).all()):
        return False
    return bool(((scores.sum(1) - 1).abs() <= ROUNDING).all())


def _size(shape: Sequence[int]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total
