"""Viewer: how a network looks at pictures while they are made, at the least cost.

The pictures are seen through views (`featvis.ascent.transform`), at the size that the network
takes; the pass stops at the last layer that is asked for, runs on a folded copy
(`featvis.ascent.fused_copy`), and in bfloat16 where the first gradients point the same way as in
float32. Small pictures come first where the network takes them: they cost less, and large shapes
are settled in them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from featvis.ascent.fused_copy import folded
from featvis.ascent.objectives import Objective, watch
from featvis.ascent.transform import warp
from featvis.autograd import gradient_at
from featvis.gradients.precision import possible, reduced
from featvis.model import VisionModel

__all__ = ["Sight", "seen_size", "settled"]

ENOUGH = 0.8  # cosine of the two gradients, below which bfloat16 is not used


@dataclass(frozen=True, eq=False)
class Sight:
    """A network, and what is looked for."""

    model: VisionModel
    objective: Objective
    apart: Objective | None = None  # added to the objective where a picture is changed
    half: bool = False
    agreed: float = 1.0  # cosine of its first gradients in bfloat16 and float32, the lowest

    @property
    def notes(self) -> tuple[str, ...]:
        """A note on the precision, if it is reduced."""
        said = f"computed in bfloat16: its first gradients agree with float32 ({self.agreed:.3f})"
        return (said,) if self.half else ()

    def __call__(self, pictures: Tensor, views: Tensor) -> tuple[Tensor, Tensor]:
        """The objective (B,) of pictures (B, 3, H, W), averaged over views, without and with apart.

        `views` are maps of the plane (V, 3, 3) in pixels of the pictures.
        """
        size = seen_size(self.model, (pictures.shape[2], pictures.shape[3]))
        seen = warp(pictures, views, size).contiguous(memory_format=torch.channels_last)
        wanted = self.objective + self.apart if self.apart else self.objective
        with reduced(pictures.device.type, on=self.half):
            found = watch(self.model, seen, wanted)
        value = self._mean(self.objective(found), views).to(pictures.dtype)
        if self.apart is None:
            return value, value
        return value, value + self._mean(self.apart(found), views).to(pictures.dtype)

    def _mean(self, values: Tensor, views: Tensor) -> Tensor:
        return values.unflatten(0, (len(views), -1)).mean(0)

    def plainly(self, pictures: Tensor) -> Tensor:
        """The objective (B,) of pictures as they are, without a change of view."""
        with torch.no_grad():
            return self(pictures, torch.eye(3).double()[None])[0]


def seen_size(model: VisionModel, size: tuple[int, int]) -> tuple[int, int]:
    """The size at which the network sees pictures of `size`: its own where it takes no other."""
    return model.size if model.input.fixed_size or model.tokens else size


def settled(sight: Sight, pictures: Tensor, precision: str) -> Sight:
    """The same sight at less cost, as far as its gradients at `pictures` stay the same."""
    size = seen_size(sight.model, (pictures.shape[2], pictures.shape[3]))
    one = warp(pictures[:1], torch.eye(3).double()[None], size)
    objective = sight.objective + sight.apart if sight.apart else sight.objective
    layers = dict.fromkeys(objective.layers + objective.units)
    quick = replace(sight, model=folded(sight.model, one, tuple(layers)))
    full = _gradient(quick, pictures).flatten(1)
    if not full.any():  # the copy's own operations give zeros where there is no gradient at all
        _gradient(sight, pictures)
    if not possible(precision, sight.model):
        return quick
    half = replace(quick, half=True)
    try:
        reduced_ = _gradient(half, pictures).flatten(1)
    except RuntimeError:  # an operation that computes in float32 only
        return quick
    known = full.any(1)  # a rectifier may stop a whole gradient: such a row says nothing
    cosine = torch.cosine_similarity(full, reduced_, dim=1)[known]
    lowest = float(cosine.min()) if len(cosine) else 0.0
    return replace(half, agreed=lowest) if lowest >= ENOUGH else quick


def _gradient(sight: Sight, pictures: Tensor) -> Tensor:
    leaf = pictures.detach().requires_grad_()
    with torch.enable_grad():
        value = sight(leaf, torch.eye(3).double()[None])[0]
    return gradient_at(value, leaf)
