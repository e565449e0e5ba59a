"""Guided backpropagation and DeconvNet are right on every way to write a rectifier."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import featvis
from tests.support import oracles, tiny

WAYS = ("module", "in place", "function", "function in place", "method", "shared", "ReLU6")


class Rectified(nn.Module):
    """Three convolutions, a residual sum and a linear layer, with its rectifiers in one of WAYS."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.convs = nn.ModuleList([nn.Conv2d(c, 6, 3, s, 1) for c, s in ((3, 2), (6, 1), (6, 2))])
        self.fc = nn.Linear(6, 4)
        kinds = {"module": nn.ReLU, "ReLU6": nn.ReLU6, "in place": lambda: nn.ReLU(inplace=True)}
        made = kinds.get(way, nn.ReLU)
        self.relus = nn.ModuleList([made() for _ in range(3)])
        self.shared = nn.ReLU()
        self.rule = None  # set: the literal rule instead of the way

    def relu(self, x: torch.Tensor, i: int) -> torch.Tensor:
        if self.rule is not None:
            return oracles.Ruled.apply(x, self.rule, 6.0 if self.way == "ReLU6" else float("inf"))
        if self.way == "function":
            return F.relu(x)
        if self.way == "function in place":
            return F.relu_(x)
        if self.way == "method":
            return x.relu()
        return self.shared(x) if self.way == "shared" else self.relus[i](x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.convs[0](x), 0)
        x = x + self.relu(self.convs[1](x), 1)
        x = self.relu(self.convs[2](x) * 4, 2)  # some values beyond 6
        return self.fc(x.mean((2, 3)))


@pytest.fixture(scope="module")
def models():
    return {way: tiny.model(Rectified(way)) for way in WAYS}


def literal(model, image, rule, score):
    """The same score with the rule written into the forward pass."""
    module = model.module
    try:
        module.rule = rule
        leaf = image.clone().requires_grad_()
        return torch.autograd.grad(score(model(leaf)).sum(), leaf)[0]
    finally:
        module.rule = None


@pytest.mark.parametrize("way", WAYS)
def test_guided_backprop_is_the_papers_rule_at_every_rectifier(models, way):
    model, image = models[way], tiny.images(2)
    most = 6.0 if way == "ReLU6" else float("inf")
    expected = literal(model, image, lambda g, z: oracles.guided(g, z, most), lambda y: y[:, 2])
    found = featvis.guided_backprop(model, image, 2)
    torch.testing.assert_close(found.values, expected, rtol=0, atol=1e-13)
    assert found.notes == ()
    plain = featvis.saliency(model, image, 2).values
    assert (plain - expected).abs().max() > 1e-3, "the rule changes nothing here"


@pytest.mark.parametrize("way", WAYS)
def test_deconvnet_has_the_gate_of_the_way_down_alone(models, way):
    model, image = models[way], tiny.images(2)
    expected = literal(model, image, oracles.deconvolved, lambda y: y[:, 2])
    found = featvis.deconvnet(model, image, 2)
    torch.testing.assert_close(found.values, expected, rtol=0, atol=1e-13)
    guided = featvis.guided_backprop(model, image, 2).values
    assert (guided - expected).abs().max() > 1e-3


def test_relu6_is_guided_not_the_plain_gradient(models):
    model, image = models["ReLU6"], tiny.images(1)
    reached = featvis.record(model, image * 20, "convs.2")["convs.2"] * 4
    assert (reached > 6).any(), "nothing reaches the upper bound: the test tests nothing"


