"""Pictures: values are the libraries' own, the box is where it says, photographs are recognized."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import pytest
import timm.data
import torch
from torchvision import models

from tests.support.drawn import MEAN, scene, taker
from zoo_adapters import pictures, read_image

# --- the values -----------------------------------------------------------------------------------

OLD = tuple(map(int, timm.__version__.split(".")[:3])) < (1, 0, 31)
SIZES = [(333, 500), (500, 333), (480, 640), (100, 100), (37, 801), (224, 224), (1, 1), (3, 5)]
MODES = list(product(["center", "squash", "border"], [0.875, 0.9, 1.0]))


@pytest.mark.parametrize("original", SIZES, ids=str)
@pytest.mark.parametrize(("mode", "pct"), MODES)
def test_values_are_those_of_timm(original, mode, pct):
    picture = scene(*original)
    for size, filter_ in product([(224, 224), (192, 256), (160, 97)], ["bicubic", "bilinear"]):
        if filter_ != "bilinear" and size[0] != size[1] and mode == "center" and OLD:
            continue  # timm took its bilinear filter there, whatever was asked for
        transform = timm.data.create_transform(
            (3, *size), interpolation=filter_, crop_pct=pct, crop_mode=mode, mean=MEAN, std=(1,) * 3
        )
        expected = transform(picture) + torch.tensor(MEAN).view(3, 1, 1)
        how = {"crop_pct": pct, "crop_mode": mode, "interpolation": filter_}
        values = read_image(picture, taker(size, **how)).values[0]
        assert (values - expected).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["alexnet", "efficientnet_b0", "inception_v3", "vit_h_14"])
@pytest.mark.parametrize("original", [(375, 500), (500, 375), (60, 90)], ids=str)
def test_values_are_those_of_torchvision(name, original):
    how = models.get_model_weights(name).DEFAULT.transforms()
    picture = scene(*original)
    planes = torch.tensor([how.mean, how.std]).view(2, 3, 1, 1)
    expected = how(picture) * planes[1] + planes[0]
    model = taker(
        (how.crop_size[0],) * 2,
        interpolation=how.interpolation.value,
        resize=how.resize_size[0],
    )
    assert (read_image(picture, model).values[0] - expected).abs().max() < 1e-5


def test_a_huge_resize_gives_the_values_of_a_whole_one(monkeypatch):
    """The two ways of resampling agree to the last levels of eight bits."""
    model = taker((192, 256), crop_pct=0.9)
    whole = read_image(scene(333, 500), model)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 333 * 500)  # below that of the resized picture
    part = read_image(scene(333, 500), model)
    assert part.box == whole.box
    assert (part.values - whole.values).abs().max() <= 2.01 / 255


# --- the place ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("size", [(224, 224), (192, 256), (256, 160)], ids=str)
@pytest.mark.parametrize("original", [(333, 500), (500, 333)], ids=str)
@pytest.mark.parametrize("pct", [0.875, 1.0])
def test_a_marker_in_the_crop_is_where_the_box_says(mode, size, original, pct):
    row, column = original[0] // 2 - 40, original[1] // 2 + 31
    picture = PIL.Image.new("RGB", (original[1], original[0]), "black")
    spot = [column - 7, row - 7, column + 7, row + 7]
    PIL.ImageDraw.Draw(picture).rectangle(spot, fill="white")
    model = taker(size, crop_mode=mode, crop_pct=pct)
    model.mean = torch.zeros(3, 1, 1)  # the border's colour
    image = read_image(picture, model)
    light = image.values[0, 0].double()
    rows = torch.arange(size[0]) + 0.5
    columns = torch.arange(size[1]) + 0.5
    found = float((light.sum(1) * rows).sum() / light.sum())
    across = float((light.sum(0) * columns).sum() / light.sum())
    top, left, bottom, right = image.box
    assert image.original == original
    assert abs(top + found * (bottom - top) / size[0] - (row + 0.5)) < 1
    assert abs(left + across * (right - left) / size[1] - (column + 0.5)) < 1


def test_the_box_of_a_padded_picture_reaches_beyond_it():
    image = read_image(scene(100, 200), taker((224, 224), crop_mode="border"))
    assert image.box == pytest.approx((-50, 0, 150, 200), abs=1)
    corner = image.values[0, :, 0, 0]
    assert corner.tolist() == pytest.approx(MEAN, abs=1 / 255)


def test_photographs_are_recognized(real_data):
    """The whole chain: a folder's preprocessing, the photograph, the prediction."""
    import zoo_adapters

    folder = Path(real_data) / "weights" / "mobilenetv2_100.coral_qat_in1k"
    model = zoo_adapters.load(f"timm:local-dir:{folder}")
    photographs = sorted((Path(real_data) / "images").glob("*.jpg"))[::16]
    with torch.no_grad():
        found = [int(model(read_image(p, model)).argmax()) for p in photographs]
    right = sum(int(p.name[:4]) == f for p, f in zip(photographs, found, strict=True))
    assert right >= 0.8 * len(photographs)
