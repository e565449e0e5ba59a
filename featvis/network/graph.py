"""The graph of one forward pass: operations, what they came from, and where their maps lie.

`Graph` is a dispatch mode: it sees every aten operation of any network, functional or module,
in-place or not. Each tensor that depends on the input carries its Node; no tensor is kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from featvis.network.axes import mixes
from featvis.network.node import Node, Pair, Sight, mark, node
from featvis.network.rules import operation
from featvis.types import ATTENTION, Place

__all__ = ["Graph", "place"]

# Operations that take the shape of a tensor and none of its numbers.
SHAPED = frozenset([
    "zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "new_zeros",
    "new_ones", "new_full", "new_empty",
])  # fmt: skip
GLOBAL = ("mean", "sum", "amax", "var", "var_mean", "std", "linalg_vector_norm", "norm")


class Graph(TorchDispatchMode):
    """Watches a forward pass that begins at `image` (B, 3, H, W)."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[str] = Counter()
        self.map_sizes: list[tuple[int, int]] = []  # (h, w) of convolutions' outputs, in order
        # tokens in all -> those that were put before and behind the longest part
        self.joined: dict[int, tuple[int, int]] = {}
        sight = Sight((0.5, 0.5), (1.0, 1.0), (1.0, 1.0))
        mark(image, Node("input", "input", 0, 0, (), (), tuple(image.shape), sight))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        flat = tree_flatten((args, kwargs or {}))[0]
        parents = tuple(n for n in map(node, flat) if n is not None)
        kernel = _kernel(args)
        operands = tuple(node(arg) for arg in args if isinstance(arg, Tensor))
        out = func(*args, **(kwargs or {}))
        if parents and operation(func) == "cat" and out.ndim == 3:
            self._join(args[0], *(args[1:] or (0,)))
        if parents and operation(func) not in SHAPED:
            self._add(func, args, parents, operands, kernel, out)
        self.calls[str(func)] += 1
        return out

    def _join(self, parts: Any, dim: int) -> None:
        lengths = [part.shape[dim] for part in parts]
        longest = lengths.index(max(lengths))
        self.joined[sum(lengths)] = sum(lengths[:longest]), sum(lengths[longest + 1 :])

    def _add(
        self,
        func: Any,
        args: Any,
        parents: tuple[Node, ...],
        operands: tuple[Node | None, ...],
        kernel: Any,
        out: Any,
    ) -> None:
        name = operation(func)
        plain = tuple(None if isinstance(a, Tensor) else a for a in args)
        for tensor in tree_flatten(out)[0]:
            if isinstance(tensor, Tensor):
                shape = tuple(tensor.shape)
                if name == "convolution" and len(shape) == 4:
                    self.map_sizes.append((shape[2], shape[3]))
                count, index = self.calls[str(func)], self.calls.total()
                made = Node(str(func), name, count, index, plain, parents, shape, None)
                mark(tensor, replace(made, sight=sight(made, operands, kernel)))


def _kernel(args: Any) -> tuple[int, ...] | None:
    """Spatial size of a convolution's weight."""
    if len(args) > 1 and isinstance(args[1], Tensor) and args[1].ndim == 4:
        return tuple(args[1].shape[2:])
    return None


def sight(
    made: Node, operands: tuple[Node | None, ...], kernel: tuple[int, ...] | None
) -> Sight | None:
    """What the output of an operation sees, from what its inputs see.

    `operands`: the nodes of its tensors in order, None for weights.
    """
    seeing = [p.sight for p in made.parents if p.sight is not None]
    if not seeing:
        return None
    widest = max(seeing, key=lambda s: s.field)
    if made.name in (*GLOBAL, "_adaptive_avg_pool2d") and _loses_space(made):
        return None
    gated = any(s.gated for s in seeing) or len(seeing) < len(made.parents) or _normalizes(made)
    known = {s.mixed for s in seeing}
    mixed = ATTENTION if ATTENTION in known else mixes(made, operands) or max(known)
    field = _pairs(lambda i: max(s.field[i] for s in seeing))
    here = replace(widest, field=field, gated=gated, mixed=mixed)
    if made.name == "cat":  # neighbours merged into channels: their middle
        mean = _pairs(lambda i: sum(s.start[i] for s in seeing) / len(seeing))
        return replace(here, start=mean)
    if made.name in WINDOWS:
        return WINDOWS[made.name](here, made, kernel)
    return here


def _normalizes(made: Node) -> bool:
    """Does it take its statistics from the whole map, as GroupNorm and InstanceNorm do?"""
    return made.name == "native_group_norm" or (
        made.name in ("native_batch_norm", "cudnn_batch_norm") and bool(made.args[5])
    )


def _loses_space(made: Node) -> bool:
    before, after = made.parents[0].shape, made.shape
    return len(before) >= 3 and _count(before) > _count(after) and made.shape[-2:] != before[-2:]


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total


def window(here: Sight, kernel: Any, stride: Any, pad: Any, dilation: Any) -> Sight:
    """What a window sliding over a map sees."""
    k, s, p, d = (_pair(v) for v in (kernel, stride or kernel, pad, dilation))
    reach = [(k[i] - 1) * d[i] for i in (0, 1)]
    return replace(
        here,
        start=_pairs(lambda i: here.start[i] + (reach[i] / 2 - p[i]) * here.jump[i]),
        field=_pairs(lambda i: here.field[i] + reach[i] * here.jump[i]),
        jump=_pairs(lambda i: here.jump[i] * s[i]),
    )


