"""torchvision: names, preprocessing, and weights from torch's folder."""

from __future__ import annotations

import pickle
import socket
from pathlib import Path

import pytest
import torch
from torchvision import models

import featvis
import zoo_adapters
from featvis.model import WrongRequest
from zoo_adapters import torchvision as adapter
from zoo_adapters import torchvision_backbones as backbones
from zoo_adapters import weights
from zoo_adapters.checks import check_model


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


def test_random_weights_are_reproducible_and_leave_the_random_state():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    one, two = (
        zoo_adapters.load("torchvision:squeezenet1_1", pretrained=False).module for _ in range(2)
    )
    assert torch.equal(torch.rand(4), expected)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))


# --- backbones of detection and segmentation models -----------------------------------------------

SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"


def test_detection_and_segmentation_models_are_two_families_beside_80_classifiers():
    families = zoo_adapters.families("torchvision")
    dense = [n for f in backbones.FAMILIES for n in families[f]]
    for family, module in backbones.FAMILIES.items():
        weights_of = [models.get_model_weights(n) for n in models.list_models(module=module)]
        assert len(families[family]) == sum(map(len, weights_of)) > 5
    others = {n.partition(".")[0] for n in zoo_adapters.names("torchvision") if n not in dense}
    assert len(others) == 80
    for name in dense:
        facts = zoo_adapters.describe(name)
        assert (facts.classes, facts.head, facts.training) == (0, "none", "COCO")
        assert facts.licence == "bsd-3-clause"
        assert facts.about
        assert facts.download > 1e7


def test_pictures_are_taken_as_the_detectors_take_them():
    for name in (*backbones.SIDES, "fasterrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn"):
        with torch.device("meta"):
            how = backbones.whole(name).transform
        told = backbones.seen(name, None)
        assert told.side == (how.fixed_size or how.min_size)[-1], name
        assert told.mean == pytest.approx(tuple(how.image_mean)), name
        assert told.std == pytest.approx(tuple(how.image_std)), name
        assert told.input.fixed_size == (told.input.crop_mode == "squash") == bool(how.fixed_size)


def test_a_backbone_sees_what_its_detector_sees_and_has_no_classes():
    made_here = made(SMALL, weights_backbone=None)
    # the trained model has norms that are frozen, under the same names
    state = {k: v for k, v in made_here.state_dict().items() if "num_batches_tracked" not in k}
    for key, tensor in state.items():
        if "running_var" in key:
            tensor.uniform_(0.5, 2)
    put(SMALL, lambda at: torch.save(state, at))
    model = zoo_adapters.load(f"torchvision:{SMALL}")
    assert check_model(model) == []
    assert model.labels == ()
    assert "no classes" in model.head_reason
    image = torch.rand(2, 3, 320, 320, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = made_here.backbone.body(made_here.transform([*image])[0].tensors)
    expected = list(maps.values())[-1].mean((2, 3))
    torch.testing.assert_close(model(image), expected, rtol=1e-3, atol=1e-5)
    with pytest.raises(WrongRequest, match="no classes"):
        featvis.cam(model, image)
    assert featvis.saliency(model, image[:1], layer="body.4", channel=3).values.any()


def test_of_a_segmentation_model_the_deepest_map_is_averaged():
    with torch.device("meta"):
        model = zoo_adapters.load("torchvision:lraspp_mobilenet_v3_large", pretrained=False)
        assert model(torch.rand(1, 3, 64, 64)).shape == (1, 960)
    assert model.size == (520, 520)
    assert model.input.resize == 520
