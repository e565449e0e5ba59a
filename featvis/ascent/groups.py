"""Groups: many pictures made a few at a time, and shown together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from featvis.types import Synthesis

__all__ = ["AT_ONCE", "joined"]

AT_ONCE = 16  # pictures in one batch; more of them climb in groups


def joined(parts: Sequence[Synthesis]) -> Synthesis:
    """Pictures of several ascents as one result; a shorter curve goes on as no number."""
    if len(parts) == 1:
        return parts[0]
    return Synthesis(
        torch.cat([part.values for part in parts]),
        torch.cat([part.activation for part in parts]),
        max(part.step for part in parts),
        tuple(subject for part in parts for subject in part.subjects),
        _curves([part.curve for part in parts if part.curve is not None]),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def _curves(curves: Sequence[Tensor]) -> Tensor:
    longest = max(curve.shape[1] for curve in curves)
    made = [
        torch.cat([c, c.new_full((len(c), longest - c.shape[1]), torch.nan)], 1) for c in curves
    ]
    return torch.cat(made)
