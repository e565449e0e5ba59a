"""torchvision: names, preprocessing, and weights from torch's folder."""

from __future__ import annotations

import pickle
import socket
from pathlib import Path

import pytest
import torch
from torchvision import models

import zoo_adapters
from featvis.model import WrongRequest
from zoo_adapters import torchvision as adapter
from zoo_adapters import weights


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))


def put(architecture, write, tag="DEFAULT"):
    """Write the file of weights where torch keeps it."""
    path = weights.url_path(models.get_model_weights(architecture)[tag].url)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path)
    return path


def made(architecture, **how):
    torch.manual_seed(4)
    return models.get_model(architecture, weights=None, **how).eval()


def test_a_bare_name_means_the_default_weights():
    assert zoo_adapters.describe("torchvision:resnet50").name == (
        "torchvision:resnet50.IMAGENET1K_V2"
    )
    model = zoo_adapters.load("torchvision:squeezenet1_1", pretrained=False)
    assert model.name == "torchvision:squeezenet1_1.IMAGENET1K_V1"
    assert model.labels == ()
    assert model.info["pretrained"] is False


def test_descriptions_tell_the_tables():
    facts = zoo_adapters.describe("torchvision:alexnet")
    assert (facts.family, facts.size, facts.classes) == ("alexnet", (224, 224), 1000)
    assert facts.parameters == 61_100_840
    assert facts.download == pytest.approx(61_100_840 * 4, rel=1e-3)
    assert not facts.on_disk


def test_weights_on_disk_are_loaded_and_named():
    module = made("squeezenet1_1")
    path = put("squeezenet1_1", lambda at: torch.save(module.state_dict(), at))
    facts = zoo_adapters.describe("torchvision:squeezenet1_1")
    assert facts.on_disk
    model = zoo_adapters.load("torchvision:squeezenet1_1")
    theirs = model.module.state_dict()
    assert all(torch.equal(v, theirs[k]) for k, v in module.state_dict().items())
    assert model.labels[281] == "tabby"
    assert model.info["source"].endswith(path.name)
    assert model.info["training"] == "ImageNet-1k"


def test_preprocessing_is_that_of_the_weights():
    model = zoo_adapters.load("torchvision:mobilenet_v3_large.IMAGENET1K_V2", pretrained=False)
    how = models.MobileNet_V3_Large_Weights.IMAGENET1K_V2.transforms()
    assert model.input.resize == how.resize_size[0] == 232
    assert model.size == (224, 224)
    assert model.mean.flatten().tolist() == pytest.approx(how.mean)
    assert model.input.interpolation == "bilinear"


def test_a_transformer_is_built_for_the_size_of_its_weights():
    """vit_h_14 likewise: its weights take 518 pixels, the bare architecture 224."""
    name, chosen = adapter._found("vit_b_16.IMAGENET1K_SWAG_E2E_V1")
    with torch.device("meta"):
        module = adapter._build(name, chosen, name, pretrained=False)
    assert module(torch.rand(1, 3, 384, 384, device="meta")).shape == (1, 1000)


def test_a_transformer_takes_no_other_size():
    model = zoo_adapters.load("torchvision:vit_b_32", pretrained=False)
    assert model.input.fixed_size
    assert not zoo_adapters.load("torchvision:squeezenet1_1", pretrained=False).input.fixed_size


@pytest.mark.parametrize("architecture", ["googlenet", "inception_v3"])
def test_auxiliary_heads_are_left_out_and_inputs_transformed(architecture):
    module = made(architecture, aux_logits=True, transform_input=True, init_weights=False)
    put(architecture, lambda at: torch.save(module.state_dict(), at))
    name, chosen = adapter._found(architecture)
    image = torch.rand(1, 3, 96, 96)
    trained, random = (
        adapter._build(name, chosen, name, trained).eval() for trained in (True, False)
    )
    for made_here in (trained, random):
        assert made_here.transform_input
        assert made_here(image).shape == (1, 1000)
    assert torch.allclose(trained(image), module(image), atol=1e-5)


def test_old_names_of_tensors_are_understood():
    """DenseNet's files say "norm.1" where the network says "norm1"."""
    import re

    module = made("densenet121")
    pattern = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))(\d)\.")
    old = {pattern.sub(r"\1.\2.", k): v for k, v in module.state_dict().items()}
    old = {k: v for k, v in old.items() if "num_batches" not in k}
    assert set(old) != set(module.state_dict())
    put("densenet121", lambda at: torch.save(old, at))
    name, chosen = adapter._found("densenet121")
    theirs = adapter._build(name, chosen, name, pretrained=True).state_dict()
    assert all(torch.equal(v, theirs[k]) for k, v in module.state_dict().items())


def test_code_in_a_file_is_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    put("alexnet", lambda at: at.write_bytes(pickle.dumps(Payload())))
    with pytest.raises(WrongRequest, match="damaged or holds more than weights"):
        zoo_adapters.load("torchvision:alexnet")
    assert not (tmp_path / "run").exists()


def test_a_file_of_another_network_is_refused():
    put("squeezenet1_1", lambda at: torch.save({"wrong": torch.ones(1)}, at))
    with pytest.raises(WrongRequest, match="does not fit"):
        zoo_adapters.load("torchvision:squeezenet1_1")


def test_random_weights_are_the_same_every_time_and_leave_the_callers_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    one, two = (
        zoo_adapters.load("torchvision:squeezenet1_1", pretrained=False).module for _ in range(2)
    )
    assert torch.equal(torch.rand(4), expected)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))
