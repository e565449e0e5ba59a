"""Agreement with captum, where captum is right: networks whose ReLUs are modules of their own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import featvis
import zoo_adapters
from featvis.methods.occlusion import windows

captum = pytest.importorskip("captum.attr")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # captum announces what it sets
CLASS = 3


class Plain(nn.Module):
    """A small VGG: every ReLU is a module that runs once."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 16), (16, 24), (24, 32)):
            layers += [nn.Conv2d(before, after, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.features(x).mean((2, 3)))


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Plain().double()  # no activation is at the mercy of rounding
    return zoo_adapters.wrap(
        module, name="plain", mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), size=(40, 56)
    )


@pytest.fixture(scope="module")
def image():
    make = torch.Generator().manual_seed(1)
    return torch.rand(1, 3, 40, 56, generator=make, dtype=torch.double)


class Pixels(nn.Module):
    """The whole function from pixels to logits, as captum takes it."""

    def __init__(self, model: featvis.VisionModel) -> None:
        super().__init__()
        self.mean, self.std, self.module = model.mean, model.std, model.module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module((x - self.mean) / self.std)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Largest difference as a share of the largest value: at most 1e-5."""
    assert expected.abs().max() > 0
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_saliency(model, image):
    expected = captum.Saliency(Pixels(model)).attribute(image, CLASS, abs=False)
    close(featvis.saliency(model, image, CLASS).values, expected)


def test_gradient_times_input(model, image):
    expected = captum.InputXGradient(Pixels(model)).attribute(image.clone(), CLASS)
    close(featvis.gradient_x_input(model, image, CLASS, baseline="black").values, expected)


def test_integrated_gradients(model, image):
    explain = captum.IntegratedGradients(Pixels(model))
    expected, delta = explain.attribute(
        image, torch.zeros_like(image), CLASS, n_steps=50, return_convergence_delta=True
    )
    found = featvis.integrated_gradients(model, image, CLASS, steps=50, baseline="black")
    close(found.values, expected)
    whole = (model(image) - model(torch.zeros_like(image)))[0, CLASS]
    assert abs(float(found.gap) - float(delta.abs() / whole.abs())) < 1e-4


def test_occlusion(model, image):
    window, across = 0.2, 5
    rows, columns = windows((40, 56), window, across)
    assert set(torch.tensor(rows).diff().tolist()) == {8}
    assert set(torch.tensor(columns).diff().tolist()) == {8}
    expected = captum.Occlusion(Pixels(model)).attribute(
        image, (3, 8, 8), (3, 8, 8), baselines=model.mean.expand_as(image), target=CLASS
    )
    lost = featvis.occlusion(model, image, CLASS, window=window, across=across)
    close(lost.values.repeat_interleave(8, 1).repeat_interleave(8, 2), expected[:, 0])


@pytest.mark.parametrize("name", ["guided_backprop", "deconvnet"])
def test_guided_rules(model, image, name):
    explain = {"guided_backprop": captum.GuidedBackprop, "deconvnet": captum.Deconvolution}[name]
    expected = explain(Pixels(model)).attribute(image.clone(), CLASS)
    close(featvis.METHODS[name].run(model, image, CLASS).values, expected)


def test_guided_backprop_of_a_neuron(model, image):
    pixels = Pixels(model)
    explain = captum.NeuronGuidedBackprop(pixels, pixels.module.features[4])
    maps = featvis.record(model, image, "features.3")["features.3"][0, 5]
    row, column = divmod(int(maps.argmax()), maps.shape[1])
    expected = explain.attribute(image.clone(), (5, row, column))
    found = featvis.guided_backprop(model, image, layer="features.3", channel=5)
    # captum explains the rectified activation: the same where the neuron is active
    assert float(found.score) > 0
    close(found.values, expected)


def test_grad_cam(model, image):
    pixels = Pixels(model)
    explain = captum.LayerGradCam(pixels, pixels.module.features[6])
    expected = explain.attribute(image, CLASS, relu_attributions=True)
    close(featvis.grad_cam(model, image, CLASS, "features.6").values, expected[:, 0].detach())
