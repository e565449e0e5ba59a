"""Your own module: the record that wrap makes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn
from torchvision import models

import zoo_adapters
from featvis.model import Preprocessing, WrongRequest

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def net(classes=4):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 12, 3, 2, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(12, classes),
    )


def wrapped(module=None, **how):
    given = {"name": "mine", "mean": MEAN, "std": STD, "size": (24, 40), **how}
    return zoo_adapters.wrap(net() if module is None else module, **given)


def test_the_record_is_complete():
    model = wrapped(labels=["a", "b", "c", "d"], input=Preprocessing(0.9), info={"licence": "mit"})
    assert model.name == "mine"
    assert model.size == (24, 40)
    assert model.labels == ("a", "b", "c", "d")
    assert model.input.crop_pct == 0.9
    assert model.info == {"parameters": model.parameters, "licence": "mit"}
    assert list(model.layers) == ["0", "3"]
    assert model.layers["3"].size == (6, 10)
    assert model.layers["3"].channels == 12
    assert model.head is not None
    assert model.head.kind == "exact"


def test_pixels_are_normalized_once():
    module = net()
    model = wrapped(module)
    image = torch.rand(2, 3, 24, 40)
    planes = torch.tensor([MEAN, STD]).view(2, 1, 3, 1, 1)
    assert torch.equal(model(image), module((image - planes[0]) / planes[1]))


def test_the_module_itself_is_put_in_eval_mode_and_frozen():
    module = net().train()
    model = wrapped(module)
    assert model.module is module
    assert not any(child.training for child in module.modules())
    assert not any(p.requires_grad for p in module.parameters())
    assert all(not child._forward_hooks for child in module.modules())


def test_statistics_are_not_touched():
    module = net()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    wrapped(module)
    assert all(torch.equal(before[name], v) for name, v in module.state_dict().items())


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"labels": ("a", "b")}, "4 outputs but 2 labels"),
        ({"mean": (0.5, "a", 0.5)}, "three numbers"),
        ({"std": (0.2, 0.0, 0.2)}, "positive"),
    ],
)
def test_wrong_facts_are_refused(how, said):
    with pytest.raises(WrongRequest, match=said):
        wrapped(**how)


def test_a_module_that_does_not_run_is_refused_with_its_own_words():
    with pytest.raises(WrongRequest, match="two pictures of 24 x 40") as caught:
        wrapped(nn.Sequential(nn.Flatten(), nn.Linear(7, 2)))
    assert "2880" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_real_squeezenet_is_wrapped_and_recognizes(real_data):
    """Its classifier is a convolution, then ReLU, then the pool: the map is the class map."""
    folder = Path(real_data) / "weights" / "squeezenet1_1.caffe_in1k"
    told = json.loads((folder / "config.json").read_text())["pretrained_cfg"]
    module = models.squeezenet1_1()
    module.load_state_dict(safetensors.torch.load_file(folder / "model.safetensors"))
    model = zoo_adapters.wrap(
        module,
        name="own:squeezenet",
        mean=told["mean"],
        std=told["std"],
        size=tuple(told["input_size"][1:]),
        input=Preprocessing(told["crop_pct"], "squash", told["interpolation"]),
    )
    assert model.head is not None
    assert model.head.residual < 1e-5
    photographs = sorted((Path(real_data) / "images").glob("*.jpg"))[::16]
    with torch.no_grad():
        found = [int(model(zoo_adapters.read_image(p, model)).argmax()) for p in photographs]
    right = sum(int(p.name[:4]) == f for p, f in zip(photographs, found, strict=True))
    assert right >= 0.5 * len(photographs)
