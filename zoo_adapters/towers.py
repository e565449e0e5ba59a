"""What the networks of transformers need to be pictures in, one vector out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["HOW", "POPULAR", "TOWERS", "UNUSABLE", "Patches", "Tower", "rgb_first"]

TOWERS = {  # a type -> the class of its part that sees
    "clip": "CLIPVisionModel",
    "clip_vision_model": "CLIPVisionModel",
    "siglip": "SiglipVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
    "siglip2": "Siglip2VisionModel",
    "siglip2_vision_model": "Siglip2VisionModel",
    "metaclip_2": "MetaClip2VisionModel",
    "dinov3_vit": "DINOv3ViTModel",
    "dinov3_convnext": "DINOv3ConvNextModel",
}
UNUSABLE = {  # a type -> why it is not shown, in words
    "dinat": "its attention needs the package natten, which is made for one machine at a time",
    "imagegpt": "it reads a picture as a row of colour numbers, through which no gradient goes",
    "shieldgemma2": "it is a language model of 2.7 billion weights that answers questions",
}
HOW = {  # what a class needs besides its type's defaults, which do not fit it
    "PerceiverForImageClassificationFourier": {"num_cross_attention_heads": 1},
    "PerceiverForImageClassificationConvProcessing": {"num_cross_attention_heads": 1},
}
POPULAR = {  # repositories of the hub -> the architecture that they are of
    "microsoft/resnet-50": "resnet",
    "facebook/convnext-tiny-224": "convnext",
    "google/vit-base-patch16-224": "vit",
    "microsoft/swin-tiny-patch4-window7-224": "swin",
    "facebook/dinov2-base": "dinov2.Dinov2Model",
    "openai/clip-vit-base-patch32": "clip_vision_model",
    "google/siglip-base-patch16-224": "siglip_vision_model",
    "facebook/deit-base-distilled-patch16-224": "deit.DeiTForImageClassificationWithTeacher",
    "microsoft/beit-base-patch16-224": "beit",
    "google/mobilenet_v2_1.0_224": "mobilenet_v2",
    "apple/mobilevit-small": "mobilevit",
    "facebook/hiera-tiny-224-in1k-hf": "hiera",
    "microsoft/focalnet-tiny": "focalnet",
    "nvidia/mit-b0": "segformer",
    "facebook/levit-128S": "levit.LevitForImageClassificationWithTeacher",
}


class Tower(nn.Module):
    """A network without a classifier, as one that gives its embedding (B, D)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """The pooled output, or the first token where the network pools nothing."""
        return _vector(self.net(images))


class Patches(nn.Module):
    """A network that takes a picture as a row of patches (B, N, p * p * 3)."""

    def __init__(self, net: nn.Module, patch: int) -> None:
        super().__init__()
        self.net, self.patch = net, patch

    def forward(self, images: Tensor) -> Tensor:
        """Cut images (B, 3, H, W) into patches, none of them masked."""
        p, (h, w) = self.patch, (images.shape[2] // self.patch, images.shape[3] // self.patch)
        rows = images[:, :, : h * p, : w * p].unflatten(3, (w, p)).unflatten(2, (h, p))
        rows = rows.permute(0, 2, 4, 3, 5, 1).flatten(1, 2).flatten(2)  # (B, h * w, p * p * 3)
        shapes = torch.tensor([[h, w]] * len(images), device="cpu")  # read as numbers
        mask = torch.ones(rows.shape[:2], dtype=torch.long, device=images.device)
        return _vector(self.net(rows, pixel_attention_mask=mask, spatial_shapes=shapes))


def _vector(out: Any) -> Tensor:
    if hasattr(out, "logits"):
        return out.logits
    pooled = getattr(out, "pooler_output", None)
    return pooled.flatten(1) if pooled is not None else out.last_hidden_state[:, 0]


def rgb_first(module: nn.Module) -> None:
    """Let a network that takes blue first take red first: its first filters are turned round."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d) and child.in_channels == 3:
            child.weight = nn.Parameter(child.weight.detach().flip(1))
            return
    raise ValueError("no convolution over three channels was found")
