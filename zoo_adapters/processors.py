"""Image processors: what transformers does to a picture, as `Preprocessing` says it.

A processor is read as a dictionary: the defaults of its class, then preprocessor_config.json.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from featvis.model import Preprocessing

__all__ = ["Prepared", "defaults", "prepared", "sized"]

KEYS = (
    "size", "crop_size", "crop_pct", "do_resize", "do_center_crop", "do_normalize", "image_mean",
    "image_std", "resample", "rescale_offset", "do_flip_channel_order", "default_to_square",
    "patch_size", "max_num_patches", "rescale_factor",
)  # fmt: skip
RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


class Prepared(NamedTuple):
    """A picture as a network takes it: size (h, w), mean and std for pixels in [0, 1]."""

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input: Preprocessing
    bgr: bool  # blue first


def defaults(processor: Any) -> dict[str, Any]:
    """What the class of a processor does unless it is told otherwise; {} without one."""
    if processor is None:
        return {}
    told = {k: getattr(processor, k) for k in KEYS if getattr(processor, k, None) is not None}
    return {**told, "image_processor_type": processor.__name__}


def sized(how: dict[str, Any], config: Any) -> dict[str, Any]:
    """The processor at the size that the configuration of a network states, or at 224 pixels."""
    h, w = _own(getattr(config, "vision_config", config))
    side = {"size": {"shortest_edge": round(h * 8 / 7)}, "do_center_crop": True}
    return {**how, **side, "crop_size": {"height": h, "width": w}}


def prepared(how: dict[str, Any], config: Any) -> Prepared:
    """Size, normalization and framing of a processor for the network of `config`."""
    size, input_ = _framing(how, config)
    normalized = how.get("do_normalize") and how.get("image_mean") is not None
    mean = tuple(map(float, how["image_mean"])) if normalized else (0.0,) * 3
    std = tuple(map(float, how["image_std"])) if normalized else (1.0,) * 3
    scale = 255 * float(how.get("rescale_factor") or 1 / 255)
    offset = 1 if how.get("rescale_offset") else 0  # to scale * pixels - offset, then normalized
    mean, std = tuple((m + offset) / scale for m in mean), tuple(s / scale for s in std)
    return Prepared(size, mean, std, input_, bool(how.get("do_flip_channel_order")))


def _framing(how: dict[str, Any], config: Any) -> tuple[tuple[int, int], Preprocessing]:
    kind = str(how.get("image_processor_type") or how.get("feature_extractor_type") or "")
    crop = _area(how.get("crop_size")) if how.get("do_center_crop") else None
    stated = how.get("size")
    if isinstance(stated, int) and how.get("default_to_square") is False:
        stated = {"shortest_edge": stated}
    shorter = stated.get("shortest_edge") if isinstance(stated, dict) else None
    area = _area(stated) or _patches(how) or (shorter and (shorter, shorter)) or _own(config)
    common: dict[str, Any] = {
        "interpolation": RESAMPLE.get(int(how.get("resample") or 2), "bilinear"),
        "fixed_size": getattr(config, "image_size", None) is not None,
    }
    if kind.startswith("ConvNext") and not crop:  # a crop below 384 pixels, none from there on
        part = float(how.get("crop_pct") or 224 / 256) if area[0] < 384 else 1.0
        mode = "center" if area[0] < 384 else "squash"
        return area, Preprocessing(
            crop_mode=mode, resize=int(area[0] / part) if part < 1 else None, **common
        )
    if kind.startswith("Perceiver") and crop and not shorter:  # it crops before it resizes
        return area, Preprocessing(crop_pct=area[0] / crop[0], **common)
    if not crop:
        mode = "center" if shorter else "squash"
        return area, Preprocessing(crop_mode=mode, resize=shorter, **common)
    if shorter:
        resize = int(shorter / how["crop_pct"]) if how.get("crop_pct") else shorter
        resize = int(256 / 224 * shorter) if kind.startswith("Levit") else resize
        return crop, Preprocessing(resize=resize, **common)
    return crop, Preprocessing(crop_mode="squash", crop_pct=crop[0] / area[0], **common)


def _area(stated: Any) -> tuple[int, int] | None:
    """A size of two sides: {"height", "width"} or one number for both."""
    if isinstance(stated, dict):
        sides = stated.get("height"), stated.get("width")
        return (int(sides[0]), int(sides[1])) if sides[0] and sides[1] else None
    return _pair(stated) if stated else None


def _patches(how: dict[str, Any]) -> tuple[int, int] | None:
    """The square that has as many patches as are allowed."""
    if not how.get("max_num_patches"):
        return None
    side = math.isqrt(how["max_num_patches"]) * int(how["patch_size"])
    return side, side


def _own(config: Any) -> tuple[int, int]:
    return _pair(getattr(config, "image_size", None) or 224)


def _pair(stated: Any) -> tuple[int, int]:
    sides = tuple(stated) if isinstance(stated, list | tuple) else (stated, stated)
    return int(sides[0]), int(sides[-1])
