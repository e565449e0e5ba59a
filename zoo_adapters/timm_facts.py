"""What a network of timm says of itself: its normalization, its framing and its labels."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from timm.data.config import resolve_model_data_config
from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

from featvis.model import Preprocessing

from . import labels
from .carried import Carried

__all__ = ["carried", "framing", "labels_of"]


def carried(module: Any) -> Carried:
    """What a network of timm says of itself, whoever built it."""
    data = resolve_model_data_config(module)
    return Carried(
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        size=(data["input_size"][1], data["input_size"][2]),
        labels=labels_of(module.pretrained_cfg, module.num_classes),
        input=framing(module, data),
        embeds=module.num_classes == 0,
    )


def framing(module: Any, data: dict[str, Any]) -> Preprocessing:
    """How a picture is resized and cropped for a network of timm."""
    return Preprocessing(
        crop_pct=data["crop_pct"],
        crop_mode=data["crop_mode"],
        interpolation=data["interpolation"],
        fixed_size=bool(module.pretrained_cfg.get("fixed_input_size")),
    )


def labels_of(cfg: dict[str, Any], classes: int) -> tuple[str, ...]:
    """The configuration's own labels, or ImageNet's where the tag says so: never by count alone."""
    if not classes:
        return ()
    if cfg.get("label_names"):
        return labels.given(cfg["label_names"], cfg.get("label_descriptions") or {}, classes)
    return _imagenet(classes) if labels.are_imagenets(classes, cfg.get("tag") or "") else ()


@lru_cache(maxsize=4)
def _imagenet(classes: int) -> tuple[str, ...]:
    info = ImageNetInfo(infer_imagenet_subset({"num_classes": classes}) or "")
    both = [info.index_to_description(i, detailed=True) for i in range(classes)]
    parts = [text.partition(": ") for text in both]
    return labels.short([lemma for lemma, _, _ in parts], [what for _, _, what in parts])
