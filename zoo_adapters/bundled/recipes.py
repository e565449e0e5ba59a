"""Recipes: which network is trained how. The only list of the bundled networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """An architecture of timm's registry, and its training."""

    architecture: str
    arguments: dict[str, Any]
    epochs: int
    rate: float = 3e-3
    decay: float = 0.05
    smooth: float = 0.0  # penalty on rough filters of the first layer
    half: bool = True  # bfloat16 where that is faster
    teacher: str = ""  # a network trained before, whose logits are imitated
    title: str = ""
    fixed: dict[str, Any] = field(default_factory=dict)  # more of config.json's pretrained_cfg
    training: dict[str, Any] = field(default_factory=dict)  # more arguments while it is trained


SIZES = ((0.4, 64), (0.7, 96), (1.0, 128))  # share of the epochs up to which a size is used

RECIPES = {
    "scenes-resnet": Recipe(
        "resnet18",
        {"layers": [1, 2, 2, 1], "channels": [32, 64, 112, 160], "output_stride": 8},
        5,
        training={"output_stride": 16},
        title="a residual network, GAP + FC",
    ),
    "scenes-alexnet": Recipe(
        "scenes_alexnet",
        {"output_stride": 8},
        6,
        decay=0.1,
        smooth=0.1,
        training={"output_stride": 16},
        title="the lecture's AlexNet, GAP + FC",
    ),
    "scenes-vit": Recipe(
        "vit_tiny_patch16_224",
        {"img_size": 128, "embed_dim": 144, "depth": 6, "num_heads": 3},
        14,
        rate=1.5e-3,
        teacher="scenes-resnet",
        title="a vision transformer, class token",
        fixed={"fixed_input_size": True},
        training={"dynamic_img_size": True},
    ),
    "scenes-convnext": Recipe(
        "convnext_atto",
        {
            "depths": [2, 2, 4, 2],
            "dims": [32, 64, 96, 160],
            "kernel_sizes": 5,
            "output_stride": 8,
        },
        12,
        teacher="scenes-resnet",
        training={"output_stride": 16},
        title="a ConvNeXt, LayerNorm after the pooling",
    ),
    "scenes-mobilenet": Recipe(
        "mobilenetv3_small_075",
        {},
        12,
        half=False,
        teacher="scenes-resnet",
        title="a MobileNetV3, a layer after the pooling",
    ),
}
