"""What torchvision's detection and segmentation models see with: their backbones, as embeddings.

The boxes and masks are left out, and the pyramid over the backbone, too: what is left gives maps,
of which the last one is averaged. The weights are those of the whole model, trained on COCO.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision import models

from featvis.model import Preprocessing

__all__ = ["FAMILIES", "Backbone", "Seen", "architectures", "family", "seen", "whole"]

FAMILIES = {"detection": models.detection, "segmentation": models.segmentation}
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Detectors carry their preprocessing in the built model. A side, mean and std; the others take
# pictures whose shorter side is 800 pixels. Tests compare each with the model itself.
SIDES = {
    "ssd300_vgg16": (300, (0.48235, 0.45882, 0.40784), (1 / 255,) * 3),
    "ssdlite320_mobilenet_v3_large": (320, (0.5,) * 3, (0.5,) * 3),
    "fasterrcnn_mobilenet_v3_large_320_fpn": (320, *IMAGENET),
}
SQUASHED = "ssd"  # these take pictures of one size only, whatever becomes of their aspect


class Seen(NamedTuple):
    """How a network of torchvision takes a picture."""

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input: Preprocessing


class Backbone(nn.Module):
    """The backbone of a whole model: pictures (B, 3, H, W) to the last map's average (B, C)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        backbone: Any = model.backbone
        self.body: nn.Module = getattr(backbone, "body", backbone)  # without its pyramid

    def forward(self, images: Tensor) -> Tensor:
        """The average of the last, deepest map; of SSD it is a single position."""
        *_, deepest = self.body(images).values()
        return torch.as_tensor(deepest).mean((2, 3))


def architectures() -> list[str]:
    """The detection models, then the segmentation models."""
    return [name for module in FAMILIES.values() for name in models.list_models(module=module)]


def family(architecture: str) -> str:
    """Whether it does "detection" or "segmentation"; "" for a classifier."""
    listed = (f for f, module in FAMILIES.items() if architecture in models.list_models(module))
    return next(listed, "")


def seen(architecture: str, chosen: Any) -> Seen:
    """How the model takes a picture, known without building it."""
    if family(architecture) == "segmentation":
        how = chosen.transforms()
        return _resized(how.resize_size[0], tuple(how.mean), tuple(how.std))
    side, mean, std = SIDES.get(architecture, (800, *IMAGENET))
    if architecture.startswith(SQUASHED):
        squashed = Preprocessing(crop_mode="squash", interpolation="bilinear", fixed_size=True)
        return Seen(side, mean, std, squashed)
    return _resized(side, mean, std)


def _resized(side: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Seen:
    """The shorter side is resized; what is square of it is taken, where the model takes all."""
    return Seen(side, mean, std, Preprocessing(interpolation="bilinear", resize=side))


def whole(architecture: str, chosen: Any = None) -> nn.Module:
    """The whole model, with the weights chosen or with random ones."""
    model: nn.Module = models.get_model(architecture, weights=chosen, weights_backbone=None)
    return model
