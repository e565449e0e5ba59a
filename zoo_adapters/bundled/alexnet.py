"""The lecture's network, AlexNet, with an average instead of its flattening layers, for timm.

The first layer is AlexNet's (Krizhevsky et al. 2012): 96 filters of 11x11 pixels at stride 4. The
others are narrower, batch-normalized, and end in GAP + FC, so that class activation maps exist.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

__all__ = ["AlexNet", "scenes_alexnet"]

default_cfgs = generate_default_cfgs({
    "scenes_alexnet": {
        "url": "", "num_classes": 32, "input_size": (3, 128, 128), "pool_size": (8, 8),
        "crop_pct": 1.0, "interpolation": "bicubic", "mean": (0.5,) * 3, "std": (0.25,) * 3,
        "first_conv": "features.conv1", "classifier": "fc",
    }
})  # fmt: skip


class AlexNet(nn.Module):
    """Five convolutions, two poolings, one average: (B, 3, H, W) -> logits (B, num_classes)."""

    def __init__(
        self,
        num_classes: int = 32,
        in_chans: int = 3,
        widths: tuple[int, ...] = (96, 96, 160, 160, 160),
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        output_stride: int = 16,
    ) -> None:
        """`output_stride` 8: the same weights read off a map twice as fine (a trous)."""
        super().__init__()
        fine = 16 // output_stride
        one, two, three, four, five = widths
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = five
        self.feature_info = [{"num_chs": five, "reduction": 16, "module": "features"}]
        self.features = nn.Sequential()
        self._layer("1", nn.Conv2d(in_chans, one, 11, 4, 5, bias=False))
        self.features.add_module("pool1", nn.MaxPool2d(3, 2, 1))
        self._layer("2", nn.Conv2d(one, two, 5, 1, 2, bias=False))
        self.features.add_module("pool2", nn.MaxPool2d(3, 2 // fine, 1))
        self._layer("3", nn.Conv2d(two, three, 3, 1, fine, fine, bias=False))
        self._layer("4", nn.Conv2d(three, four, 3, 1, fine, fine, bias=False))
        self._layer("5", nn.Conv2d(four, five, 3, 1, fine, fine, bias=False))
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(drop_rate)
        self.fc = nn.Linear(five, num_classes) if num_classes else nn.Identity()

    def _layer(self, number: str, conv: nn.Conv2d) -> None:
        self.features.add_module(f"conv{number}", conv)
        self.features.add_module(f"norm{number}", nn.BatchNorm2d(conv.out_channels))
        self.features.add_module(f"relu{number}", nn.ReLU(inplace=True))

    def get_classifier(self) -> nn.Module:
        """The linear layer."""
        return self.fc

    def reset_classifier(self, num_classes: int, global_pool: str = "avg") -> None:
        """A new linear layer."""
        self.num_classes = num_classes
        self.fc = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """The last map (B, C, H / 16, W / 16)."""
        return self.features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Its average, and the logits."""
        x = self.drop(torch.flatten(self.global_pool(x), 1))
        return x if pre_logits else self.fc(x)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes)."""
        return self.forward_head(self.forward_features(x))


@register_model  # type: ignore[untyped-decorator]
def scenes_alexnet(pretrained: bool = False, **kwargs: Any) -> AlexNet:
    """The architecture under its name in timm's registry."""
    return build_model_with_cfg(AlexNet, "scenes_alexnet", pretrained, **kwargs)
