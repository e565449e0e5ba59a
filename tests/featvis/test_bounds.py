"""Units before their bound: found wherever it is applied, and used by all that ranks or explains.

The literal value is what the plain modules before the bound give, called one after the other. What
uses it is compared with the same network without the bound: to units there is no difference.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import featvis
from featvis.probe import Batch, Masked, dissect, pooled, probe, scan
from featvis.record import record_units
from tests.support import tiny

STRONG = 40.0  # times the weights: most places are beyond the bound


class Tail(nn.Module):
    """A function at the end of a stage."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x):
        return self.function(x, *self.parts)


class Stage(nn.Module):
    """A convolution, and what its output becomes."""

    def __init__(self, tail):
        super().__init__()
        self.conv, self.tail = nn.Conv2d(5, 6, 3, 2, 1), tail

    def forward(self, x):
        return self.tail(self.conv(x))


class Net(nn.Module):
    """A convolution with a ReLU, a stage, and an average with a linear layer."""

    def __init__(self, tail):
        super().__init__()
        self.stem, self.stage = nn.Conv2d(3, 5, 3, 2, 1), Stage(tail)
        shape = self.stage(self.stem(torch.zeros(2, 3, *tiny.SIZE))).shape
        self.axes = (1,) if len(shape) == 3 else (1, 2) if shape[1:3] == (6, 8) else (2, 3)
        (channels,) = (c for i, c in enumerate(shape) if i and i not in self.axes)
        self.fc = nn.Linear(channels, 4)

    def forward(self, x):
        return self.fc(self.stage(F.relu(self.stem(x))).mean(self.axes))


def network(tail):
    made = tiny.model(Net(tail if isinstance(tail, nn.Module) else Tail(tail)))
    made.module.stage.conv.weight.mul_(STRONG)
    return made


def before(model, images):
    """What the convolution of the stage gives, by calling what comes before it."""
    module = model.module
    return module.stage.conv(F.relu(module.stem(model.normalize(images))))


