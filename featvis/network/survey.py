"""What one forward pass tells of a network: its layers, and its head, proved by numbers.

No attribute of a library is read and no name is believed: sizes, layouts, centres and the head
come from the operations that ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from featvis.bounds import Bound, Unbound, bound_of
from featvis.classes import Classes
from featvis.hooks import first_tensor, hooked
from featvis.model import Head, Layer, VisionModel
from featvis.network.axes import mixes
from featvis.network.ending import Ending, settle
from featvis.network.find_final import WatchedCalls
from featvis.network.find_head import Ends, found_head
from featvis.network.graph import Graph, place
from featvis.network.grids import Grids
from featvis.network.node import Node, mark, node
from featvis.output import Output
from featvis.types import WEIGHTS, Layout, WrongRequest

__all__ = ["Survey", "mixing", "survey"]


@dataclass(frozen=True)
class Survey:
    """The facts of a network."""

    layers: Mapping[str, Layer]  # in execution order
    head: Head | None
    head_reason: str
    classes: int  # columns of its output; 0 where that is not (B, K)
    output: Output  # as given, with everything that the pass tells of it


@dataclass(frozen=True)
class Call:
    """The first call of a module: its output's shape, node and bound."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    node: Node | None
    bound: Bound | None


def survey(
    module: nn.Module,
    size: tuple[int, int],
    *,
    mean: Any = 0.5,
    std: Any = 0.5,
    bands: int = 3,
    output: Output | None = None,
) -> Survey:
    """Run `module` on two noise pictures of `size` and read off its layers and its head.

    Two pictures, so that the axis of the batch is known: windows of attention are no maps.
    `mean` and `std`: numbers or (C, 1, 1), the network's own normalization. A network whose
    `output`, by default `Classes`, has a final activation runs a second time without it.
    """
    like = _like(module)
    mean, std = (x.to(like) if isinstance(x, Tensor) else x for x in (mean, std))
    images = (_noise(size, bands).to(like) - mean) / std
    one = Pass(module, images)
    ending = one.run(Classes() if output is None else output)
    if ending.again:
        one = Pass(module, images)
        ending = one.run(ending.output)
    values, end = ending.values, node(ending.values)
    prefix = getattr(module, "num_prefix_tokens", None)
    grids = Grids(size, one.graph.map_sizes, prefix, one.graph.joined)
    layers = _layers(list(one.calls.values()), size, grids, end)
    head, reason = None, ending.output.problem
    if values is not None:
        head, reason = found_head(
            module, images, values, size, grids.layout, one.ends, ending.output
        )
    classes = values.shape[-1] if values is not None and values.ndim == 2 else 0
    return Survey(layers, head, reason, classes, ending.output)


class Pass:
    """One watched forward pass of two pictures."""

    def __init__(self, module: nn.Module, images: Tensor) -> None:
        self.module, self.images = module, images
        self.graph, self.ends = Graph(images), Ends()
        self.calls: dict[str, Call] = {}

    def run(self, output: Output) -> Ending:
        """Run the module, then settle how its output is read."""
        modules = {name: child for name, child in self.module.named_modules() if name}
        # hooks see no part of a scripted module: its layers cannot be watched
        modules = {n: m for n, m in modules.items() if not isinstance(m, torch.jit.ScriptModule)}
        calls = WatchedCalls(output.left_out if isinstance(output, Classes) else ())
        with torch.no_grad(), hooked(modules, self._see), Unbound(), calls, self.graph:
            try:
                raw = self.module(self.images)
            except Exception as error:
                raise _not_run(output.network, self.images, error) from error
            return settle(output, raw, calls, len(self.images))

    def _see(self, name: str, child: nn.Module, out: Any) -> None:
        self.ends.add(name, self.graph.calls)
        tensors = [out] if isinstance(out, Tensor) else out if isinstance(out, tuple) else []
        if isinstance(child, nn.RNNBase):  # its steps are many operations, or one
            _recurrent(tensors[0])
        if name not in self.calls and tensors and isinstance(tensors[0], Tensor):
            first = tensors[0]
            bound = bound_of(first)
            self.calls[name] = Call(name, child, tuple(first.shape), node(first), bound)


