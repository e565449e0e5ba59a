"""Rendering: results -> pictures, uint8 tensors (..., H, W, 3) or with alpha (..., H, W, 4).

The only file that colours. Magnitudes are kept: `limit` says which value gets the full colour, a
flat map stays flat, and a value that is not a number is grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from math import ceil, sqrt
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from featvis.model import Image
from featvis.render import color
from featvis.render.placing import (
    LARGEST,
    PIXELS,
    coverage,
    inside,
    on_input,
    pixels_of,
    placed,
    sample,
)
from featvis.types import (
    Attribution,
    FeatureMaps,
    Filters,
    Heatmap,
    Place,
    ReceptiveField,
    Result,
    Synthesis,
)

if TYPE_CHECKING:
    import PIL.Image

__all__ = [
    "LARGEST",
    "colorbar",
    "components",
    "components_over",
    "compose",
    "grid",
    "limit",
    "on_input",
    "over",
    "pictures",
    "placed",
    "render",
    "sample",
    "sheet",
    "strokes",
    "tiles",
    "to_pil",
]

GREY = 0.5


@singledispatch
def render(result: Result) -> Tensor:
    """The whole result as one picture (H, W, 3)."""
    raise TypeError(f"no picture of a {type(result).__name__} is known")


@render.register(Filters)
@render.register(FeatureMaps)
def grid(result: Filters | FeatureMaps, *, scale: str = "shared") -> Tensor:
    """All tiles of the first picture side by side (H, W, 3); `scale` as in `tiles`."""
    return sheet(enlarge(tiles(result, scale=scale), 88 if isinstance(result, Filters) else 64))


@render.register
def _(result: Heatmap) -> Tensor:
    maps = _unit(result.values, limit(result))
    pictures = color.signed(maps) if result.signed else color.heat(maps)
    return sheet(enlarge(pictures, 224))


@render.register
def _(result: Attribution) -> Tensor:
    if result.colors:
        return sheet(strokes(result))
    maps = _unit(result.map, limit(result))
    return sheet(color.signed(maps) if result.signed else color.heat(maps))


@render.register
def _(result: ReceptiveField) -> Tensor:
    return color.heat(_unit(result.values.sqrt(), float(result.values.max()) ** 0.5))


@render.register
def _(result: Synthesis) -> Tensor:
    return sheet(pictures(result))


def pictures(result: Synthesis) -> Tensor:
    """What was made, as pictures (B, H, W, 3)."""
    return _bytes(_finite(color.shown(result.values, result.bands)).permute(0, 2, 3, 1))


def to_pil(picture: Tensor) -> PIL.Image.Image:
    """A picture (H, W, 3) or (H, W, 4), for Pillow: to save it, or to see it in a notebook."""
    import PIL.Image

    return PIL.Image.fromarray(picture.cpu().contiguous().numpy())


def strokes(result: Attribution) -> Tensor:
    """The attribution itself as colours about grey (B, H, W, 3), on one scale."""
    shown = color.shown(result.values, result.bands)
    return _bytes(GREY + GREY * _unit(shown, limit(result)).permute(0, 2, 3, 1))


def limit(result: Result) -> float:
    """The magnitude that gets the full colour: the largest, or the 99th percentile of gradients.

    Of these among the pixels that there is any at: a neuron sees a small part of the picture, and
    what lies outside it is no reason to cut off nearly all that lies inside.
    """
    if isinstance(result, Attribution):
        values = _finite(result.map).abs().flatten()
        values = values[values > 0]
        return (
            float(values.kthvalue(max(1, int(0.99 * len(values)))).values) if len(values) else 0.0
        )
    return float(_finite(result.values).abs().max())


def limits(results: Sequence[Result]) -> list[float]:
    """The limit of each result, and of those in the same unit the largest of theirs."""
    own = [limit(result) for result in results]
    largest: dict[str, float] = {}
    for result, top in zip(results, own, strict=True):
        largest[result.unit] = max(largest.get(result.unit, 0.0), top)
    return [
        largest[result.unit] if result.unit else top
        for result, top in zip(results, own, strict=True)
    ]


def tiles(result: Filters | FeatureMaps, *, scale: str = "shared", picture: int = 0) -> Tensor:
    """One tile (N, h, w, 3) per filter or channel, in `result.order`.

    `scale`: "shared" compares tiles, "own" shows the pattern of weak ones too.
    """
    if isinstance(result, Filters):
        return _filter_colors(result.values[result.order], scale)
    maps = _finite(result.values[picture][result.order[picture].to(result.values.device)])
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    if scale == "shared":
        low, high = low.amin(), high.amax()
    # zero is dark where maps are rectified, and the lowest value where they are not
    shown = (maps - low.clamp(max=0)) / (high - low.clamp(max=0)).clamp_min(1e-12)
    return color.heat(shown)


def _filter_colors(weights: Tensor, scale: str) -> Tensor:
    """Symmetric about zero, which is grey (RGB) or white (one input channel)."""
    weights = _finite(weights)
    largest = weights.abs().amax((1, 2, 3), keepdim=True)
    if scale == "shared":  # of the strongest but a few: one outlier must not grey all others
        largest = largest.flatten().kthvalue(ceil(0.95 * len(largest))).values
    unit = (weights / largest.clamp_min(1e-12)).clamp(-1, 1)
    if weights.shape[1] == 3:
        return _bytes(GREY + GREY * unit).permute(0, 2, 3, 1)
    return color.signed(unit[:, 0])


def components(result: FeatureMaps) -> Tensor:
    """The three principal components as colours (B, h, w, 3), 1st to 99th percentile each."""
    if result.components is None:
        raise ValueError("these feature maps carry no components")
    flat = _finite(result.components).flatten(2)
    ordered = flat.sort(2).values
    count = ordered.shape[2] - 1
    low, high = (ordered[:, :, round(q * count), None] for q in (0.01, 0.99))
    span = (high - low).amax(1, keepdim=True)  # one span for all three: weak ones stay pale
    middle = (high + low) / 2
    unit = ((flat - middle) / span.clamp_min(1e-12) + 0.5).unflatten(2, result.values.shape[2:])
    return _bytes(unit.permute(0, 2, 3, 1).clamp(0, 1))


def over(result: Heatmap | Attribution, image: Image, *, limit: float | None = None) -> Tensor:
    """The result as a layer (B, H, W, 4) over the original picture (longer side at most 768).

    Positions of a map are placed by their measured centres and the crop on the original; what the
    network did not see is transparent. Alpha follows the magnitude, but strokes on grey are opaque.
    """
    at = pixels_of(image)
    top = max(limit if limit is not None else _limit(result), 1e-12)
    if isinstance(result, Attribution) and result.colors:
        shown = color.shown(result.values, result.bands)
        strokes_ = sample(shown.flatten(0, 1), PIXELS, at).unflatten(0, (-1, 3))
        tones = _bytes(GREY + GREY * _unit(strokes_, top)).permute(0, 2, 3, 1)
        layer = torch.cat([tones, torch.full_like(tones[..., :1], 255)], -1)
    elif isinstance(result, Attribution):
        layer = color.evidence(_unit(sample(result.map, PIXELS, at), top))
    else:
        layer = color.evidence(_unit(placed(result.values, result.place, at), top))
    layer[..., 3] *= inside(image, at)
    return layer


def components_over(colors: Tensor, place: Place, image: Image) -> Tensor:
    """Colours (h, w, 3) of a map's positions, as a layer (H, W, 4) that is placed as heat is."""
    at = pixels_of(image)
    fine = sample(colors.permute(2, 0, 1).float(), place, at).permute(1, 2, 0)
    alpha = 255 * coverage((colors.shape[0], colors.shape[1]), place, at) * inside(image, at)
    return torch.cat([fine, alpha[..., None].to(fine)], -1).round().byte()