@pytest.mark.parametrize("method", [featvis.guided_backprop, featvis.deconvnet])
def test_a_neuron_is_explained_within_its_receptive_field(models, method):
    model, image = models["function in place"], tiny.images(1)
    found = method(model, image, layer="convs.2", channel=3, position=(2, 5))
    box = featvis.receptive_field(model, "convs.2", (2, 5)).box
    inside = torch.zeros_like(found.map)
    inside[:, int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = 1
    assert found.map.max() > 0
    assert (found.map * (1 - inside)).max() == 0
    assert found.target == "convs.2, channel 3, position 2,5"
    assert float(found.score) == float(
        featvis.record(model, image, "convs.2")["convs.2"][0, 3, 2, 5]
    )


def test_a_neuron_without_a_position_is_the_most_active_one(models):
    model, image = models["module"], tiny.images(2)
    maps = featvis.record(model, image, "convs.1")["convs.1"][:, 4]
    found = featvis.guided_backprop(model, image, layer="convs.1", channel=4)
    assert torch.equal(found.score, maps.flatten(1).amax(1))
    for i in range(2):
        row, column = divmod(int(maps[i].argmax()), maps.shape[2])
        one = featvis.guided_backprop(
            model, image[i : i + 1], layer="convs.1", channel=4, position=(row, column)
        )
        torch.testing.assert_close(found.values[i : i + 1], one.values)


class Smooth(nn.Module):
    """One smooth activation between two layers."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.conv, self.act, self.fc = nn.Conv2d(3, 6, 3, 2, 1), act, nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.act(self.conv(x)).mean((2, 3)))


SMOOTH = {
    "GELU": nn.GELU(), "SiLU": nn.SiLU(inplace=True), "Mish": nn.Mish(), "ELU": nn.ELU(),
    "Hardswish": nn.Hardswish(), "LeakyReLU": nn.LeakyReLU(0.1), "PReLU": nn.PReLU(),
    "Softplus": nn.Softplus(),
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("method", [featvis.guided_backprop, featvis.deconvnet])
def test_a_smooth_activation_has_the_stated_rule_and_is_labelled(name, method):
    module = Smooth(SMOOTH[name])
    model, image = tiny.model(module), tiny.images(1)
    found = method(model, image, 1)
    assert name in found.notes[0]
    assert "not" in found.notes[0]
    assert "as published" in found.notes[0]
    z = module.conv(model.normalize(image))
    leaf = z.detach().clone().requires_grad_()
    slope = torch.autograd.grad(module.act(leaf.clone()).sum(), leaf)[0]
    above = (module.fc.weight[1] / z[0, 0].numel())[None, :, None, None].expand_as(z)
    below = above.clamp(min=0) * (slope * (z > 0) if method is featvis.guided_backprop else 1)
    leaf = image.clone().requires_grad_()
    expected = torch.autograd.grad(module.conv(model.normalize(leaf)), leaf, below)[0]
    torch.testing.assert_close(found.values, expected, rtol=0, atol=1e-13)


def test_without_a_rectifier_it_says_that_it_is_the_plain_gradient():
    model, image = tiny.model(Smooth(nn.Tanh())), tiny.images(1)
    found = featvis.guided_backprop(model, image, 1)
    assert "no rectifier" in found.notes[0]
    assert torch.equal(found.values, featvis.saliency(model, image, 1).values)


def test_guided_grad_cam_is_their_product(models):
    model, image = models["shared"], tiny.images(2)
    heat = featvis.grad_cam(model, image, 1, "convs.2")
    guided = featvis.guided_backprop(model, image, 1).values
    found = featvis.guided_grad_cam(model, image, 1, "convs.2")
    placed = featvis.render.on_input(heat, (24, 32))[:, None]
    torch.testing.assert_close(found.values, guided * placed)


def test_torchvisions_functional_relus_are_guided():
    import zoo_adapters

    model = zoo_adapters.load("torchvision:googlenet", pretrained=False)
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    found = featvis.guided_backprop(model, image, 7)
    assert found.notes == ()
    last = featvis.guided_backprop(model, image, layer="conv1.conv", channel=0, position=(9, 9))
    assert torch.allclose(
        last.values,
        featvis.saliency(model, image, layer="conv1.conv", channel=0, position=(9, 9)).values,
    )
    assert not torch.allclose(found.values, featvis.saliency(model, image, 7).values)
