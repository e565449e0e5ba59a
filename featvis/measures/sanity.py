"""The sanity check: a map that explains a network must change when the network does.

Source: Adebayo et al. 2018, arXiv:1810.03292. The weights are drawn anew, from the head down to
the first layer, and each time the map is computed again. One that stays as it was shows the
picture, not what the network has learned.

A coarse map has few independent places, so that a single draw of the weights correlates with it by
chance, in either direction. The verdict therefore rests on several draws, with their sign.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from featvis.autograd import in_own_mode
from featvis.gradients.statistics import Interval, mean_interval, rank_correlation
from featvis.hooks import hooked
from featvis.model import VisionModel
from featvis.progress import tick
from featvis.types import Attribution, Heatmap, WrongRequest

__all__ = ["DRAWS", "FAILS", "Stage", "Verdict", "sanity", "weighted_modules"]

STAGES = 5
DRAWS = 8
# At a rank correlation of 0.5 a quarter of the ranks' variance is explained by a network that
# knows nothing. The paper draws no line; we have to, and say where it is.
FAILS = 0.5


class Verdict(NamedTuple):
    """What the draws of all weights say of a map."""

    correlation: Interval  # over the draws, of the mean over the pictures
    draws: int

    @property
    def fails(self) -> bool:
        """Does the map surely stay much the same?"""
        return self.correlation.mean - self.correlation.half > FAILS

    @property
    def passes(self) -> bool:
        """Does the map surely change?"""
        return self.correlation.mean + self.correlation.half < FAILS


@dataclass(frozen=True, eq=False)
class Stage:
    """The map with the weights from the head down to a module drawn anew."""

    down_to: str  # name of the module
    result: Heatmap | Attribution  # of the first draw
    correlation: Tensor  # (draws, B) Spearman's, with the map of the network as it is

    @property
    def verdict(self) -> Verdict:
        """Over all draws; that of the last stage, in which all weights are random, counts."""
        values = self.correlation.mean(1)
        return Verdict(mean_interval(values), len(values))


@in_own_mode
def sanity(
    explain: Callable[[VisionModel], Heatmap | Attribution],
    model: VisionModel,
    *,
    stages: int = STAGES,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[Stage]:
    """The maps of a network whose weights are drawn anew, step by step from the head down.

    All is done on one copy: `model` stays as it is. The first stage randomizes the head alone, the
    last one everything, and those between about equal numbers of modules. All weights are then
    drawn several times more: the `verdict` of the last stage needs them.

    Args:
        explain: a method of a model, such as `lambda m: grad_cam(m, image, 3)`. The target must be
            given: what the randomized network predicts is something else.
        model: the network.
        stages: number of steps from the head down, at least 2.
        draws: number of draws of all weights, at least 4.
        seed: of the weights.

    Raises:
        WrongRequest: too few stages or draws.
    """
    if stages < 2 or draws < 4:
        raise WrongRequest(
            f"a sanity check takes 2 stages and 4 draws at least, not {stages} and {draws}"
        )
    twin = replace(model, module=copy.deepcopy(model.module))
    names = weighted_modules(twin)[::-1]
    ends = [1, *(1 + round((len(names) - 1) * i / (stages - 1)) for i in range(1, stages))]
    generator = torch.Generator().manual_seed(seed)
    reference = _map(explain(model))

    def redraw(modules: Sequence[str]) -> tuple[Heatmap | Attribution, Tensor]:
        for name in modules:
            _randomize(twin.module.get_submodule(name), generator)
        result = explain(twin)
        return result, rank_correlation(reference, _map(result))

    steps, begin = [], 0
    for number, end in enumerate(ends):
        tick(number, stages + draws - 1)
        result, correlation = redraw(names[begin:end])
        steps.append(Stage(names[end - 1], result, correlation[None]))
        begin = end
    correlations = [steps[-1].correlation]
    for number in range(1, draws):
        tick(stages + number - 1, stages + draws - 1)
        correlations.append(redraw(names)[1][None])
    steps[-1] = replace(steps[-1], correlation=torch.cat(correlations))
    return steps


def weighted_modules(model: VisionModel) -> list[str]:
    """Names of the modules with parameters of their own, in the order in which they run."""
    order: dict[str, int] = {}
    modules = {name: child for name, child in model.module.named_modules() if name}

    def seen(name: str, *_: object) -> None:
        order.setdefault(name, len(order))

    with torch.no_grad(), hooked(modules, seen):
        model(torch.zeros(1, model.bands, *model.size).to(model.like))

    def ran(name: str) -> int:  # a container begins with its first part
        inside = [n for o, n in order.items() if o == name or not name or o.startswith(f"{name}.")]
        return min(inside, default=-1)

    own = [n for n, m in model.module.named_modules() if any(True for _ in m.parameters(False))]
    return sorted(own, key=ran)


def _randomize(module: nn.Module, generator: torch.Generator) -> None:
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
            noise = torch.randn(tensor.shape, generator=generator).to(tensor)
            if name.endswith("weight") and tensor.ndim > 1:
                tensor.data.copy_(noise * (2 / prod(tensor.shape[1:])) ** 0.5)
            else:
                spread = tensor.std(correction=0)
                tensor.data.copy_(tensor.mean() + spread * noise)


def _map(result: Heatmap | Attribution) -> Tensor:
    return result.map if isinstance(result, Attribution) else result.values
