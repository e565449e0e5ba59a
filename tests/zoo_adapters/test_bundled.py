"""The bundled zoo: folders beside the code, loaded like any folder of the hub."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import timm
import torch

import zoo_adapters
from featvis.model import WrongRequest
from featvis.network.survey import mixing
from zoo_adapters import bundled
from zoo_adapters.measured import convolutions, kind_of


@pytest.fixture
def one(tmp_path, monkeypatch):
    """A zoo of one network."""
    module = timm.create_model("test_resnet", num_classes=3).eval()
    safetensors.torch.save_file(module.state_dict(), tmp_path / "model.safetensors")
    told = {"architecture": "test_resnet", "num_classes": 3, "label_names": ["car", "cup", "bird"]}
    told["pretrained_cfg"] = {"license": "apache-2.0", "input_size": [3, 96, 96]}
    (tmp_path / "config.json").write_text(json.dumps(told))
    monkeypatch.setattr(bundled, "names", lambda: ["scenes-one"])
    monkeypatch.setattr(bundled, "folder", lambda name: tmp_path)
    return module


def test_a_bundled_network_is_loaded_with_its_labels(one):
    model = zoo_adapters.load("bundled:scenes-one")
    assert model.name == "bundled:scenes-one"
    assert model.labels == ("car", "cup", "bird")
    assert model.info["licence"] == "apache-2.0"
    image = torch.rand(1, 3, 96, 96)
    assert torch.allclose(model(image), one(model.normalize(image)), atol=1e-5)
    assert zoo_adapters.names("bundled") == ["bundled:scenes-one"]
    assert zoo_adapters.families("bundled") == {"bundled": ("bundled:scenes-one",)}


def test_bundled_networks_are_described_and_on_disk(one):
    facts = zoo_adapters.describe("bundled:scenes-one")
    assert (facts.name, facts.variant) == ("bundled:scenes-one", "scenes-one")
    assert (facts.size, facts.classes, facts.on_disk) == ((96, 96), 3, True)


def test_unknown_bundled_networks_are_refused(one):
    for ask in (zoo_adapters.load, zoo_adapters.describe):
        with pytest.raises(WrongRequest, match="bundled:scenes-one"):
            ask("bundled:scenes-won")


def test_the_bundled_networks_are_whole():
    """Those that come with the package: each is on disk, loads, and knows its classes."""
    for name in zoo_adapters.names("bundled"):
        facts, model = zoo_adapters.describe(name), zoo_adapters.load(name)
        assert facts.on_disk
        assert facts.parameters == facts.about == model.parameters
        assert facts.head == (model.head.kind if model.head else "none")
        assert facts.kind == kind_of(mixing(model), convolutions(model))
        image = torch.rand(1, 3, *model.size)
        assert model(image).shape == (1, len(model.labels))
