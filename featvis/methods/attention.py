"""Attention: how the blocks of a vision transformer pass information between positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from featvis.model import Image, VisionModel, WrongRequest, values
from featvis.network.rules import operation
from featvis.spec import method
from featvis.types import Heatmap, precise

__all__ = ["attention_rollout"]


class Watch(TorchDispatchMode):
    """Within: keeps the attention (B, N, N), averaged over the heads, of `count` tokens."""

    def __init__(self, count: int, pictures: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count, self.pictures = count, pictures
        self.found: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = operation(func)
        if name.startswith("_scaled_dot_product"):
            query, key = args[:2]
            scale = (kwargs or {}).get("scale") or query.shape[-1] ** -0.5
            if query.ndim > 3 and query.shape[-2] == key.shape[-2] == self.count:
                with torch.no_grad():
                    weights = (precise(query) * scale @ precise(key).transpose(-2, -1)).softmax(-1)
                self.found.append(weights.flatten(1, -3).mean(1))
        elif name in ("_softmax", "_safe_softmax") and out.shape[-2:] == (self.count, self.count):
            seen = precise(out.detach())  # (B[, heads[, 1 window]], N, N)
            if seen.ndim == 3 and len(seen) % self.pictures == 0:  # (B * heads, N, N)
                seen = seen.unflatten(0, (self.pictures, -1))
            self.found.append(seen.flatten(1, -3).mean(1) if seen.ndim > 3 else seen)
        return out


@method(
    "Attention rollout",
    family="Class evidence",
    paper="Abnar and Zuidema 2020, arXiv:2005.00928",
    requires=("tokens",),
)
def attention_rollout(model: VisionModel, image: Tensor | Image) -> Heatmap:
    """How much of each position reaches the class token, when attention is followed through.

        R = product over the blocks of (A + 1) / 2,    A the attention, averaged over the heads

    The 1 stands for the way round the attention. Without a class token it is the average over all
    positions. It is the same for every class and leaves out what the blocks do with what they
    attend to: it shows where information could come from, and is no evidence for a class.
    """
    layer = model.tokens
    if layer is None:
        raise WrongRequest(f"{model.name} has no attention rollout: {model.tokens_reason}")
    images = values(image)
    (_, prefix, suffix), (h, w) = layer.layout, model.grid(layer.size, tuple(images.shape))
    count = prefix + h * w + suffix
    # nn.MultiheadAttention has a fused path without visible attention where no gradient is wanted
    with torch.enable_grad(), Watch(count, len(images)) as watch:
        model(images.detach().requires_grad_())
    found = [a for a in watch.found if len(a) == len(images)]
    if not found:
        raise WrongRequest(f"{model.name} has no attention over all of its {h * w} positions")
    still = torch.eye(count).to(found[0])
    flow = still
    for attention in found:
        flow = (attention + still) / 2 @ flow
    summary = 0 if prefix else -1  # the class token
    reached = flow[:, summary] if prefix or suffix else flow.mean(1)
    reached = reached[:, prefix : count - suffix]
    nothing = torch.full((len(images),), -1, dtype=torch.long, device=images.device)
    return Heatmap(
        reached.unflatten(1, (h, w)),
        layer.name,
        layer.place,
        f"attention of {len(found)} blocks",
        reached.sum(1),
        nothing,
    )
