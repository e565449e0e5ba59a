"""Finding the head: walk back from the logits to what pools a map, then prove it by numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn

from featvis.classes import Classes
from featvis.final import PROBABILITY
from featvis.model import Head, Source
from featvis.network import rules
from featvis.network.axes import of_places
from featvis.network.graph import place
from featvis.network.head import Evidence, watch
from featvis.network.node import Node, node
from featvis.output import Output
from featvis.tensors import batch_shape
from featvis.types import Layout

__all__ = ["BESIDE", "Ends", "found_head"]

TOLERANCE = 1e-4  # of max |logit|, float32
ROUNDINGS = 4  # in lower precision: by so many units in the last place the logit may be missed
POOLS = ("mean", "sum", "avg_pool2d", "_adaptive_avg_pool2d")
LayoutOf = Callable[[tuple[int, ...], bool], "tuple[Layout, tuple[int, int]] | None"]


class Ends:
    """When submodules ended: a pass is watched from the last end before the pooling on."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str] | None] = {}  # None: it ran more than once

    def add(self, name: str, calls: Counter[str]) -> None:
        """Submodule `name` ended after these calls of operations."""
        self.counts[name] = None if name in self.counts else calls.copy()

    def source(self, pool: Node) -> Source:
        """The pooling operation, counted from the nearest end before it."""
        before = {n: c for n, c in self.counts.items() if c and c.total() <= pool.index}
        if not before:
            return Source(pool.func, pool.ordinal, None)
        name = max(before, key=lambda n: before[n].total())
        return Source(pool.func, pool.ordinal - before[name][pool.func], name)


def found_head(
    module: nn.Module,
    images: Tensor,
    logits: Tensor,
    size: tuple[int, int],
    layout: LayoutOf,
    ends: Ends,
    output: Output,
) -> tuple[Head | None, str]:
    """The proved head and its kind in a sentence, or None and the reason.

    Whatever goes wrong on the way costs the head and nothing else.
    """
    if logits.ndim != 2:
        return None, f"its output has the shape {batch_shape(logits)}, not one score for each class"
    end = node(logits)
    if end is None:
        return None, "its scores do not come from the picture by operations that can be followed"
    if isinstance(output, Classes) and output.final == PROBABILITY:
        return None, "its output is probabilities, and the scores before them are out of reach"
    try:
        return _head(module, images, end, size, layout, ends, output)
    except Exception as error:  # of operations that a frozen head cannot repeat
        message = (str(error).strip() or type(error).__name__).splitlines()[0]
        return None, f"its head cannot be taken apart: {message}"


def _head(
    module: nn.Module,
    images: Tensor,
    end: Node,
    size: tuple[int, int],
    layout: LayoutOf,
    ends: Ends,
    output: Output,
) -> tuple[Head | None, str]:
    pools, obstacles = _walk(end)
    if not pools:
        return None, obstacles[0] if obstacles else "no operation that pools a map was found"
    maps = pools if len(pools) == 1 else [p for p in pools if _has_places(p)]
    if len(maps) != 1:
        return None, f"its logits are made of {len(maps) or len(pools)} pooled maps, not of one"
    head, reason = _prove(module, images, size, maps[0], layout, ends, output)
    beside = head is not None and (len(pools) > 1 or bool(obstacles))
    return head, f"{reason}; {BESIDE}" if beside else reason


def _has_places(pool: Node) -> bool:
    """May the positions that it averages be those of a map? Hidden states are mixtures of them."""
    source = pool.parents[0]
    dims = len(source.shape)
    return dims != 3 or of_places(source, next(iter(_axes(pool, dims)), 2)) is not False


def _walk(end: Node) -> tuple[list[Node], list[str]]:
    """The pooling operations reached first on the way back, and what else was met."""
    pools: list[Node] = []
    obstacles: list[str] = []
    todo, seen = [end], set()
    while todo:
        here = todo.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        if _pools(here):
            pools.append(here)
        elif obstacle := _obstacle(here):
            obstacles.append(obstacle)
        else:
            todo.extend(here.parents)
    return pools, obstacles


def _pools(here: Node) -> bool:
    """Does it average a map over all its positions?"""
    if not here.parents or here.name not in POOLS:
        return False
    before = here.parents[0].shape
    if here.name not in ("mean", "sum"):
        return here.shape[-2:] == (1, 1) and before[-2:] != (1, 1)
    axes = _axes(here, len(before))
    places = [a for a in axes if before[a] > 1]
    if len(before) < 3 or 0 in axes or not places:
        return False
    # what is left beside the batch are channels: a mean over these is a statistic of a norm
    return any(before[a] > 1 for a in range(1, len(before)) if a not in axes)