def compose(picture: Tensor, layer: Tensor, opacity: float = 0.8) -> Tensor:
    """A layer (H, W, 4) over a picture (H', W', 3), which is resized to it: (H, W, 3)."""
    below = picture.float()
    if below.shape[:2] != layer.shape[:2]:
        planes = below.permute(2, 0, 1)[None]
        planes = interpolate(planes, layer.shape[:2], mode="bilinear", antialias=True)[0]
        below = planes.permute(1, 2, 0).contiguous()
    above = layer.float()
    return below.lerp(above[..., :3], above[..., 3:] * (opacity / 255)).round().to(torch.uint8)


def sheet(pictures: Tensor, columns: int | None = None, gap: int = 2) -> Tensor:
    """Pictures (N, h, w, 3) side by side on white: (H, W, 3)."""
    count, h, w = pictures.shape[:3]
    columns = min(columns or ceil(sqrt(count * h / w)), count)
    rows = ceil(count / columns)
    made = pictures.new_full((rows * (h + gap) + gap, columns * (w + gap) + gap, 3), 255)
    for i, tile in enumerate(pictures):
        top, left = gap + (i // columns) * (h + gap), gap + (i % columns) * (w + gap)
        made[top : top + h, left : left + w] = tile
    return made


def enlarge(pictures: Tensor, side: int) -> Tensor:
    """Each pixel repeated a whole number of times, until the longer side is about `side`."""
    factor = max(1, round(side / max(pictures.shape[1:3])))
    return pictures.repeat_interleave(factor, 1).repeat_interleave(factor, 2)


def colorbar(result: Result, length: int = 256, thickness: int = 12) -> Tensor:
    """The colours of a result from its lowest to its highest value: (thickness, length, 3)."""
    if isinstance(result, Attribution) and result.colors:
        grey = torch.linspace(0, 1, length)[:, None].expand(length, 3)
        return _bytes(grey).expand(thickness, length, 3).contiguous()
    signed = isinstance(result, Heatmap | Attribution) and result.signed
    ramp = torch.linspace(-1 if signed else 0, 1, length)
    return color.evidence(ramp)[:, :3].expand(thickness, length, 3).contiguous()


_limit = limit


def _unit(values: Tensor, top: float) -> Tensor:
    return (_finite(values) / max(top, 1e-12)).clamp(-1, 1)


def _finite(values: Tensor) -> Tensor:
    kind = torch.double if values.dtype == torch.double else torch.float
    return values.detach().to("cpu", kind).nan_to_num(0.0, 0.0, 0.0)


def _bytes(unit: Tensor) -> Tensor:
    return (unit.clamp(0, 1) * 255).round().to(torch.uint8)
