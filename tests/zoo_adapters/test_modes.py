"""Every method in the modes and the precision in which people hold their networks."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn

import featvis
import zoo_adapters
from featvis import METHODS

SIZE = (32, 40)
QUICK = {"steps": 4, "samples": 4, "size": 48}  # parameters that make a method slow
CONTEXTS = {
    "no_grad": torch.no_grad,
    "set_grad_enabled": lambda: torch.set_grad_enabled(mode=False),
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "no_grad and autocast": lambda: _both(torch.no_grad(), torch.autocast("cpu")),
}
PRECISIONS = {  # how the network is held -> by how much results may differ, relative to their norm
    "half": (lambda net: net.half(), 0.02),
    "bfloat16": (lambda net: net.bfloat16(), 0.1),
    "double": (lambda net: net.double(), 1e-5),
    "channels_last": (lambda net: net.to(memory_format=torch.channels_last), 1e-5),
}
FINITE_ONLY = ("maximize", "inversion", "caricature", "deepdream", "occlusion")  # in low precision
TOKENS = [name for name, method in METHODS.items() if "tokens" in method.requires]


@contextlib.contextmanager
def _both(*contexts):
    with contextlib.ExitStack() as stack:
        for one in contexts:
            stack.enter_context(one)
        yield


class Patches(nn.Module):
    """A small transformer of patches."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        return self.fc(self.blocks(self.patch(x).flatten(2).transpose(1, 2)).mean(1))


def network(kind="cnn"):
    torch.manual_seed(0)
    if kind == "tokens":
        return Patches()
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5),
    )  # fmt: skip


def wrapped(module):
    return zoo_adapters.wrap(module, name="mine", mean=(0.5,) * 3, std=(0.25,) * 3, size=SIZE)


def picture():
    return torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def steps(name, model, image):
    """What a method yields, or returns, with few steps."""
    method = METHODS[name]
    arguments = {"image": image, "target": 1}
    subject = {key: arguments[key] for key in method.subject if key in arguments}
    if name in ("deepdream", "feature_maps"):
        subject = {"image": image, "layer": next(iter(model.layers))}
    elif name in ("inversion", "caricature"):
        subject = {"image": image, "layer": list(model.layers)[-1]}
    quick = {p.name: QUICK[p.name] for p in method.params if p.name in QUICK}
    results = method.run(model, **subject, **quick)
    return results if method.generator else iter([results])


def last(name, model, image):
    *_, result = steps(name, model, image)
    return result


@pytest.fixture(scope="module")
def models():
    return {kind: wrapped(network(kind)) for kind in ("cnn", "tokens")}


def kind_for(name):
    return "tokens" if name in TOKENS else "cnn"


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("name", METHODS)
def test_a_method_gives_the_same_in_every_mode(models, name, context):
    model = models[kind_for(name)]
    expected = last(name, model, picture()).values
    with CONTEXTS[context]():
        result = last(name, model, picture())  # a picture that was made in that mode, too
    torch.testing.assert_close(result.values, expected)
    assert not result.values.is_inference()


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.generator])
def test_the_caller_has_its_own_mode_between_two_steps(models, name, context):
    model = models[kind_for(name)]

    def mode():
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled("cpu"),
        )

    with CONTEXTS[context]():
        before = mode()
        running = steps(name, model, picture())
        next(running)
        assert mode() == before
        running.close()
        assert mode() == before
    assert mode() == (True, False, False)


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_network_that_is_wrapped_in_a_mode_is_as_any(models, context):
    with CONTEXTS[context]():
        model = wrapped(network())
    expected = featvis.saliency(models["cnn"], picture(), 1).values
    torch.testing.assert_close(featvis.saliency(model, picture(), 1).values, expected)
    assert model.head.residual <= 1e-6
    *_, made = featvis.maximize(model, 1, steps=2, size=48)
    assert made.values.isfinite().all()


@pytest.mark.parametrize("context", CONTEXTS)
def test_measures_and_fields_are_the_same_in_every_mode(models, context):
    model = models["cnn"]

    def figures():
        heat = featvis.cam(model, picture(), 1)
        return [
            featvis.receptive_field(model, "3", (2, 2)).values,
            featvis.insertion(featvis.Aim(model, 1), picture(), heat).auc,
            featvis.sanity(lambda m: featvis.saliency(m, picture(), 1), model)[-1].correlation,
        ]

    expected = figures()
    with CONTEXTS[context]():
        found = figures()
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.as_tensor(one), torch.as_tensor(other))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", METHODS)
def test_the_picture_follows_the_precision_of_the_network(models, name, precision):
    convert, most = PRECISIONS[precision]
    model = wrapped(convert(network(kind_for(name))))
    found = last(name, model, picture()).values
    assert found.dtype in (torch.float32, torch.float64)
    assert found.isfinite().all()
    expected = last(name, models[kind_for(name)], picture()).values.to(found)
    if name in FINITE_ONLY:
        assert float(found.std()) > 0.1 * float(expected.std())
    else:
        assert float((found - expected).norm() / expected.norm()) <= most


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_picture_of_another_precision_is_read(models, dtype):
    found = featvis.saliency(models["cnn"], picture().to(dtype), 1).values
    expected = featvis.saliency(models["cnn"], picture(), 1).values
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0.05)


def test_a_head_in_low_precision_is_proved_within_its_rounding():
    for convert, most in ((lambda net: net.half(), 4e-3), (lambda net: net.bfloat16(), 3e-2)):
        heat = featvis.cam(wrapped(convert(network())), picture(), 1)
        assert 0 < float(heat.residual) <= most
