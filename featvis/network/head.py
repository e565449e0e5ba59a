"""The head: how the logits come from the last map F, the input of the operation that pools.

One forward pass is watched from that operation on (`Tape`). Replayed with its activation gates and
normalization statistics frozen (`featvis.network.rules`), the head is affine in F:

    logit_c = <G_c, F> + b_c,   G_c one gradient through the frozen head, b_c its value at F = 0.

Exact for every activation, because act(z)/z is frozen where act'(z) would be a linearization.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from featvis.autograd import gradient_at
from featvis.hooks import hooked
from featvis.model import Source, VisionModel, WrongRequest
from featvis.network import rules
from featvis.output import Output

__all__ = ["Evidence", "read_head", "watch"]


@dataclass
class Step:
    """One operation of the head: what ran, on what, giving what."""

    func: Any
    args: Sequence[Any]
    kwargs: dict[str, Any]
    out: Any
    rule: rules.Rule | None


class Tape(TorchDispatchMode):
    """Watches a forward pass and keeps all operations from the pooling one on."""

    def __init__(self, operation: str, ordinal: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operation, self.ordinal, self.calls = operation, ordinal, 0
        self.maps: Tensor | None = None
        self.steps: list[Step] = []
        self.known: dict[int, Tensor] = {}  # what depends on the map; keeps ids from being reused

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.maps is None:
            if str(func) != self.operation:
                return func(*args, **(kwargs or {}))
            self.calls += 1
            if self.calls <= self.ordinal:
                return func(*args, **(kwargs or {}))
            self.maps = args[0]
            self.known[id(args[0])] = args[0]
        return self._keep(func, args, kwargs or {})

    def _keep(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        flat = [a for a in tree_flatten((args, kwargs))[0] if isinstance(a, Tensor)]
        moving = sum(id(a) in self.known for a in flat)
        if not moving:
            return func(*args, **kwargs)
        if func._schema.is_mutable and isinstance(args[0], Tensor):
            return self._keep_in_place(func, args, kwargs, moving)
        out = func(*args, **kwargs)
        self._add(func, args, kwargs, out, moving)
        return out

    def _keep_in_place(self, func: Any, args: Any, kwargs: dict[str, Any], moving: int) -> Any:
        """Run the plain variant, write its result back, and let the tape know the result only."""
        plain = rules.out_of_place(func)
        before = args[0].clone()
        self._rename(args[0], before)
        out = plain(before, *args[1:], **kwargs)
        self._add(plain, (before, *args[1:]), kwargs, out, moving)
        args[0].copy_(out)
        self._rename(out, args[0])
        return args[0]

    def _rename(self, old: Tensor, new: Tensor) -> None:
        def swap(x: Any) -> Any:
            return new if x is old else x

        for step in self.steps:
            step.args, step.kwargs = tree_map(swap, step.args), tree_map(swap, step.kwargs)
            step.out = tree_map(swap, step.out)
        self.known[id(new)] = new

    def _add(self, func: Any, args: Any, kwargs: dict[str, Any], out: Any, moving: int) -> None:
        self.steps.append(Step(func, args, kwargs, out, rules.frozen(func, moving > 1)))
        for tensor in tree_flatten(out)[0]:
            if isinstance(tensor, Tensor):
                self.known[id(tensor)] = tensor

    def keep_what_leads_to(self, logits: Tensor) -> None:
        """Forget the operations whose results the logits do not depend on."""
        used = {id(logits)}
        kept = []
        for step in reversed(self.steps):
            if any(id(out) in used for out in tree_flatten(step.out)[0]):
                used.update(id(x) for x in tree_flatten((step.args, step.kwargs))[0])
                kept.append(step)
        self.steps = kept[::-1]

    def replay(self, maps: Tensor, logits: Tensor) -> Tensor:
        """The frozen head at another map: logits (B, K)."""
        assert self.maps is not None
        now: dict[int, Any] = {id(self.maps): maps}

        def current(x: Any) -> Any:
            return now.get(id(x), x) if isinstance(x, Tensor) else x

        for step in self.steps:
            args, kwargs = tree_map(current, step.args), tree_map(current, step.kwargs)
            if step.rule is None:
                out = step.func(*args, **kwargs)
            else:
                out = step.rule(step.func, args, kwargs, step.args, step.out)
            for old, new in zip(tree_flatten(step.out)[0], tree_flatten(out)[0], strict=True):
                now[id(old)] = new
        return now[id(logits)]


@dataclass(frozen=True, eq=False)
class Evidence:
    """One forward pass with its head frozen: logits, the map, and the weights of any class."""

    logits: Tensor  # (B, K)
    raw: Tensor  # F as the pooling operation takes it
    tape: Tape
    axis: int = 0  # of F along which the pictures lie
    seen: tuple[int, ...] = ()  # the shape of the pictures

    def maps_of(self, picture: Tensor) -> Tensor:
        """F of the picture of each number (N,)."""
        return self.raw.index_select(self.axis, picture)

    def depends(self) -> bool:
        """Does the frozen head depend on its map? It does not where all of it is held."""
        leaf = self.raw.detach().requires_grad_()
        with torch.enable_grad():
            return self.tape.replay(leaf, self.logits).requires_grad

    def weights(self, target: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        """G like F, with N pictures, and b (N,) for class target[n] of picture[n]."""
        leaf = self.raw.detach().requires_grad_()
        with torch.enable_grad():
            logits = self.tape.replay(leaf, self.logits)
            chosen = logits[picture, target]
            if len(set(picture.tolist())) == len(picture):
                slope = gradient_at(chosen, leaf)
                gradients = slope.index_select(self.axis, picture)
            else:
                rows = [gradient_at(c, leaf, retain_graph=True) for c in chosen]
                each = [r.select(self.axis, int(p)) for r, p in zip(rows, picture, strict=True)]
                gradients = torch.stack(each, self.axis)
        with torch.no_grad():
            bias = self.tape.replay(torch.zeros_like(self.raw), self.logits)[picture, target]
        return gradients, bias


def watch(
    module: nn.Module, normalized: Tensor, source: Source, output: Output, axis: int = 0
) -> Evidence:
    """One forward pass of `module`, its head kept from the pooling operation on to `output`."""
    tape = Tape(source.operation, source.ordinal)
    with torch.no_grad(), _from(tape, module, source.after):
        logits = output.of(module, normalized)
    if tape.maps is None or id(logits) not in tape.known:
        raise RuntimeError(f"the pooling operation {source} did not run")
    tape.keep_what_leads_to(logits)
    return Evidence(logits, tape.maps, tape, axis, tuple(normalized.shape))


@contextmanager
def _from(tape: Tape, module: nn.Module, after: str | None) -> Iterator[None]:
    """Within: the tape watches, from the end of the submodule `after` on; the trunk runs bare."""
    if after is None:
        with tape:
            yield
        return
    with ExitStack() as entered:

        def begin(name: str, child: nn.Module, out: Any) -> None:
            entered.enter_context(tape)

        with hooked({after: module.get_submodule(after)}, begin):
            yield


def read_head(model: VisionModel, image: Tensor) -> Evidence:
    """One forward pass of images (B, 3, H, W) in [0, 1]: the prediction and its evidence."""
    if model.head is None:
        raise WrongRequest(f"{model.name} has no class activation map: {model.head_reason}")
    head, normalized = model.head, model.normalize(image)
    return watch(model.module, normalized, head.source, model.output, head.layout.batch)
