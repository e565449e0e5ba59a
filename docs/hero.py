"""Makes docs/hero.png: python -m docs.hero. Scenes, and what the bundled networks see in them."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import torch
from torch import Tensor
from torch.nn.functional import interpolate

import featvis
import zoo_adapters
from featvis import render
from zoo_adapters.bundled.scenes import scene

SIDE, GAP = 224, 6
SEEDS = (2, 30, 41)


def tile(picture: Tensor) -> Tensor:
    """A picture (H, W, 3) at the size of a tile."""
    smooth = picture.shape[0] > 64
    how = {"mode": "bicubic", "antialias": True} if smooth else {"mode": "nearest"}
    made = interpolate(picture.permute(2, 0, 1)[None].float(), (SIDE, SIDE), **how)[0]
    return made.clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0)


def row(model: featvis.VisionModel, seed: int) -> list[Tensor]:
    """A scene, its evidence, its saliency, its principal components, its strongest channels."""
    drawn = scene(seed, size=512).image
    picture = torch.from_numpy(drawn.copy())
    image = zoo_adapters.read_image(PIL.Image.fromarray(drawn), model)
    evidence = [
        render.compose(picture, render.over(method(model, image), image)[0], 0.9)
        for method in (featvis.cam, featvis.saliency)
    ]
    maps = featvis.feature_maps(model, image, "layer2", sort="strength")
    strongest = render.sheet(render.enlarge(render.tiles(maps, scale="own")[:16], 48), 4, 2)
    return [tile(p) for p in (picture, *evidence, render.components(maps)[0], strongest)]


def main() -> None:
    """Three scenes, a row each, beside the first-layer filters of scenes-alexnet."""
    model = zoo_adapters.load("bundled:scenes-resnet")
    rows = [picture for seed in SEEDS for picture in row(model, seed)]
    left = render.sheet(torch.stack(rows), 5, GAP)
    weights = featvis.filters(zoo_adapters.load("bundled:scenes-alexnet"), sort="strength")
    columns, size = 6, (left.shape[0] - GAP) // 16 - 4
    tiles = interpolate(
        render.tiles(weights, scale="own").permute(0, 3, 1, 2).float(), (size, size), mode="nearest"
    )
    right = render.sheet(tiles.to(torch.uint8).permute(0, 2, 3, 1), columns, 4)
    right = torch.cat([right, right.new_full((left.shape[0], right.shape[1], 3), 255)])
    both = torch.cat([left, right[: left.shape[0]]], 1)
    render.to_pil(both).save(Path(__file__).with_name("hero.png"), optimize=True)


if __name__ == "__main__":
    main()
