"""The methods again, slow and literal, close to their papers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def slope(score: Callable[[Tensor], Tensor], at: Tensor, step: float = 1e-6) -> Tensor:
    """The gradient of a scalar by central differences, one number at a time."""
    made = torch.zeros_like(at)
    for i in range(at.numel()):
        ahead, behind = at.clone(), at.clone()
        ahead.view(-1)[i] += step
        behind.view(-1)[i] -= step
        made.view(-1)[i] = (score(ahead) - score(behind)) / (2 * step)
    return made


def grad_cam(maps: Tensor, gradient: Tensor) -> Tensor:
    """Selvaraju et al. 2017, equations 1 and 2, for one picture: (C, h, w) twice -> (h, w)."""
    channels, h, w = maps.shape
    made = torch.zeros(h, w, dtype=maps.dtype)
    for k in range(channels):
        weight = sum(gradient[k, i, j] for i in range(h) for j in range(w)) / (h * w)
        made += weight * maps[k]
    return made.clamp(min=0)


def grad_cam_plus_plus(maps: Tensor, gradient: Tensor) -> Tensor:
    """Chattopadhay et al. 2018, equations 10 and 19, for one picture: (C, h, w) twice -> (h, w)."""
    made = torch.zeros_like(maps[0])
    for a, g in zip(maps, gradient, strict=True):
        total, weight = float(a.sum()), 0.0
        for slope in g.flatten().tolist():
            below = 2 * slope**2 + total * slope**3
            weight += slope**2 / below * max(slope, 0.0) if below else 0.0
        made += weight * a
    return made.clamp(min=0)


class Ruled(torch.autograd.Function):
    """A ReLU, cut at `most`, whose backward pass is `rule(gradient, input)`."""

    @staticmethod
    def forward(ctx, z, rule, most):
        ctx.save_for_backward(z)
        ctx.rule = rule
        return z.clamp(0, most)

    @staticmethod
    def backward(ctx, gradient):
        return ctx.rule(gradient, ctx.saved_tensors[0]), None, None


def guided(gradient: Tensor, z: Tensor, most: float = float("inf")) -> Tensor:
    """Springenberg et al. 2014, section 3.4: both gates."""
    return torch.where((z > 0) & (z < most) & (gradient > 0), gradient, 0.0)


def deconvolved(gradient: Tensor, z: Tensor) -> Tensor:
    """Zeiler and Fergus 2014, section 2.1: only the gate of the way down."""
    return torch.where(gradient > 0, gradient, 0.0)


def rollout(attentions: list[Tensor]) -> Tensor:
    """Abnar and Zuidema 2020, equation 1, for attentions (H, N, N) of the blocks in order."""
    flow = torch.eye(attentions[0].shape[-1], dtype=attentions[0].dtype)
    for heads in attentions:
        one = sum(heads) / len(heads)
        one = 0.5 * one + 0.5 * torch.eye(len(one), dtype=one.dtype)
        flow = one @ flow
    return flow


def seen(run: Callable[[Tensor], Tensor], image: Tensor, axis: int) -> Tensor:
    """Which rows (axis 2) or columns (axis 3) of an image (1, 3, H, W) change the scalar `run`."""
    before = run(image)
    made = torch.zeros(image.shape[axis], dtype=torch.bool)
    for i in range(image.shape[axis]):
        changed = image.clone()
        changed.select(axis, i).add_(0.37)
        made[i] = run(changed) != before
    return made
