"""The sanity check: a map that explains a network must change when the network does.

Source: Adebayo et al. 2018, arXiv:1810.03292. The weights are drawn anew, from the head down to
the first layer, and each time the map is computed again. One that stays as it was shows the
picture, not what the network has learned.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor, nn

from featvis.hooks import hooked
from featvis.model import VisionModel
from featvis.progress import tick
from featvis.statistics import rank_correlation
from featvis.types import Attribution, Heatmap

__all__ = ["FAILS", "Stage", "sanity", "weighted_modules"]

STAGES = 5
# At a rank correlation of 0.5 a quarter of the ranks' variance is explained by a network that
# knows nothing. The paper draws no line; we have to, and say where it is.
FAILS = 0.5


@dataclass(frozen=True, eq=False)
class Stage:
    """The map with the weights from the head down to a module drawn anew."""

    down_to: str  # name of the module
    result: Heatmap | Attribution
    correlation: Tensor  # (B,) Spearman's, with the map of the network as it is


def sanity(
    explain: Callable[[VisionModel], Heatmap | Attribution],
    model: VisionModel,
    *,
    stages: int = STAGES,
    seed: int = 0,
) -> list[Stage]:
    """The maps of a network whose weights are drawn anew, step by step from the head down.

    All is done on one copy: `model` stays as it is. The first stage randomizes the head alone, the
    last one everything, and those between about equal numbers of modules.

    Args:
        explain: a method of a model, such as `lambda m: grad_cam(m, image, 3)`. The target must be
            given: what the randomized network predicts is something else.
        model: the network.
        stages: how many times weights are drawn, at least 2.
        seed: of the weights.
    """
    twin = replace(model, module=copy.deepcopy(model.module))
    names = weighted_modules(twin)[::-1]
    ends = [1, *(1 + round((len(names) - 1) * i / (stages - 1)) for i in range(1, stages))]
    draw = torch.Generator().manual_seed(seed)
    reference = _map(explain(model))
    made, done = [], 0
    for number, end in enumerate(ends):
        tick(number, len(ends))
        for name in names[done:end]:
            _randomize(twin.module.get_submodule(name), draw)
        result = explain(twin)
        made.append(Stage(names[end - 1], result, rank_correlation(reference, _map(result))))
        done = end
    return made


def weighted_modules(model: VisionModel) -> list[str]:
    """Names of the modules with parameters of their own, in the order in which they run."""
    order: dict[str, int] = {}
    modules = {name: child for name, child in model.module.named_modules() if name}

    def seen(name: str, *_: object) -> None:
        order.setdefault(name, len(order))

    with torch.no_grad(), hooked(modules, seen):
        model(torch.zeros(1, 3, *model.size).to(model.like))

    def ran(name: str) -> int:  # a container begins with its first part
        inside = [n for o, n in order.items() if o == name or not name or o.startswith(f"{name}.")]
        return min(inside, default=-1)

    own = [n for n, m in model.module.named_modules() if any(True for _ in m.parameters(False))]
    return sorted(own, key=ran)


def _randomize(module: nn.Module, draw: torch.Generator) -> None:
    """New weights: He's normal for matrices and kernels; normalizations do nothing.

    What has neither form (tokens, positions, gains) gets noise of its own mean and deviation.
    """
    normal = hasattr(module, "running_mean") or (
        "Norm" in type(module).__name__ and getattr(module, "weight", None) is not None
    )
    for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers("", False)]:
        if not tensor.is_floating_point():
            continue
        if name in ("bias", "running_mean"):
            tensor.data.zero_()
        elif name == "running_var" or (normal and name == "weight"):
            tensor.data.fill_(1)
        elif isinstance(tensor, nn.Parameter):
            noise = torch.randn(tensor.shape, generator=draw).to(tensor)
            if name.endswith("weight") and tensor.ndim > 1:
                tensor.data.copy_(noise * (2 / prod(tensor.shape[1:])) ** 0.5)
            else:
                spread = tensor.std(correction=0)
                tensor.data.copy_(tensor.mean() + spread * noise)


def _map(result: Heatmap | Attribution) -> Tensor:
    return result.map if isinstance(result, Attribution) else result.values