SIX = torch.tensor(6.0).double()
BOUNDED = {  # name of the activation, the end of the stage, and its input as maps
    "nn.ReLU6": ("ReLU6", nn.ReLU6()),
    "nn.ReLU6 in place": ("ReLU6", nn.ReLU6(inplace=True)),
    "F.relu6": ("ReLU6", F.relu6),
    "F.relu6 in place": ("ReLU6", lambda x: F.relu6(x, inplace=True)),
    "nn.Hardtanh": ("Hardtanh", nn.Hardtanh()),
    "F.hardtanh by name": ("Hardtanh", lambda x: F.hardtanh(x, min_val=-2, max_val=2)),
    "aten.hardtanh": ("ReLU6", lambda x: torch.ops.aten.hardtanh(x, 0, 6)),
    "clamp(0, 1)": ("Clamp", lambda x: x.clamp(0, 1)),
    "clamp(max=6)": ("Clamp", lambda x: x.clamp(max=6)),
    "clip": ("Clamp", lambda x: torch.clip(x, -1, 1)),
    "clamp in place": ("Clamp", lambda x: x.clamp_(0, 6)),
    "minimum": ("Clamp", lambda x: torch.minimum(x, SIX)),
    "minimum, turned round": ("Clamp", lambda x: torch.min(SIX, x)),
    "sigmoid": ("Sigmoid", torch.sigmoid),
    "nn.Sigmoid": ("Sigmoid", nn.Sigmoid()),
    "sigmoid in place": ("Sigmoid", lambda x: x.sigmoid_()),
    "tanh": ("Tanh", nn.Tanh()),
    "hardsigmoid": ("Hardsigmoid", nn.Hardsigmoid()),
    "softsign": ("Softsign", nn.Softsign()),
    "log sigmoid": ("LogSigmoid", nn.LogSigmoid()),
    "arctan": ("Arctan", torch.atan),
    "twice": ("Tanh", lambda x: F.relu6(x).tanh()),
    "then dropout": ("ReLU6", nn.Sequential(nn.ReLU6(), nn.Dropout(0.5), nn.Identity())),
    "then a view and back": ("ReLU6", lambda x: F.relu6(x).flatten(2).unflatten(2, (6, 8))),
    "then contiguous": (
        "ReLU6",
        lambda x: F.relu6(x).contiguous(memory_format=torch.channels_last),
    ),
    "then changed without effect": ("ReLU6", lambda x: F.relu6(x).clamp(min=-1e9).sub_(0).mul(1)),
    "channels last": ("Tanh", lambda x: x.permute(0, 2, 3, 1).tanh()),
    "permuted": ("Tanh", lambda x: x.tanh().permute(0, 2, 3, 1).contiguous()),
    "tokens": ("Tanh", lambda x: x.flatten(2).mT.tanh()),
    "tokens, permuted": ("Sigmoid", lambda x: x.flatten(2).sigmoid().transpose(1, 2)),
}
OTHERWISE = {  # the same with the units that are expected, where they are not just the input
    "a ReLU6 by hand": ("Clamp", lambda x: x.relu().clamp(max=6), F.relu),
    "a ReLU6 by hand, turned round": ("Clamp", lambda x: F.relu(x.clamp_max(6)), F.relu),
    "a hard sigmoid by hand": ("ReLU6", lambda x: F.relu6(x + 3) / 6, lambda x: (x + 3) / 6),
    "half of it": ("ReLU6", lambda x: F.relu6(x).chunk(2, 1)[1], lambda x: x[:, 3:]),
    "then a pool": (
        "ReLU6",
        nn.Sequential(nn.ReLU6(), nn.MaxPool2d(3, 1, 1)),
        lambda x: F.max_pool2d(x, 3, 1, 1),
    ),
    "two joined": (
        "ReLU6 / Sigmoid",
        lambda x: torch.cat([F.relu6(x), (2 * x).sigmoid()], 1),
        lambda x: torch.cat([x, 2 * x], 1),
    ),
    "one of two joined": (
        "ReLU6",
        lambda x: torch.cat([F.relu6(x), x.relu()], 1),
        lambda x: torch.cat([x, x.relu()], 1),
    ),
}
FREE = {
    "ReLU": nn.ReLU(),
    "ReLU in place": nn.ReLU(inplace=True),
    "GELU": nn.GELU(),
    "SiLU": nn.SiLU(),
    "Hardswish": nn.Hardswish(),
    "a gate": lambda x: x * x.sigmoid(),
    "a gate in place": lambda x: x.mul_(x.sigmoid()),
    "a hard gate by hand": lambda x: x * F.relu6(x + 3) / 6,
    "bounded, then multiplied": lambda x: F.relu6(x) * x.mean((2, 3), keepdim=True),
    "a residual": lambda x: F.relu6(x) + x,
    "a residual in place": lambda x: F.relu6(x).add_(x),
    "a residual in place, by its sign": lambda x: F.relu6(x).__iadd__(x),
    "set in place": lambda x: _set(F.relu6(x), x),
    "two rectified": lambda x: F.relu6(x) - F.relu6(-x),
    "from below": lambda x: x.clamp(min=0),
    "to infinity": lambda x: F.hardtanh(x, 0, float("inf")),
    "the smaller of two": lambda x: torch.minimum(x, x.flip(3)),
    "the smallest of each": lambda x: x + x.min(1, keepdim=True).values,
    "convolved": nn.Sequential(nn.ReLU6(), nn.Conv2d(6, 6, 1)),
}


def _set(x, source):
    x[:, 0] = source[:, 0]
    return x


