"""The mirror test: are maps drawn where their positions look? Writes docs/placing.md.

A network sees a picture and its mirror image. Both maps are drawn at the size of the input, the
second is mirrored back, and the shift is searched at which the two agree best. Half of it is the
error of placing: a map that is drawn half a step too far to the right is found half a step too far
to the left in the mirror. It is measured along both axes, and the larger one counts.

The network's kernels are made their own mirror images first, so that nothing but the places of its
positions differs. The map is the length of a layer's activations at each position, which needs no
class, less its average over all pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

import featvis
import zoo_adapters
from featvis import VisionModel, render
from zoo_adapters.bundled.data import HELD_OUT
from zoo_adapters.bundled.scenes import scene

FILE = Path(__file__).parent.parent / "docs" / "placing.md"
PICTURES = 16
FINE = 16  # parts of a step that are told apart
SPREAD = 0.01  # of the average activation, by which a map must differ between pictures
FEWEST = 4  # positions along a side
SMALL = 1 / FINE / 2  # of a step, to which an error can be measured
# Architectures with random weights, whose padding, strides and windows differ.
ARCHITECTURES = (
    "timm:resnet18", "timm:mobilenetv2_100", "timm:tf_efficientnet_b0", "timm:efficientnet_b0",
    "timm:tf_mobilenetv3_small_100", "timm:convnext_atto", "timm:regnety_002", "timm:densenet121",
    "timm:vgg11", "timm:inception_v4", "timm:hardcorenas_a", "timm:ghostnet_100",
    "timm:repvgg_a0", "timm:vit_tiny_patch16_224",
    "timm:swin_tiny_patch4_window7_224",
    "torchvision:squeezenet1_1", "torchvision:googlenet", "torchvision:shufflenet_v2_x0_5",
)  # fmt: skip


class Row(NamedTuple):
    """The errors of a network's last map, in steps of its positions."""

    network: str
    layer: str
    ours: float
    plain: float  # of a map that is stretched over the input

    @property
    def holds(self) -> bool:
        """Is the error at most half that of a stretched map, as exactly as it can be measured?"""
        return self.ours <= self.plain / 2 + SMALL

    def __str__(self) -> str:
        return f"| {self.network} | {self.layer} | {self.ours:.3f} | {self.plain:.3f} |"


def main(arguments: Sequence[str] = ()) -> None:
    """Measure all networks, or those that are named, and write the page if it was all."""
    names = list(arguments) or [*zoo_adapters.names("bundled"), *ARCHITECTURES]
    rows = []
    for name in names:
        model = zoo_adapters.load(name, pretrained=name.startswith("bundled:"))
        rows.append(measured(mirrored(model), pictures(model)))
        print(rows[-1], flush=True)
    if not arguments:
        FILE.write_text(page(rows), "utf8")


def pictures(model: VisionModel, count: int = PICTURES) -> Tensor:
    """Drawn scenes (N, 3, H, W) as the network takes them."""
    drawn = (scene(HELD_OUT + number).image for number in range(count))
    return torch.cat([zoo_adapters.read_image(picture, model).values for picture in drawn])


def mirrored(model: VisionModel) -> VisionModel:
    """The network with kernels that are their own mirror images; it is changed.

    Where its positions look stays as it is, and a mirrored picture has the mirrored map: otherwise
    the maps would differ by what the network likes, too.
    """
    for part in model.module.modules():
        if isinstance(part, nn.Conv2d):
            weight = part.weight.data
            even = weight + weight.flip(2) + weight.flip(3) + weight.flip(2, 3)
            part.weight.data = even * (weight.norm() / even.norm().clamp_min(1e-12))
    return model


def measured(model: VisionModel, images: Tensor) -> Row:
    """The errors of placing the last map of a network that depends on the picture.

    Random weights may let nothing of the picture through to the end.
    """
    for layer in reversed(model.layer_list):
        maps = [energy(model, layer.name, x) for x in (images, images.flip(3), images.flip(2))]
        # what is in every map, as traces of the padding at the edges, is no matter of places
        always = torch.cat(maps).mean(0)
        maps = [map_ - always for map_ in maps]
        if float(maps[0].std()) > SPREAD * float(always.mean()) and min(layer.size) >= FEWEST:
            break
    size = (images.shape[2], images.shape[3])
    at = torch.stack(torch.meshgrid(*(torch.arange(n) + 0.5 for n in size), indexing="ij"), -1)

    def ours(map_: Tensor) -> Tensor:
        return render.sample(map_, layer.place, at)

    def plain(map_: Tensor) -> Tensor:
        return interpolate(map_[:, None], size, mode="bicubic", align_corners=False)[:, 0]

    return Row(model.name, layer.name, *(error(draw, maps, layer.stride) for draw in (ours, plain)))


def energy(model: VisionModel, layer: str, images: Tensor) -> Tensor:
    """The length (B, h, w) of a layer's activations, each channel less its mean."""
    maps = torch.cat([featvis.record(model, part, layer)[layer] for part in images.split(4)])
    return (maps - maps.mean((2, 3), keepdim=True)).norm(dim=1)


def error(
    draw: Callable[[Tensor], Tensor], maps: Sequence[Tensor], stride: tuple[float, float]
) -> float:
    """The larger of both axes' errors, in steps."""
    drawn = [draw(map_) for map_ in maps]
    return max(
        _shift(drawn[0], drawn[1].flip(2), stride[1]) / 2,
        _shift(drawn[0].mT, drawn[2].flip(1).mT, stride[0]) / 2,
    )


def _shift(one: Tensor, other: Tensor, step: float) -> float:
    """By how many steps the second (B, H, W) must be moved along its rows to be the most alike."""
    length = one.shape[2]
    reach = min(1.5 * step, length / 3)
    margin = int(reach) + 1
    columns = torch.arange(margin, length - margin)
    best, found = float("inf"), 0.0
    for part in range(-int(1.5 * FINE), int(1.5 * FINE) + 1):
        moved = columns + part * reach / (1.5 * FINE)
        low = moved.floor().long()
        share = (moved - low)[None, None].to(one)
        there = other[..., low] * (1 - share) + other[..., (low + 1).clamp_max(length - 1)] * share
        here = one[..., columns]
        difference = float(
            ((here - here.mean((1, 2), keepdim=True)) - (there - there.mean((1, 2), keepdim=True)))
            .square()
            .mean()
        )
        if difference < best:
            best, found = difference, abs(part * reach / (1.5 * FINE)) / step
    return found


def page(rows: Sequence[Row]) -> str:
    """The page of all rows."""
    table = "\n".join(map(str, rows))
    return f"""# Where maps are drawn

Made by `python -m benchmarks placing`, with {PICTURES} held-out scenes; the networks of timm and
torchvision have random weights, which their geometry does not depend on.

The mirror test: a network sees a picture and its mirror image, both maps are drawn over the input,
the second is mirrored back, and half the shift at which they agree best is the error of placing, in
steps of the map, measured to {SMALL:.3f}. *stretched*: the same map stretched over the input, as is
usual.

| network | layer | featvis | stretched |
| --- | --- | ---: | ---: |
{table}
"""


if __name__ == "__main__":
    main()
