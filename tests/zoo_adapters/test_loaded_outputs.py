"""Networks that are loaded by name and end in an activation, or have independent classes."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

import featvis
import zoo_adapters
from zoo_adapters.checks import check_model

transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")

LABELS = {0: "car", 1: "bird", 2: "cup"}


ENDINGS = {  # the last layers, classes, the probabilities of the values before them
    "sigmoid": ([nn.Sigmoid()], 3, torch.sigmoid),
    "log-softmax": ([nn.LogSoftmax(1)], 3, lambda z: z.softmax(1)),
    "single": (
        [nn.Sigmoid(), nn.Flatten(0)], 1, lambda z: torch.cat([1 - z.sigmoid(), z.sigmoid()], 1)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_a_loaded_network_is_explained_before_its_ending(name, monkeypatch):
    final, classes, shares = ENDINGS[name]
    built = timm.create_model

    def create(*arguments, **how):
        module = built(*arguments, **how, num_classes=classes)
        module.fc = nn.Sequential(module.fc, *final)
        return module

    monkeypatch.setattr(timm, "create_model", create)
    model = zoo_adapters.load("timm:test_resnet", pretrained=False)
    x = torch.rand(2, 3, *model.size, generator=torch.Generator().manual_seed(2))
    module = model.module
    with torch.no_grad():
        features = module.forward_features(model.normalize(x))
        z = module.fc[0](module.forward_head(features, pre_logits=True))
    torch.testing.assert_close(model.probabilities(x), shares(z))
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
