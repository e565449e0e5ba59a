"""The gradient of a neuron on the part of the picture that it sees is that on the whole."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import featvis
import zoo_adapters
from featvis import Aim
from featvis.gradients import cropped_gradient as parts
from featvis.gradients.cropped_gradient import slope
from tests.support import tiny

SIZE = (96, 128)


class Stages(nn.Module):
    """Strides, pooling and paddings of several kinds, with `middle` in between."""

    def __init__(self, middle: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 5, 2, 2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.middle = middle
        self.last = nn.Conv2d(6, 8, 3, 2, 1)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.middle(self.pool(torch.relu(self.stem(x))))
        return self.fc(torch.relu(self.last(x)).mean((2, 3)))


def model(middle: nn.Module | None = None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return tiny.model(Stages(middle or nn.Conv2d(6, 6, 3, 1, 1)), size=SIZE)


@pytest.fixture
def used(monkeypatch):
    """The sides of the parts that were computed."""
    seen, make = [], parts._part

    def part(aim, images, side):
        seen.append(side)
        return make(aim, images, side)

    monkeypatch.setattr(parts, "_part", part)
    return seen


@pytest.mark.parametrize("layer", ["stem", "middle", "last"])
def test_every_position_has_the_gradient_of_the_whole(layer, used):
    net, image = model(), tiny.images(1, SIZE)
    h, w = net.layer(layer).size
    for row in {0, 1, h // 2, h - 2, h - 1}:
        for column in {0, 1, w // 3, w - 2, w - 1}:
            aim = Aim(net, None, layer, 2, (row, column))
            found, score = slope(aim, image)
            whole, expected = parts._whole(aim, image, None)
            torch.testing.assert_close(found, whole, rtol=0, atol=1e-12)
            assert float(score.values) == pytest.approx(float(expected.values))
            assert found.abs().max() > 0
    assert len(used) == len({0, 1, h // 2, h - 2, h - 1}) * len({0, 1, w // 3, w - 2, w - 1})
    assert used[0][0] * used[0][1] < 0.5 * SIZE[0] * SIZE[1]


@pytest.mark.parametrize("rule", ["guided_backprop", "deconvnet"])
def test_pictures_of_a_batch_have_their_own_places(rule, used):
    net, images = model(), tiny.images(3, SIZE)
    together = featvis.METHODS[rule].run(net, images, layer="middle", channel=1)
    assert len(used) == 1
    for i in range(3):
        alone = featvis.METHODS[rule].run(net, images[i : i + 1], layer="middle", channel=1)
        torch.testing.assert_close(together.values[i : i + 1], alone.values, rtol=0, atol=1e-12)
    assert len({tuple(v.abs().sum(0).nonzero()[0].tolist()) for v in together.values}) > 1


class Averaged(nn.Module):
    """Adds the map's average to every position: more matters than the field says."""

    def forward(self, x):
        return x + x.mean((2, 3), keepdim=True)


@pytest.mark.parametrize("middle", [nn.GroupNorm(2, 6), nn.InstanceNorm2d(6), Averaged()])
def test_where_more_matters_than_the_field_the_whole_is_computed(middle, used):
    net, image = model(middle), tiny.images(1, SIZE)
    aim = Aim(net, None, "last", 2, (3, 4))
    assert net.layer("last").gated
    torch.testing.assert_close(slope(aim, image)[0], parts._whole(aim, image, None)[0])
    assert (slope(aim, image)[0] != 0).float().mean() > 0.9
    assert not used


def test_a_class_and_a_network_of_tokens_are_computed_whole(used):
    slope(Aim(model(), 1), tiny.images(1, SIZE))
    tokens = tiny.model(tiny.nets()["tokens, average"])
    featvis.saliency(tokens, tiny.images(1), layer="blocks.0", channel=1)
    assert not used


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("timm:resnet18", "layer2.0"),
        ("torchvision:googlenet", "inception3a"),
        ("torchvision:densenet121", "features.denseblock1"),
        ("timm:tf_efficientnet_b0", "blocks.0.0"),
        ("timm:mobilenetv2_100", "blocks.2.0"),
    ],
)
def test_on_networks_of_the_zoos(name, layer):
    net = zoo_adapters.load(name, pretrained=False)
    image = torch.rand(1, 3, *net.size, generator=torch.Generator().manual_seed(0))
    aim = Aim(net, None, layer, 3)
    found, whole = slope(aim, image)[0], parts._whole(aim, image, None)[0]
    top = float(whole.abs().max())
    assert top > 0
    assert float((found - whole).abs().max()) < 1e-3 * top


def test_a_part_that_gives_another_activation_is_given_up(used, monkeypatch):
    net, image = model(), tiny.images(1, SIZE)
    aim = Aim(net, None, "middle", 2, (8, 9))
    small = parts._side(aim, image)
    monkeypatch.setattr(parts, "_side", lambda *_: (small[0] - 8, small[1] - 8))
    torch.testing.assert_close(slope(aim, image)[0], parts._whole(aim, image, None)[0])
    assert used
