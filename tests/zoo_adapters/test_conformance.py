"""Every adapter against its checks, and every check against a record that breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import zoo_adapters
from featvis.classes import Classes
from featvis.methods.cam import cam
from featvis.model import Preprocessing, VisionModel
from zoo_adapters.checks import CHECKS, check_model, check_zoo

HEADS = {  # one architecture of every kind of head and layout, and the head to be found
    "timm:test_resnet": "exact",
    "timm:test_nfnet": "exact",  # standardized weights
    "timm:test_efficientnet": "exact",
    "timm:regnetx_002": "exact",
    "timm:levit_128s": "exact",  # two averaged heads with normalization, tokens
    "timm:mobilenetv3_small_050": "frozen gates",
    "timm:efficientvit_b0": "frozen gates",  # a convolution within the head
    "timm:test_convnext": "frozen norm",
    "timm:test_mambaout": "frozen gates",  # channels last, MLP head
    "timm:test_vit": "class token",
    "timm:test_vit2": "frozen norm",  # tokens, average
    "timm:deit_tiny_distilled_patch16_224": "class token",  # two of them
    "timm:convnextv2_atto": "frozen norm",  # norms over the map as gates
    "timm:ghostnetv2_100": "frozen gates",  # gates from a smaller map
    "torchvision:densenet121": "exact",  # a functional ReLU before the pool
    "torchvision:squeezenet1_1": "exact",  # the map of classes
    "torchvision:shufflenet_v2_x0_5": "exact",  # a mean instead of a pool
    "torchvision:mobilenet_v3_small": "frozen gates",
    "torchvision:alexnet": "flattened map",
}


def awake(model: VisionModel) -> VisionModel:
    """The same network with norms and scales that are not at their initial 0 or 1."""
    make = torch.Generator().manual_seed(11)
    for name, parameter in model.module.named_parameters():
        if parameter.ndim == 1:
            low, high = (0.5, 1.5) if name.endswith(("weight", "gamma")) else (-0.2, 0.2)
            parameter.uniform_(low, high, generator=make)
    return zoo_adapters.wrap(
        model.module,
        name=model.name,
        mean=model.mean.flatten().tolist(),
        std=model.std.flatten().tolist(),
        size=model.size,
        input=model.input,
    )


@pytest.fixture(scope="module", params=HEADS)
def model(request):
    with torch.no_grad():
        return awake(zoo_adapters.load(request.param, pretrained=False))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_models_conform(model, check):
    check(model)


def test_heads_are_found_and_give_the_logits(model):
    expected = HEADS[model.name.partition(".")[0]]
    if model.head is None:
        assert expected in model.head_reason
        return
    assert model.head.kind == expected
    assert model.head.residual < 1e-5
    image = torch.rand(1, 3, *model.size, generator=torch.Generator().manual_seed(2))
    heat = cam(model, image, 1)
    assert heat.residual is not None
    assert float(heat.residual) < 1e-5
    assert float(heat.values.std()) > 0


@pytest.mark.parametrize("zoo", ["bundled", "timm", "torchvision"])
def test_zoos_conform(zoo):
    check_zoo(zoo)


# --- the checks themselves ------------------------------------------------------------------------


def good() -> VisionModel:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, 2, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    )
    return zoo_adapters.wrap(
        module,
        name="own:good",
        mean=(0.5,) * 3,
        std=(0.2,) * 3,
        size=(32, 32),
        labels=tuple("abcd"),
    )


def failed(model):
    return [finding.check for finding in check_model(model)]


def test_a_good_record_has_no_findings():
    assert check_model(good()) == []


def test_each_check_finds_its_fault():
    model = good()
    first, second = model.layers.values()
    assert model.head is not None
    faults = {
        "name_has_its_zoo": replace(model, name="good"),
        "pixels_are_between_0_and_1": replace(model, mean=torch.full((3, 1, 1), 123.7)),
        "logits_are_one_row_per_picture": replace(model, output=Classes(("a",))),
        "layers_are_as_declared": replace(
            model, layers={first.name: first, second.name: replace(second, channels=7)}
        ),
        "layers_are_in_execution_order": replace(
            model, layers={second.name: second, first.name: first}
        ),
        "positions_see_their_field": replace(
            model, layers={first.name: first, second.name: replace(second, field=(2.0, 2.0))}
        ),
        "head_gives_the_logits": replace(model, head_reason=""),
        "pictures_are_read": replace(model, input=Preprocessing(interpolation="nothing")),
    }
    for check, broken in faults.items():
        assert failed(broken) == [check]
    model.module.train()
    model.module[0].requires_grad_()
    assert "module_is_frozen" in failed(model)
    assert set(faults) | {"module_is_frozen"} == {check.__name__ for check in CHECKS}


def test_a_network_that_mixes_its_batch_is_found():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = good().module

        def forward(self, x):
            return self.net(x) - self.net(x).mean(0)

    model = zoo_adapters.wrap(
        Mixed(), name="own:mixed", mean=(0.5,) * 3, std=(0.2,) * 3, size=(32, 32)
    )
    assert "logits_are_one_row_per_picture" in failed(model)


def test_a_head_that_is_not_that_of_the_network_is_found():
    model = good()
    model.module.append(nn.Sigmoid())
    assert "head_gives_the_logits" in failed(model)
