"""Localization: where the evidence lies, and whether the object is there."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from featvis.render import on_input
from featvis.types import Attribution, Heatmap, Rectangle

__all__ = ["SHARE", "boxes", "iou", "largest_region", "peaks", "pointing", "surrounding"]

SHARE = 0.2  # of the maximum: what is inside the region, as Zhou et al. 2016 chose it


def boxes(
    evidence: Heatmap | Attribution, size: tuple[int, int], share: float = SHARE
) -> list[Rectangle | None]:
    """The box round the largest region of evidence above `share` of the maximum, one per picture.

    Source: Zhou et al. 2016, arXiv:1512.04150. In pixels of an input of `size`, (height, width);
    None where nothing is positive. Evidence against is left out.
    """
    maps = on_input(evidence, size).detach().nan_to_num()
    strong = (maps > share * maps.amax((1, 2), keepdim=True)) & (maps > 0)
    return [surrounding(region) for region in largest_region(strong)]


def largest_region(masks: Tensor) -> Tensor:
    """The largest connected region of each mask (N, H, W); corners touch, any of equals."""
    count, h, w = masks.shape
    # every pixel takes the largest number near it, then that of the pixel whose number it bears,
    # so that few rounds are enough: until each region bears one number
    numbers = torch.arange(1, h * w + 1, device=masks.device).view(1, h, w).expand(count, h, w)
    kind = torch.float if h * w < 2**24 else torch.double  # which tells all numbers apart
    inside = masks.to(kind)
    found = numbers.to(kind) * inside
    while True:
        spread = max_pool2d(found[:, None], 3, 1, 1)[:, 0] * inside
        if torch.equal(spread, found):
            break
        bearer = (spread.long().flatten(1) - 1).clamp(min=0)
        found = spread.flatten(1).gather(1, bearer).view_as(spread) * inside
    sizes = torch.zeros(count, h * w + 1, device=masks.device)
    sizes.scatter_add_(1, found.long().flatten(1), inside.float().flatten(1))
    return (found == sizes.argmax(1)[:, None, None]) & masks


def surrounding(mask: Tensor) -> Rectangle | None:
    """The smallest box (in pixels) round a mask (H, W); None round nothing."""
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    if not len(rows):
        return None
    top, bottom, left, right = (int(i) for i in (rows[0], rows[-1], columns[0], columns[-1]))
    return Rectangle(top, left, bottom + 1, right + 1)


def iou(a: Rectangle, b: Rectangle) -> float:
    """Area that two boxes share, over the area that they cover."""
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    width = min(a.right, b.right) - max(a.left, b.left)
    shared = max(height, 0.0) * max(width, 0.0)
    return shared / (a.height * a.width + b.height * b.width - shared)


def peaks(evidence: Heatmap | Attribution) -> Tensor:
    """Row and column (B, 2) in input pixels of the strongest position's centre.

    Between positions a map is interpolated, so its peak is at the centre of a position.
    """
    maps = evidence.map if isinstance(evidence, Attribution) else evidence.values
    width = maps.shape[2]
    strongest = maps.detach().nan_to_num().flatten(1).argmax(1)
    at = torch.stack([strongest // width, strongest % width], 1).double().cpu()
    if isinstance(evidence, Attribution):
        return at + 0.5
    start, step = (torch.tensor(pair, dtype=torch.double) for pair in evidence.place)
    return start + at * step


def pointing(evidence: Heatmap | Attribution, masks: Tensor) -> Tensor:
    """Does the peak lie on the object? (B,) booleans, for masks (B, H, W) of the input's size.

    Source: the pointing game of Zhang et al. 2016, arXiv:1608.00507, without its 15 pixels of
    tolerance: these masks are exact.
    """
    limit = torch.tensor(masks.shape[1:]) - 1
    at = peaks(evidence).long().clamp(min=torch.zeros(2, dtype=torch.long), max=limit)
    return masks[torch.arange(len(masks)), at[:, 0], at[:, 1]].bool()