def check(model, name, expected):
    """Bound, units, their gradient, and that what is passed on is as it was."""
    images = tiny.images(3).requires_grad_()
    assert str(model.layer("stage").bound) == name
    wanted = expected(before(model, images))
    for image in (images, images[:1]):  # one picture is enough where the bound is known
        units = record_units(model, image, "stage")["stage"]
        torch.testing.assert_close(units, wanted[: len(image)], rtol=0, atol=1e-12)
    pull = torch.randn(units.shape[1:], generator=torch.Generator().manual_seed(0)).double()
    units = record_units(model, images, "stage")["stage"]
    for a, b in zip(
        torch.autograd.grad((units * pull).sum(), images),
        torch.autograd.grad((wanted * pull).sum(), images),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    images = images.detach()
    passed = model.module.stage(F.relu(model.module.stem(model.normalize(images))))
    passed = model.maps("stage", passed)
    assert torch.equal(featvis.record(model, images, "stage")["stage"], passed)
    assert not torch.equal(passed, wanted)


@pytest.mark.parametrize("case", BOUNDED)
def test_units_are_the_input_of_the_bound(case):
    name, tail = BOUNDED[case]
    check(network(tail), name, lambda x: x)


@pytest.mark.parametrize("case", OTHERWISE)
def test_units_keep_what_orders_them(case):
    name, tail, expected = OTHERWISE[case]
    model = network(tail)
    check(model, name, expected)
    assert model.layer("stage").bound.whole == (case != "one of two joined")


@pytest.mark.parametrize("case", FREE)
def test_what_no_bound_holds_is_as_it_is_passed_on(case):
    model, images = network(FREE[case]), tiny.images(2)
    assert model.layer("stage").bound is None
    assert model.layer("stage").units == "stage"
    found = record_units(model, images, "stage")["stage"]
    assert torch.equal(found, featvis.record(model, images, "stage")["stage"])


def test_a_layer_before_the_bound_has_none():
    model = network(nn.ReLU6(inplace=True))
    assert [name for name, layer in model.layers.items() if layer.bound] == ["stage"]
    images = tiny.images(2)
    found = record_units(model, images, "stage.conv", "stage")
    assert torch.equal(found["stage.conv"], found["stage"])


def test_a_block_of_a_library_is_bounded_by_its_last_operation():
    timm = pytest.importorskip("timm")
    block = timm.layers.ConvNormAct(5, 6, 3, stride=2, act_layer="relu6")
    module = Net(nn.Identity())
    module.stage = block
    model = tiny.model(module)
    block.conv.weight.mul_(STRONG)
    images = tiny.images(2)
    x = block.conv(F.relu(module.stem(model.normalize(images))))
    bn = block.bn
    wanted = F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, False, 0, bn.eps)
    bounded = {name: str(layer.bound) for name, layer in model.layers.items() if layer.bound}
    assert bounded == {"stage": "ReLU6", "stage.bn": "ReLU6"}
    found = record_units(model, images, *bounded)
    assert found["stage"].max() > 6
    for units in found.values():
        torch.testing.assert_close(units, wanted, rtol=0, atol=1e-12)


@pytest.fixture(scope="module")
def pair():
    """A network whose last stage ends in a ReLU6 in place, and the same without it."""
    return network(nn.ReLU6(inplace=True)), network(nn.Identity())


def test_its_strongest_answers_are_at_the_bound(pair):
    maps = featvis.record(pair[0], tiny.images(8), "stage")["stage"]
    assert float((maps.amax((2, 3)) == 6).double().mean()) > 0.8


def test_the_probe_counts_units(pair):
    states = []
    for model in pair:
        state = probe(model, ["stage.conv", "stage"], k=4, classes=2, sample=5)
        numbers = torch.arange(12)
        batches = [Batch(tiny.images(12)[n], n, n % 2) for n in numbers.split(5)]
        list(scan(model, batches, into=state))
        states.append(state.tally("stage"))
    bounded, free = states
    for key in ("sums", "maxima", "values", "classes", "sample"):
        assert torch.equal(getattr(bounded, key), getattr(free, key)), key
    for key in ("values", "images", "positions", "ties"):
        assert torch.equal(getattr(bounded.ends, key), getattr(free.ends, key)), key
    assert float(bounded.top.values.min()) > 6


