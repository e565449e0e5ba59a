"""Pictures: a file, bytes or a PIL picture in, what the network takes out, with its place known.

The steps and the values are those of timm's and torchvision's own evaluation: resize, then crop at
the centre. Only where the resized picture would be huge (20,000 x 10 pixels, say) is the part that
the crop keeps resampled alone.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from featvis.model import Image, Preprocessing, VisionModel, WrongRequest
from zoo_adapters import raster

__all__ = ["MAX_PIXELS", "Framing", "framing", "read_image", "upright"]

MAX_PIXELS = 24_000_000  # of a picture that is decoded
Picture = str | Path | bytes | PIL.Image.Image | np.ndarray


def read_image(picture: Picture, model: VisionModel) -> Image:
    """A picture as `model` takes it: values in [0, 1], and the crop's box on the original.

    The original is the picture as one sees it: turned upright, its first frame, over white.
    Where the network pads (crop mode "border"), the box reaches beyond the picture.
    """
    seen = upright(picture)
    original = (seen.height, seen.width)
    frame = framing(original, model.size, model.input)
    fill = tuple(round(255 * v) for v in model.mean.flatten().tolist())
    pixels = frame.cut(seen, model.input.interpolation, fill)
    return Image(_values(pixels), frame.box(original), original)


class Framing(NamedTuple):
    """A resize and a crop: sizes (h, w), and the crop's corner on the resized picture."""

    resized: tuple[int, int]
    corner: tuple[int, int]  # negative where the crop is padded
    size: tuple[int, int]

    def box(self, original: tuple[int, int]) -> tuple[float, float, float, float]:
        """Top, left, bottom, right of the crop on the original, in its pixels."""
        (top, left), (h, w) = self.corner, self.size
        down, right = original[0] / self.resized[0], original[1] / self.resized[1]
        return top * down, left * right, (top + h) * down, (left + w) * right

    def cut(
        self, picture: PIL.Image.Image, interpolation: str, fill: tuple[int, ...]
    ) -> PIL.Image.Image:
        """The crop of an RGB picture; what lies beyond the picture is `fill`."""
        (top, left), (h, w) = self.corner, self.size
        start = max(top, 0), max(left, 0)
        end = min(top + h, self.resized[0]), min(left + w, self.resized[1])
        shown = Framing(self.resized, start, (end[0] - start[0], end[1] - start[1]))
        part = shown._resampled(picture, PIL.Image.Resampling[interpolation.upper()])
        if shown.size == self.size:
            return part
        canvas = PIL.Image.new("RGB", (w, h), fill)
        canvas.paste(part, (start[1] - left, start[0] - top))
        return canvas

    def _resampled(
        self, picture: PIL.Image.Image, filter_: PIL.Image.Resampling
    ) -> PIL.Image.Image:
        (top, left), (h, w) = self.corner, self.size
        if math.prod(self.resized) <= MAX_PIXELS:
            whole = picture.resize((self.resized[1], self.resized[0]), filter_)
            return whole.crop((left, top, left + w, top + h))
        upper, near, lower, far = self.box((picture.height, picture.width))
        box = near, upper, min(far, picture.width), min(lower, picture.height)
        return picture.resize((w, h), filter_, box=box)


def framing(original: tuple[int, int], size: tuple[int, int], how: Preprocessing) -> Framing:
    """Resize and crop of a picture of (h, w) to the network's size."""
    target = math.floor(size[0] / how.crop_pct), math.floor(size[1] / how.crop_pct)
    if how.crop_mode == "squash":
        resized = target
    elif how.crop_mode == "border":
        resized = _scaled(original, max(original[0] / target[0], original[1] / target[1]))
    elif how.resize is None and target[0] != target[1]:
        resized = _scaled(original, min(original[0] / target[0], original[1] / target[1]))
    else:
        resized = _shorter_side(original, how.resize or target[0])
    corner = _corner(resized[0], size[0]), _corner(resized[1], size[1])
    return Framing(resized, corner, size)


def _scaled(original: tuple[int, int], ratio: float) -> tuple[int, int]:
    return max(1, round(original[0] / ratio)), max(1, round(original[1] / ratio))


def _shorter_side(original: tuple[int, int], length: int) -> tuple[int, int]:
    h, w = original
    return (length, int(length * w / h)) if h <= w else (int(length * h / w), length)


def _corner(resized: int, size: int) -> int:
    """Where a centred crop begins; the rounding is that of both libraries."""
    return round((resized - size) / 2) if resized >= size else -((size - resized) // 2)


def upright(picture: Picture, *, most: int | None = None) -> PIL.Image.Image:
    """A picture as one sees it: RGB, turned by its EXIF, over white where it is transparent.

    One of more than `most` pixels (MAX_PIXELS) is refused before it is decoded.
    """
    most = MAX_PIXELS if most is None else most
    opened = _opened(picture, most)
    try:
        if opened.width * opened.height > most:
            raise WrongRequest(
                f"the picture has {opened.width} x {opened.height} pixels; at most "
                f"{most / 1e6:g} million are read: make it smaller first"
            )
        return raster.upright(opened)
    except WrongRequest:
        raise
    except Exception as error:  # decoders raise anything on a damaged file
        raise WrongRequest(
            f"{_named(picture)} is damaged and cannot be read to its end ({error}); save it again"
        ) from error
    finally:
        if opened is not picture:
            opened.close()


def _of_array(array: np.ndarray) -> PIL.Image.Image:
    """The picture of an array (H, W), (H, W, C) or (C, H, W): bytes, or numbers in [0, 1]."""
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise WrongRequest(
            f"an array of a picture has the shape (H, W), (H, W, 3) or (3, H, W), not {array.shape}"
        )
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise WrongRequest(
                f"an array of numbers has a picture's values in [0, 1], not from {array.min():.3g} "
                f"to {array.max():.3g}; divide it by 255, or undo its normalization"
            )
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise WrongRequest(
            f"an array of a picture holds bytes or numbers in [0, 1], not {array.dtype}"
        )
    return PIL.Image.fromarray(np.ascontiguousarray(array))


def _opened(picture: Picture, most: int) -> PIL.Image.Image:
    if isinstance(picture, PIL.Image.Image):
        return picture
    if isinstance(picture, np.ndarray):
        return _of_array(picture)
    bomb = PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning
    try:
        return PIL.Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture)
    except FileNotFoundError:
        raise WrongRequest(f"there is no file {_named(picture)}; check the path") from None
    except bomb as error:
        raise WrongRequest(
            f"{_named(picture)} is too large to read: at most {most / 1e6:g} million pixels "
            "are; make it smaller first"
        ) from error
    except Exception as error:  # likewise
        raise WrongRequest(
            f"{_named(picture)} is not a picture that can be read; save it as PNG, JPEG or WebP"
        ) from error


def _named(picture: Picture) -> str:
    return "this" if isinstance(picture, bytes | PIL.Image.Image) else str(picture)


def _values(picture: PIL.Image.Image) -> Tensor:
    """RGB -> (1, 3, H, W) in [0, 1]."""
    raw = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    planes = raw.view(picture.height, picture.width, 3).permute(2, 0, 1)
    return planes[None].contiguous().float() / 255
