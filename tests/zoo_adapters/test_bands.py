"""Networks of other bands than RGB: gray, four, six, and depth beside color."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import featvis
import zoo_adapters
from featvis import METHODS, WrongRequest, render

SIZE = (32, 40)
NORMS = {1: (0.4,), 2: (0.3, 0.6), 4: (0.5, 0.4, 0.3, 0.2), 6: (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)}
BANDS = [*NORMS]


def net(bands):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(bands, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5),
    )  # fmt: skip


def wrapped(bands, **how):
    facts = {"mean": NORMS[bands], "std": (0.25,) * bands, "size": SIZE, "name": "mine", **how}
    return zoo_adapters.wrap(net(bands), **facts)


def picture(bands, count=1):
    return torch.rand(count, bands, *SIZE, generator=torch.Generator().manual_seed(1))


def run(name, model, image):
    method = METHODS[name]
    few = {"steps": 2, "samples": 2, "size": 32}
    params = {p.name: few[p.name] for p in method.params if p.name in few}
    subject = {k: v for k, v in {"image": image, "target": 1}.items() if k in method.subject}
    if name in ("deepdream", "feature_maps", "inversion", "caricature"):
        subject = {"image": image, "layer": "2"}
    result = method.run(model, **subject, **params)
    return list(result)[-1] if method.generator else result


@pytest.mark.parametrize("bands", BANDS)
@pytest.mark.parametrize("name", [n for n in METHODS if n != "attention_rollout"])
def test_every_method_runs_on_other_bands(bands, name):
    result = run(name, wrapped(bands), picture(bands))
    assert result.values.isfinite().all()
    drawn = render.render(result)
    assert drawn.shape[-1] in (3, 4)
    if name in ("saliency", "maximize", "deepdream"):
        assert result.values.shape[1] == bands


@pytest.mark.parametrize("bands", BANDS)
def test_each_band_has_its_own_mean_and_gradient(bands):
    model = wrapped(bands)
    leaf = picture(bands).requires_grad_()
    mean = torch.tensor(NORMS[bands])[:, None, None]
    logit = net(bands).eval()((leaf - mean) / 0.25)[0, 3]
    expected = torch.autograd.grad(logit, leaf)[0]
    torch.testing.assert_close(featvis.saliency(model, picture(bands), 3).values, expected)
    assert float(featvis.cam(model, picture(bands), 3).residual) <= 1e-6


def test_a_gray_network_sees_the_luminance_of_colors():
    model, colors = wrapped(1), picture(3)
    gray = (colors * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    torch.testing.assert_close(
        featvis.saliency(model, colors, 1).values, featvis.saliency(model, gray, 1).values
    )
    pixels = (255 * torch.rand(60, 80, 3)).byte().numpy()
    assert featvis.cam(model, pixels, 1).values.isfinite().all()


def test_a_gray_picture_is_drawn_gray():
    *_, made = featvis.maximize(wrapped(1), 1, steps=3, size=32)
    drawn = render.pictures(made)
    assert torch.equal(drawn[..., 0], drawn[..., 2])


@pytest.mark.parametrize("rgb", [(0, 1, 2), (3, 2, 1), (5, 0, 5)])
def test_the_bands_that_are_drawn_can_be_chosen(rgb):
    *_, made = featvis.maximize(wrapped(6, rgb=rgb), 1, steps=3, size=32)
    drawn = render.pictures(made).float() / 255
    for color, band in enumerate(rgb):
        torch.testing.assert_close(drawn[..., color], made.values[:, band], atol=0.003, rtol=0)


WRONG = {
    "a picture of three bands": (
        6,
        lambda m: featvis.saliency(m, picture(3), 1),
        "6 bands, not of 3",
    ),
    "of four": (6, lambda m: featvis.cam(m, picture(4), 1), "6 bands, not of 4"),
    "of five for gray": (
        1,
        lambda m: featvis.saliency(m, picture(3)[:, :2], 1),
        "1 bands, not of 2",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_picture_of_other_bands_is_refused(kind):
    bands, ask, words = WRONG[kind]
    with pytest.raises(WrongRequest, match=words):
        ask(wrapped(bands))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"mean": (0.5, 0.5, 0.5)}, "std is one number or three numbers"),
        ({"rgb": (1, 2, 6)}, "three of its bands, 0 to 5"),
        ({"rgb": (1, 2)}, "three of its bands"),
        ({"channels": 4}, "does not run"),
    ],
)
def test_wrong_bands_are_refused_in_a_sentence(how, words):
    if how == {"channels": 4}:
        how = {"channels": 4, "mean": 0.5, "std": 0.25}
    with pytest.raises(WrongRequest, match=re.escape(words)):
        wrapped(6, **how)


class Depth(nn.Module):
    """Color and depth on two branches: its first convolution does not see all bands."""

    def __init__(self):
        super().__init__()
        self.color, self.depth = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(1, 6, 3, 2, 1)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        return self.fc((self.color(x[:, :3]) + self.depth(x[:, 3:])).relu().mean((2, 3)))


def test_the_number_of_bands_can_be_said():
    torch.manual_seed(0)
    model = zoo_adapters.wrap(Depth(), mean=0.5, std=0.25, size=SIZE, channels=4)
    values = featvis.saliency(model, picture(4), 1).values
    assert values.shape == (1, 4, *SIZE)
    assert values[:, 3].abs().max() > 0