def test_parts_patches_and_pooled_answers_are_those_of_units(pair):
    masks = torch.rand(3, 2, 32, 32, generator=torch.Generator().manual_seed(0)).double().round()
    limits, pictures = {"stage": torch.linspace(5, 15, 6).double()}, tiny.images(3)
    parts, seen, high, mean = [], [], [], []
    for model in pair:
        parts.append(dissect(model, [Masked(pictures, masks)], limits)["stage"])
        seen.append(featvis.receptive_field(model, "stage", (2, 3)).values)
        high.append(pooled(model, pictures, ["stage"])["stage"].high)
        mean.append(pooled(model, pictures, ["stage"])["stage"].mean)
    for bounded, free in (parts, seen, high):
        assert torch.equal(bounded, free)
    assert float(parts[0].max()) > 0
    passed = featvis.record(pair[0], pictures, "stage")["stage"].mean((2, 3))
    torch.testing.assert_close(mean[0], passed.float(), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "method",
    ["saliency", "gradient_x_input", "smoothgrad", "integrated_gradients", "guided_backprop",
     "deconvnet", "occlusion"],
)  # fmt: skip
@pytest.mark.parametrize("position", [None, (2, 3)], ids=str)
def test_a_neuron_is_explained_before_its_bound(pair, method, position):
    images = tiny.images(4)
    ways = {"layer": "stage", "channel": 2, "position": position}
    bounded, free = (getattr(featvis, method)(model, images, **ways) for model in pair)
    assert torch.equal(bounded.values, free.values)
    assert torch.equal(bounded.score, free.score)
    assert bool(bounded.values.flatten(1).any(1).all())
    assert float(bounded.score.max()) > 6
    assert bounded.target.startswith("stage before ReLU6, channel 2")
    assert free.target.startswith("stage, channel 2")


@pytest.mark.parametrize("position", [None, (2, 3)], ids=str)
def test_a_picture_is_made_for_a_unit_before_its_bound(pair, position):
    ways = {"layer": "stage", "channel": 2, "position": position, "steps": 24}
    ways["preset"] = "raw gradient"
    bounded, free = (tiny.last(featvis.maximize(model, **ways)) for model in pair)
    torch.testing.assert_close(bounded.values, free.values, rtol=0, atol=1e-9)
    torch.testing.assert_close(bounded.activation, free.activation, rtol=1e-9, atol=0)
    assert float(bounded.activation) > 6
    assert bounded.subjects[0].startswith("stage before ReLU6, channel 2")
    dreams = [
        tiny.last(featvis.deepdream(m, tiny.images(1), layer="stage", channel=2, steps=2))
        for m in pair
    ]
    torch.testing.assert_close(dreams[0].values, dreams[1].values, rtol=0, atol=1e-9)


def test_maps_and_proofs_keep_what_is_passed_on(pair):
    model, images = pair[0], tiny.images(3)
    maps = featvis.feature_maps(model, images, "stage", sort="strength")
    assert float(maps.values.max()) == 6
    assert torch.equal(maps.values, featvis.record(model, images, "stage")["stage"])
    assert torch.equal(maps.units, record_units(model, images, "stage")["stage"])
    order = maps.units.amax((2, 3)).argsort(dim=1, descending=True, stable=True)
    assert torch.equal(maps.order, order)
    assert featvis.feature_maps(model, images, "stem").before is None
    found = featvis.cam(model, images)
    assert float(found.residual.max()) <= 1e-6
    weights = model.module.fc.weight[found.classes]
    torch.testing.assert_close(found.values, torch.einsum("bc,bchw->bhw", weights, maps.values))


@pytest.mark.parametrize("method", ["saliency", "gradient_x_input", "guided_backprop", "deconvnet"])
def test_a_gradient_that_is_zero_is_told(pair, method):
    """A channel that is always the same has nothing to show, and says so."""
    model = network(nn.ReLU6())
    model.module.stage.conv.weight[2] = 0
    explain, images = getattr(featvis, method), tiny.images(2)
    told = explain(model, images, layer="stage", channel=2).notes
    assert any(note.startswith("the gradient is zero everywhere") for note in told)
    told = explain(model, images, layer="stage", channel=1).notes
    assert not any("zero" in note for note in told)
