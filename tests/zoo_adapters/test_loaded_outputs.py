"""Networks that are loaded by name and end in an activation, or have independent classes."""

from __future__ import annotations

import pytest
import torch
from timm.models import register_model
from torch import nn

import featvis
import zoo_adapters
from zoo_adapters.checks import check_model

transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")

LABELS = {0: "car", 1: "bird", 2: "cup"}


def network(final, classes):
    """A small network in the form that timm asks for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(8, classes), *final,
        )  # fmt: skip
    net.num_classes = classes
    net.pretrained_cfg = net.default_cfg = {
        "input_size": (3, 64, 64), "mean": (0.5,) * 3, "std": (0.25,) * 3, "crop_pct": 1.0,
        "interpolation": "bilinear", "architecture": "", "tag": "",
    }  # fmt: skip
    return net


@register_model
def own_sigmoid(pretrained=False, **_):
    return network([nn.Sigmoid()], 3)


@register_model
def own_log_softmax(pretrained=False, **_):
    return network([nn.LogSoftmax(1)], 3)


@register_model
def own_single(pretrained=False, **_):
    return network([nn.Sigmoid(), nn.Flatten(0)], 1)


SHARES = {
    "own_sigmoid": torch.sigmoid,
    "own_log_softmax": lambda z: z.softmax(1),
    "own_single": lambda z: torch.cat([1 - z.sigmoid(), z.sigmoid()], 1),
}


@pytest.mark.parametrize("name", SHARES)
def test_a_registered_network_is_explained_before_its_ending(name):
    model = zoo_adapters.load(f"timm:{name}", pretrained=False)
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    z = model.module[:5](model.normalize(x))
    torch.testing.assert_close(model.probabilities(x), SHARES[name](z))
    torch.testing.assert_close(model(x)[:, -1], z[:, -1])
    assert model.head is not None
    check_model(model)


@pytest.mark.parametrize("several", [True, False])
def test_a_folder_says_whether_several_classes_may_be_true(tmp_path, several):
    torch.manual_seed(1)
    kind = "multi_label_classification" if several else "single_label_classification"
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], id2label=LABELS, problem_type=kind
    )
    module = transformers.ResNetForImageClassification(config).eval()
    module.save_pretrained(tmp_path)
    model = zoo_adapters.load(f"transformers:local-dir:{tmp_path}")
    x = torch.rand(2, 3, *model.size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        z = module(model.normalize(x)).logits
    expected = z.sigmoid() if several else z.softmax(1)
    torch.testing.assert_close(model.probabilities(x), expected)
    assert model.labels == ("car", "bird", "cup")
    answers = model.output.predict(z[0]).answers
    assert [a.share for a in answers] == sorted(expected[0].tolist(), reverse=True)
    assert featvis.cam(model, x).values.shape[0] == 2