def _axes(here: Node, dims: int) -> list[int]:
    return [a % dims for a in here.args[1]] if len(here.args) > 1 and here.args[1] else []


def _obstacle(here: Node) -> str | None:
    """Why the way back ends here without a pooled map, in a sentence, or None."""
    if not here.parents:
        return "the logits were traced back to the input without meeting an average over a map"
    before, after = here.parents[0].shape, here.shape
    parts = ("slice", "split_with_sizes")
    picks = here.name == "select" or (here.name in parts and after[1:2] == (1,))
    if picks and len(before) == 3 and before[1] > 1:
        return "its classifier reads the class token, not an average over the map"
    if here.name in ("amax", "max", "_adaptive_max_pool2d", "adaptive_max_pool2d"):
        return "its head takes the maximum over the map, which is not linear in it"
    if here.name == "_softmax" and len(here.shape) == 2 and not of_places(here, 1):
        return "its scores come out of a softmax over the classes, which is not linear in the map"
    if here.name in ("bmm", "_softmax") or "attention" in here.name:
        return "its head pools by attention, whose weights depend on the picture"
    is_row = max(before[1:], default=1) == prod(before[1:])  # (B, 1, 1, K)
    if len(before) == 4 and before[2] * before[3] > 1 and not is_row:
        if here.name in ("view", "_unsafe_view", "reshape", "flatten") and len(after) == 2:
            return "its classifier reads the flattened map position by position, without pooling"
        if here.name == "convolution" and after[2:] == (1, 1):
            return "its head collapses the map by a convolution over all of it, without pooling"
    return None


def _prove(
    module: nn.Module,
    images: Tensor,
    size: tuple[int, int],
    pool: Node,
    layout_of: LayoutOf,
    ends: Ends,
    output: Output,
) -> tuple[Head | None, str]:
    source = pool.parents[0]
    resolved = _layout(pool, source, layout_of)
    if resolved is None:
        return None, f"its pooled tensor of shape {source.shape[1:]} is not a map"
    layout, map_size = resolved
    if images.is_meta:
        return None, "a head is proved by numbers, and on the meta device there are none"
    where = ends.source(pool)
    evidence = watch(module, images, where, output, layout.batch)
    if not evidence.logits.isfinite().all():
        return None, "its logits are not finite, so that nothing can be proved of its head"
    if not evidence.depends():
        return None, "its head is constant where its activations are held at this picture's values"
    residual = _residual(evidence)
    if not residual <= max(TOLERANCE, ROUNDINGS * torch.finfo(evidence.raw.dtype).eps):
        return None, f"its head is not affine in the pooled map: the residual is {residual:.1e}"
    kind = rules.frozen_kind([rules.operation(step.func) for step in evidence.tape.steps])
    head = Head(
        kind=kind,
        source=where,
        channels=source.shape[layout.channels],
        size=map_size,
        layout=layout,
        place=place(source.sight, map_size, size),
        residual=residual,
    )
    return head, SENTENCES[kind]


BESIDE = "what comes to the logits beside that map has no place in it, and is the bias"
SENTENCES = {
    "exact": "the logits are linear in the last map's average: class activation maps are exact",
    "frozen norm": "a normalization follows the pooling: class activation maps are exact with its "
    "statistics held at this picture's values",
    "frozen gates": "a layer follows the pooling: class activation maps are exact with its "
    "activations held at this picture's values",
}


def _layout(pool: Node, source: Node, layout_of: LayoutOf) -> tuple[Layout, tuple[int, int]] | None:
    """The pooled axes are the places: this settles what sizes alone leave open."""
    shape = source.shape
    reduces = pool.name in ("mean", "sum")
    if len(shape) == 4 and (shape[2] > 1 or not reduces):
        axes = _axes(pool, 4) if reduces else [2, 3]
        kind = "NHWC" if 3 not in axes else "NCHW"
        first = 1 if kind == "NHWC" else 2
        return Layout(kind), (shape[first], shape[first + 1])
    return layout_of(shape, False)


def _residual(evidence: Evidence) -> float:
    """The largest |<G, F> + b - logit| of the eight strongest classes, of max |logit|."""
    logits = evidence.logits
    count = min(8, logits.shape[1])
    targets = logits[0].abs().topk(count).indices
    picture = torch.zeros(count, dtype=torch.long, device=logits.device)
    gradients, bias = evidence.weights(targets, picture)
    first = evidence.raw.narrow(evidence.axis, 0, 1)
    products = (gradients * first).movedim(evidence.axis, 0)
    made = products.flatten(1).sum(1) + bias
    scale = logits[0].abs().max().clamp_min(1e-12)
    return float(((made - logits[0, targets]).abs() / scale).max())
