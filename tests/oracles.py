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


def seen(run: Callable[[Tensor], Tensor], image: Tensor, axis: int) -> Tensor:
    """Which rows (axis 2) or columns (axis 3) of an image (1, 3, H, W) change the scalar `run`."""
    before = run(image)
    made = torch.zeros(image.shape[axis], dtype=torch.bool)
    for i in range(image.shape[axis]):
        changed = image.clone()
        changed.select(axis, i).add_(0.37)
        made[i] = run(changed) != before
    return made
