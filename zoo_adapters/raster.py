"""Raster: a decoded picture as 8-bit RGB, and as a small WebP file. It needs Pillow, not torch.

The process that decodes uploads loads this file by its path, so that no package comes with it.
"""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps

__all__ = ["rgb", "thumbnail", "upright", "webp"]


def upright(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Turn a picture by its EXIF, and make it RGB, over white where it is transparent."""
    return rgb(PIL.ImageOps.exif_transpose(picture))


def rgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Convert a picture of any mode to RGB, as one sees it."""
    if picture.mode.startswith(("I", "F")):
        return _eight_bits(picture).convert("RGB")
    if picture.mode.endswith(("A", "a")) or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = PIL.Image.new("RGBA", picture.size, "white")
        return PIL.Image.alpha_composite(white, picture).convert("RGB")
    if picture.mode == "LAB":  # convert() would take its planes for red, green and blue
        return _from_lab(picture)
    return picture.convert("RGB")


def _from_lab(picture: PIL.Image.Image) -> PIL.Image.Image:
    lab, srgb = PIL.ImageCms.createProfile("LAB"), PIL.ImageCms.createProfile("sRGB")
    converted = PIL.ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
    assert converted is not None
    return converted


def _eight_bits(picture: PIL.Image.Image) -> PIL.Image.Image:
    """16-bit, 32-bit or floating-point gray as 8-bit gray: white is the format's, not 255."""
    sixteen, real = picture.mode.startswith("I;16"), picture.mode == "F"
    if not real:
        picture = picture.convert("I")
    kind = np.float32 if real else np.int32
    gray = np.nan_to_num(np.frombuffer(picture.tobytes(), kind).astype(np.float64))
    brightest = float(gray.max())
    whites = (65535,) if sixteen else (1, 255, 65535) if real else (255, 65535)
    white = next((level for level in whites if brightest <= level), brightest)
    with np.errstate(over="ignore"):  # infinity is white
        levels = (gray * 255 / white).round().clip(0, 255).astype(np.uint8)
    return PIL.Image.frombytes("L", picture.size, levels.tobytes())


def thumbnail(picture: PIL.Image.Image, side: int) -> PIL.Image.Image:
    """Reduce a picture, in place, until no side is longer than `side`; without its metadata."""
    picture.thumbnail((side, side))
    picture.info = {}
    return picture


def webp(picture: PIL.Image.Image) -> bytes:
    """Encode an RGB picture as WebP, without any metadata."""
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=92, exif=b"", icc_profile=b"", xmp=b"")
    return data.getvalue()
