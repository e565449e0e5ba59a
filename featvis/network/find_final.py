"""Finding the final activation: walk back from the output to the last of what made the scores."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod
from typing import Any, NamedTuple

from torch import Tensor

from featvis.final import PROBABILITY, VALUE, Call, Calls
from featvis.network.node import Node, node

__all__ = ["Final", "WatchedCalls", "find_final"]

# Operations that move numbers and change none; `lift_fresh` and `alias` hand a tensor on.
MOVES = frozenset([
    "view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "unsqueeze", "squeeze",
    "expand", "permute", "transpose", "t", "select", "slice", "split", "split_with_sizes",
    "unbind", "cat", "stack", "clone", "detach", "alias", "contiguous", "_to_copy",
    "lift_fresh", "copy", "native_dropout",
])  # fmt: skip
ARITHMETIC = frozenset([
    "add", "sub", "rsub", "mul", "div", "neg", "reciprocal", "pow", "mean", "sum", "prod", "amax",
    "max", "round", "adaptive_max_pool2d",
])  # fmt: skip
SIGMOIDS = frozenset(["sigmoid", "hardsigmoid"])
POSITIVE = SIGMOIDS | {"_softmax", "exp", "softplus"}
OVER_CLASSES = ("softmax", "log_softmax")  # these take all classes together
FOLLOWERS = ("log", "clamp", "div", "sub")  # what may belong to an activation and is none by itself
TOGETHER = {  # (last, before it) -> what both are together
    ("exp", "log_softmax"): "softmax",
    ("log", "softmax"): "log_softmax",
    ("div", "exp"): "softmax",
    ("exp", "log_sigmoid"): "sigmoid",
    ("log", "sigmoid"): "log_sigmoid",
    ("clamp", "sigmoid"): "sigmoid",
    ("clamp", "softmax"): "softmax",
    ("exp", "sub"): "exp",
    ("softmax", "sub"): "softmax",
    ("log_softmax", "sub"): "log_softmax",
}
TINY = 1e-3  # what is added before a logarithm so that it stays finite
ROUNDING = 1e-3  # by which probabilities of 16-bit numbers miss a sum of 1


class WatchedCalls(Calls):
    """Calls that are known again by the operation in which they ended."""

    def __init__(self, left_out: Collection[Call] = ()) -> None:
        super().__init__(left_out)
        self._calls: dict[int, tuple[Node, Call]] = {}  # a node is kept, so that its id stays its

    def note(self, out: Any, call: Call) -> None:
        """Keep which operation a call ended in."""
        operation = node(out)
        if operation is not None:
            self._calls[id(operation)] = (operation, call)

    def ending_in(self, operation: Node) -> Call | None:
        """The call that ended in an operation, or None."""
        entry = self._calls.get(id(operation))
        return entry[1] if entry else None


class Final(NamedTuple):
    """The final activation, and the calls to leave out for the value before it."""

    name: str = ""
    calls: tuple[Call, ...] = ()


def find_final(scores: Tensor, calls: WatchedCalls) -> Final:
    """The final activation of scores (2, K), from the pass that `calls` watched.

    Where no call can be left out it is PROBABILITY if the scores are probabilities, as averages
    of several softmaxes are, and VALUE if they are other numbers made of an activation's.
    """
    end = node(scores)
    steps = _steps(end, calls, len(scores)) if end else []
    while steps and steps[0].name in FOLLOWERS:  # nothing that it belongs to came before
        steps = []
    if steps:
        whole = all(step.whole for step in steps)
        name = steps[0].name
        if whole or name not in OVER_CLASSES:
            return Final(name, tuple(call for step in steps for call in step.calls))
        return Final(PROBABILITY if name == "softmax" else VALUE)
    if _adds_up(scores):
        return Final(PROBABILITY)
    return Final(_made_of(end, scores)) if end else Final()


class Step(NamedTuple):
    """An activation on the way back, or several alike side by side."""

    name: str
    calls: tuple[Call, ...]
    whole: bool  # a softmax over all classes, of which none was left out or joined


def _steps(end: Node, calls: WatchedCalls, pictures: int) -> list[Step]:
    """The activations that end the pass and are one together, or only the last of them."""
    first = _sources(end)
    known = [call for source in first if (call := calls.ending_in(source))]
    if len(known) < len(first) or len({call.activation for call in known}) > 1:
        return []
    if len(first) > 1 and any(source.shape[:1] != (pictures,) for source in first):
        return []  # each picture by itself: how many calls there are depends on the pictures
    name = known[0].activation
    if name == "sub":
        name = _shift(first[0])
    if not name:
        return []
    size = prod(end.shape)
    whole = len(first) == 1 and prod(first[0].shape) == size
    whole = whole and _over(first[0], size // pictures)
    here = Step(name, tuple(known), whole)
    if len(first) > 1 or not first[0].parents:
        return [here]
    before = _steps(first[0].parents[0], calls, pictures)
    if before and (name, before[0].name) in TOGETHER and (name != "div" or _normalizes(first[0])):
        together = TOGETHER[name, before[0].name]
        earlier = tuple(call for step in before for call in step.calls)
        whole = name == "div" or all(step.whole for step in before)
        return [Step(together, (*here.calls, *earlier), whole)]
    return [here]


def _sources(end: Node, moves: Collection[str] = MOVES) -> list[Node]:
    """The nodes reached by undoing moves: one, or those of all joined parts."""
    todo, visited, sources = [end], set(), []
    while todo:
        here = todo.pop()
        if id(here) in visited:
            continue
        visited.add(id(here))
        if here.parents and (here.name in moves or _adds_little(here)):
            todo.extend(here.parents)
        else:
            sources.append(here)
    return sources


def _adds_little(here: Node) -> bool:
    added = here.args[1] if here.name == "add" and len(here.args) > 1 else None
    return isinstance(added, float) and abs(added) <= TINY


def _normalizes(division: Node) -> bool:
    """Are its operands numbers and their own sum?"""
    over, under = _operands(division)
    if over is None or under is None or under.name != "sum":
        return False
    return _same(over, _sources(under.parents[0]))


def _shift(difference: Node) -> str:
    """The activation that a difference is: "sub" subtracts the maximum, which changes none."""
    over, under = _operands(difference)
    if over is None or under is None or not _same(over, _sources(under.parents[0])):
        return ""
    return {"amax": "sub", "max": "sub", "logsumexp": "log_softmax"}.get(under.name, "")


def _operands(here: Node) -> tuple[Node | None, Node | None]:
    """The sources of an operation's two operands, None where one is not a single source."""
    if len(here.parents) != 2:
        return None, None
    over, under = (_sources(parent) for parent in here.parents)
    single = len(over) == len(under) == 1 and under[0].parents
    return (over[0], under[0]) if single else (None, None)


