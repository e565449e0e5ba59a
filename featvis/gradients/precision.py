"""Precision: bfloat16 where the processor computes with it and the result does not suffer.

Forward and backward passes take 0.4 of the time there. How much a gradient suffers depends on the
network and the picture, so it is not believed but compared, each time: the first samples are
computed both ways, and only maps that rank their pixels alike are gone on with.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal

import torch
from torch import Tensor

from featvis.gradients.statistics import rank_correlation
from featvis.model import VisionModel
from featvis.spec import Tuning

__all__ = ["ENOUGH", "Precision", "alike", "possible", "reduced", "said"]

ENOUGH = 0.99  # rank correlation with float32, below which bfloat16 is not used
Precision = Annotated[
    Literal["auto", "float32"],
    Tuning("auto: bfloat16 where the processor has it and the map stays the same"),
]


@lru_cache
def native(device: str) -> bool:
    """Does this kind of device ("cpu", "cuda") compute in bfloat16, and not merely emulate it?"""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return device == "cpu" and bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def possible(precision: str, model: VisionModel) -> bool:
    """May bfloat16 be tried for this network? One in another precision than float32 keeps it."""
    return precision == "auto" and model.dtype == torch.float32 and native(model.like.device.type)


def reduced(device: str, *, on: bool) -> torch.autocast:
    """Within: matrix products and convolutions in bfloat16, if `on`."""
    return torch.autocast(device, torch.bfloat16, enabled=on)


def alike(half: Tensor, full: Tensor) -> float:
    """Rank correlation of two gradients (3, H, W), by their largest magnitude over the colours."""
    return float(rank_correlation(*(part.abs().amax(0)[None] for part in (half, full))))


def said(agreed: Sequence[float]) -> tuple[str, ...]:
    """A note on what was computed in bfloat16, of how well the first samples agreed."""
    used = [value for value in agreed if value >= ENOUGH]
    if not used:
        return ()
    return (
        "computed in bfloat16, as the first samples agree with float32 (rank correlation "
        f"{min(used):.4f})",
    )