def _convolution(here: Sight, made: Node, kernel: Any) -> Sight:
    _, _, _, stride, pad, dilation, transposed = made.args[:7]
    if len(made.shape) != 4 or kernel is None:
        return here
    if not transposed:
        return window(here, kernel, stride, pad, dilation)
    k, s, p = _pair(kernel), _pair(stride), _pair(pad)
    jump = _pairs(lambda i: here.jump[i] / s[i])
    return replace(
        here,
        jump=jump,
        start=_pairs(lambda i: here.start[i] + (p[i] - (k[i] - 1) / 2) * jump[i]),
        field=_pairs(lambda i: here.field[i] + (k[i] - 1) // s[i] * here.jump[i]),
    )


def _pool(here: Sight, made: Node, _: Any) -> Sight | None:
    kernel, stride, pad = [*made.args[1:], None, 0][:3]
    if made.shape[-2:] == (1, 1) and made.parents[0].shape[-2:] != (1, 1):
        return None
    return window(here, kernel, stride, pad or 0, 1)


def _pad(here: Sight, made: Node, _: Any) -> Sight:
    pads = list(made.args[1])
    if len(made.shape) != 4 or len(pads) < 4:
        return here
    left, top = pads[0], pads[2]
    if len(pads) > 4 or made.parents[0].shape[1] != made.shape[1]:
        return here
    start = (here.start[0] - top * here.jump[0], here.start[1] - left * here.jump[1])
    return replace(here, start=start)


def _resize(here: Sight, made: Node, _: Any) -> Sight:
    """A position takes from those round its centre: one, two or four in a row."""
    before, after = made.parents[0].shape[-2:], made.shape[-2:]
    jump = _pairs(lambda i: here.jump[i] * before[i] / after[i])
    taps = {"upsample_nearest2d": 0, "upsample_bicubic2d": 4}.get(made.name, 2)
    wider = _pairs(lambda i: taps * here.jump[i] or abs(here.jump[i] - jump[i]))
    return replace(
        here,
        jump=jump,
        field=_pairs(lambda i: here.field[i] + wider[i] * (before[i] != after[i])),
        start=_pairs(lambda i: here.start[i] + (jump[i] - here.jump[i]) / 2),
    )


def _slice(here: Sight, made: Node, kernel: Any) -> Sight:
    """Every n-th row or column; a slice of dim 2 after one of dim 1 is a column of (B, H, W, C)."""
    given = list(made.args[1:])
    dim, begin, _, step = given + [0, None, None, 1][len(given) :]
    if step == 1 or len(made.shape) != 4 or dim not in (1, 2, 3):
        return here
    before = made.parents[0]
    rows = dim == 1 or (dim == 2 and not (before.name == "slice" and before.args[1:2] == (1,)))
    factor = (step, 1) if rows else (1, step)
    first = ((begin or 0), 0) if rows else (0, (begin or 0))
    return replace(
        here,
        start=_pairs(lambda i: here.start[i] + first[i] * here.jump[i]),
        jump=_pairs(lambda i: here.jump[i] * factor[i]),
    )


def _pair(value: Any) -> tuple[Any, Any]:
    listed = list(value) if isinstance(value, list | tuple) else [value]
    return (listed[0], listed[-1])


def _pairs(of: Any) -> Pair:
    return (of(0), of(1))


WINDOWS = {
    "convolution": _convolution,
    "max_pool2d_with_indices": _pool,
    "max_pool2d": _pool,
    "avg_pool2d": _pool,
    "constant_pad_nd": _pad,
    "reflection_pad2d": _pad,
    "replication_pad2d": _pad,
    "slice": _slice,
    "upsample_nearest2d": _resize,
    "upsample_bilinear2d": _resize,
    "upsample_bicubic2d": _resize,
}


def place(seen: Sight | None, map_size: tuple[int, int], size: tuple[int, int]) -> Place:
    """Centres from the sight; rearrangements that a sight cannot follow are taken as even."""
    seen = seen or Sight((0.5, 0.5), (1.0, 1.0), (1.0, 1.0))
    axes = [_axis(seen, i, map_size[i], size[i]) for i in (0, 1)]
    return Place((axes[0][0], axes[1][0]), (axes[0][1], axes[1][1]))


def _axis(seen: Sight, i: int, positions: int, pixels: int) -> tuple[float, float]:
    start, jump, field, even = seen.start[i], seen.jump[i], seen.field[i], pixels / positions
    # a jump that was lost in a reshape is half of what it should be, or less, and its last centre
    # lies far from the picture's edge; without padding it is that of the last window that fits
    reach = start + (positions - 1) * jump
    padded = pixels - 1.5 * even <= reach <= pixels + even / 2
    fits = start == field / 2 and pixels - jump < reach + field / 2 <= pixels
    if positions == 1 or padded or fits or 0.7 < jump / even < 1.4:
        return start, jump
    return start + (even - jump) / 2, even


class Weights(TorchDispatchMode):
    """Keeps the weights that convolutions really apply: some networks standardize them first."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.applied: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if operation(func) == "convolution":
            self.applied.append(args[1].detach().clone())
        return func(*args, **(kwargs or {}))