def _same(one: Node, others: Sequence[Node]) -> bool:
    """Are others just this node, or an exponential of the same numbers?"""
    if len(others) != 1 or one.name != "exp" or others[0].name != "exp":
        return [one] == list(others)
    return one is others[0] or _same_inputs(one, others[0])


def _same_inputs(one: Node, other: Node) -> bool:
    first, second = (_sources(here.parents[0]) for here in (one, other))
    return [id(n) for n in first] == [id(n) for n in second]


def _over(here: Node, classes: int) -> bool:
    """Does a softmax go over the axis of the classes, of all of them?"""
    if here.name not in ("_softmax", "_log_softmax", "_safe_softmax"):
        return True
    dim = here.args[1] % len(here.shape)
    return dim > 0 and here.shape[dim] == classes


def _made_of(end: Node, scores: Tensor) -> str:
    """PROBABILITY or VALUE where arithmetic makes the scores of activations; else ""."""
    names = {source.name for source in _sources(end)}
    if names <= {*SIGMOIDS, "_softmax"}:  # they ran where no call is seen
        return PROBABILITY
    names = {source.name for source in _sources(end, MOVES | ARITHMETIC)}
    if not names <= POSITIVE:
        return ""
    shares = names <= SIGMOIDS and not scores.is_meta and bool((scores >= 0).all())
    return PROBABILITY if shares and bool((scores <= 1).all()) else VALUE


def _adds_up(scores: Tensor) -> bool:
    """Are these rows of probabilities?"""
    if scores.is_meta or scores.shape[1] < 2 or not bool((scores >= 0).all()):
        return False
    return bool(((scores.sum(1) - 1).abs() <= ROUNDING).all())
