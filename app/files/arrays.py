"""Arrays: the numbers of results, as a file that numpy reads."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featvis.types import Rectangle, Result


def packed(
    results: Mapping[str, Result], boxes: Mapping[str, Rectangle | None] | None = None
) -> bytes:
    """All tensors of results as one npz file, named method.what: "cam.values", "cam.residual".

    "cam.box" is the box round its strongest evidence: its top, left, bottom and right,
    in pixels of the original picture.
    """
    found = {
        f"{name}.{what}": value.detach().cpu().numpy()
        for name, result in results.items()
        for what, value in vars(result).items()
        if isinstance(value, torch.Tensor)
    }
    known = {n: found for n, found in (boxes or {}).items() if found is not None}
    found |= {f"{name}.box": np.array(box) for name, box in known.items()}
    return saved(found)


def saved(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as one npz file."""
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)  # type: ignore[arg-type]
    return data.getvalue()
