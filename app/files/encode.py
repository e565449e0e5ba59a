"""Encoding: pixels and pictures become files, and small pictures one sheet."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

import PIL.Image
from torch import Tensor

from featvis.render import to_pil

EMPTY = (128, 128, 128)  # round what is not square


def png(picture: Tensor) -> bytes:
    """A picture as the bytes of a PNG file."""
    data = io.BytesIO()
    # no search for what is alike: less than half the time, for files of about the same size
    to_pil(picture).save(data, "PNG", compress_type=zlib.Z_RLE)
    return data.getvalue()


def overlay(layer: Tensor) -> bytes:
    """A layer with alpha as the bytes of a WebP file, nothing lost; smaller and sooner than PNG."""
    data = io.BytesIO()
    to_pil(layer).save(data, "WEBP", lossless=True, method=0, quality=0)
    return data.getvalue()


def photograph(picture: PIL.Image.Image) -> bytes:
    """A picture as the bytes of a WebP file, as photographs are."""
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=90, method=2)
    return data.getvalue()


def contact(columns: Sequence[Sequence[PIL.Image.Image]], side: int) -> PIL.Image.Image:
    """Columns of pictures, each fitted into a square of `side` pixels."""
    rows = max(len(column) for column in columns)
    sheet = PIL.Image.new("RGB", (side * len(columns), side * rows), EMPTY)
    for at, column in enumerate(columns):
        for row, picture in enumerate(column):
            fitted = _fitted(picture, side)
            left, top = (side - fitted.width) // 2, (side - fitted.height) // 2
            sheet.paste(fitted, (at * side + left, row * side + top))
    return sheet


def _fitted(picture: PIL.Image.Image, side: int) -> PIL.Image.Image:
    """The picture enlarged or reduced until its longer side is `side`."""
    factor = side / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    smooth = PIL.Image.Resampling.BICUBIC if factor < 8 else PIL.Image.Resampling.NEAREST
    return picture.resize(size, smooth)