def _not_run(network: str, images: Tensor, error: Exception) -> WrongRequest:
    message = (str(error).strip() or type(error).__name__).splitlines()[0]
    h, w = images.shape[2:]
    return WrongRequest(
        f"{network} does not run on two pictures of {h} x {w}: {message}; "
        + _advice(error, images.shape[1])
    )


def _advice(error: Exception, bands: int) -> str:
    if isinstance(error, TypeError) and "argument" in str(error):
        return (
            "wrap it with call=lambda run, pictures: run(pictures, ...), which gives it what else "
            "it needs"
        )
    return f"check the size, and that it takes (B, {bands}, H, W)"


def _recurrent(out: Any) -> None:
    """Positions that a recurrence ran over are mixed."""
    if (made := node(out)) and made.sight and not made.sight.mixed:
        mark(out, replace(made, sight=replace(made.sight, mixed=WEIGHTS)))


def mixing(model: VisionModel) -> str:
    """How positions see all others: "attention", "weights" (token mixing), or "no".

    One attention behind the last layer pools its map, which makes no transformer of a network.
    """
    found: list[Node | None] = []
    ends = {name: model.module.get_submodule(name) for name in list(model.layers)[-1:]}
    picture = torch.zeros(1, model.bands, *model.size).to(next(model.module.parameters()))
    with (
        torch.no_grad(),
        hooked(ends, lambda _, __, out: found.append(node(first_tensor(out)))),
        Graph(picture),
    ):
        found.append(node(model.output.of(model.module, picture)))
    last, end = (list(n.ancestors()) if n else [] for n in (found[0], found[-1]))
    behind = [n for n in end if n.sight and mixes(n, ()) and n not in last]
    known = {layer.mixed for layer in model.layers.values()}
    known |= {n.sight.mixed for n in (end if len(behind) > 1 else last) if n.sight}
    return min(known - {""}, default="no")


def _noise(size: tuple[int, int], bands: int) -> Tensor:
    """Two pictures of coarse and fine noise in [0, 1], the same ones always."""
    make = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, bands, 8, 8, generator=make, device="cpu")
    fine = torch.rand(2, bands, *size, generator=make, device="cpu")
    return (torch.nn.functional.interpolate(coarse, size, mode="bilinear") + fine) / 2


def _like(module: nn.Module) -> Tensor:
    return next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))


def _layers(
    calls: list[Call], size: tuple[int, int], grids: Grids, end: Node | None
) -> dict[str, Layer]:
    """The calls whose outputs are maps: convolutions and all that is made of other modules.

    The last one leads to the logits: what comes after it is a map that the network does not use.
    """
    found = []
    for call in calls:
        conv = isinstance(call.module, nn.Conv2d)
        composite = next(call.module.children(), None) is not None
        if 2 in call.shape[:2] and (conv or composite) and call.node and call.node.sight:
            layout = grids.layout(call.shape, conv, call.node)
            if layout:
                found.append((call, *layout))
    used = {id(before) for before in end.ancestors()} if end else set()
    while used and found and id(found[-1][0].node) not in used:
        found.pop()
    last = max(len(found) - 1, 1)
    return {
        call.name: _layer(call, layout, map_size, size, i / last)
        for i, (call, layout, map_size) in enumerate(found)
    }


def _layer(
    call: Call, layout: Layout, map_size: tuple[int, int], size: tuple[int, int], depth: float
) -> Layer:
    assert call.node is not None
    assert call.node.sight is not None
    seen = call.node.sight
    kernel = getattr(call.module, "kernel_size", None)
    infinite = (float("inf"), float("inf"))
    return Layer(
        name=call.name,
        channels=call.shape[layout.channels],
        size=map_size,
        stride=(size[0] / map_size[0], size[1] / map_size[1]),
        kind=type(call.module).__name__,
        kernel=(kernel[0], kernel[-1]) if isinstance(kernel, tuple) else None,
        depth=round(depth, 4),
        layout=layout,
        place=place(seen, map_size, size),
        field=infinite if seen.mixed else seen.field,
        gated=seen.gated,
        mixed=seen.mixed,
        bound=call.bound,
    )
