"""timm: names, preprocessing, labels, folders and the cache."""

from __future__ import annotations

import json
import pickle
import socket
import types
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

import zoo_adapters
import zoo_adapters.bundled.alexnet  # it registers its architecture
from featvis.model import WrongRequest
from zoo_adapters import timm as adapter
from zoo_adapters import weights

TINY = "test_resnet"  # of timm: 0.5 million weights, 160 px
TAG = f"{TINY}.r160_in1k"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub; call it to put a repository in."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

    def put(repo, write, revision="main"):
        root = tmp_path / f"models--{repo.replace('/', '--')}"
        (root / "snapshots" / ("c" * 40)).mkdir(parents=True)
        (root / "refs").mkdir()
        (root / "refs" / revision).write_text("c" * 40)
        write(root / "snapshots" / ("c" * 40))

    return put


def folder(path, architecture=TINY, classes=5, seed=1, **config):
    """A folder in the hub's format; the module that it holds."""
    torch.manual_seed(seed)
    module = timm.create_model(architecture, num_classes=classes, **config.get("model_args", {}))
    path.mkdir(exist_ok=True, parents=True)
    safetensors.torch.save_file(module.state_dict(), path / "model.safetensors")
    told = {"architecture": architecture, "num_classes": classes, **config}
    (path / "config.json").write_text(json.dumps(told))
    return module.eval()


def same(module, other):
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in module.state_dict().items())


def refused(name):
    with pytest.raises(WrongRequest) as caught:
        zoo_adapters.load(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- the registry ---------------------------------------------------------------------------------


def test_the_bundled_architectures_are_not_listed_as_timms():
    assert timm.is_model("scenes_alexnet")
    assert not [name for name in adapter.names.__wrapped__() if name.startswith("scenes")]
    assert "alexnet" not in adapter.families.__wrapped__()


def test_a_bare_name_means_its_default_weights():
    model = zoo_adapters.load(f"timm:{TINY}", pretrained=False)
    assert model.name == f"timm:{TAG}"
    assert zoo_adapters.describe("timm:resnet50").name == "timm:resnet50.a1_in1k"


def test_random_weights_are_reproducible_and_leave_the_random_state():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    first = zoo_adapters.load(f"timm:{TINY}", pretrained=False)
    assert torch.equal(torch.rand(4), expected)
    assert same(first.module, zoo_adapters.load(f"timm:{TINY}", pretrained=False).module)
    assert first.labels == ()
    assert first.info["pretrained"] is False
    assert first.info["training"] == "none"


@pytest.mark.parametrize("tag", [TAG, "vit_tiny_patch16_224.augreg_in21k_ft_in1k"])
def test_weights_of_the_cache_are_loaded(cache, tag):
    """The second tag is one that timm would read in another format from elsewhere."""
    architecture = tag.partition(".")[0]
    torch.manual_seed(5)
    module = timm.create_model(architecture)
    put = {k: v.contiguous() for k, v in module.state_dict().items()}
    assert not zoo_adapters.describe(f"timm:{tag}").on_disk
    cache(f"timm/{tag}", lambda at: safetensors.torch.save_file(put, at / "model.safetensors"))
    assert zoo_adapters.describe(f"timm:{tag}").on_disk
    model = zoo_adapters.load(f"timm:{architecture}")
    assert same(model.module, module)
    assert model.info["source"] == f"https://huggingface.co/timm/{tag}"
    assert model.info["pretrained"] is True
    assert model.labels[281] == "tabby"


def test_weights_of_another_shape_are_refused(cache):
    wrong = timm.create_model(TINY, num_classes=7).state_dict()
    cache(f"timm/{TAG}", lambda at: safetensors.torch.save_file(wrong, at / "model.safetensors"))
    assert "cannot be built" in refused(f"timm:{TAG}")


def test_a_damaged_file_is_refused(cache):
    cache(f"timm/{TAG}", lambda at: (at / "model.safetensors").write_bytes(b"damaged" * 99))
    assert "damaged" in refused(f"timm:{TAG}")


def test_an_architecture_without_weights_is_refused_or_random():
    name = next(n for n in zoo_adapters.names("timm") if n.startswith("timm:ghostnet_050"))
    assert not zoo_adapters.describe(name).weights
    assert "no trained weights" in refused(name)
    assert zoo_adapters.load(name, pretrained=False).name == name


def test_descriptions_tell_the_tables():
    facts = zoo_adapters.describe("timm:convnext_base.fb_in22k_ft_in1k_384")
    assert facts.family == "convnext"
    assert facts.variant == "convnext_base.fb_in22k_ft_in1k_384"
    assert facts.size == (384, 384)
    assert facts.classes == 1000
    assert facts.licence == "apache-2.0"
    assert facts.training == "ImageNet-22k, then ImageNet-1k"
    assert facts.weights
    assert not facts.on_disk


def test_weights_are_counted_without_being_made(tmp_path):
    assert zoo_adapters.parameters("timm:resnet50") == 25_557_032
    head = 21_841 * 1025  # of the weights, not of the architecture's default
    assert zoo_adapters.parameters("timm:convnext_base.fb_in22k") == 87_566_464 + head
    assert zoo_adapters.parameters("torchvision:alexnet") == 61_100_840
    module = folder(tmp_path)
    count = sum(p.numel() for p in module.parameters())
    assert zoo_adapters.parameters(f"timm:local-dir:{tmp_path}") == count


# --- preprocessing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        TAG,
        "vit_tiny_patch16_224.augreg_in21k",  # mean and std of its own, fixed size
        "efficientvit_b0.r224_in1k",
        "mobilenetv3_small_050.lamb_in1k",
        "test_vit3.r160_in1k",
    ],
)
def test_preprocessing_is_that_of_the_configuration(name):
    model = zoo_adapters.load(f"timm:{name}", pretrained=False)
    cfg = timm.get_pretrained_cfg(name)
    assert model.mean.flatten().tolist() == pytest.approx(cfg.mean)
    assert model.std.flatten().tolist() == pytest.approx(cfg.std)
    assert model.size == cfg.input_size[1:]
    assert model.input.crop_pct == cfg.crop_pct
    assert model.input.crop_mode == cfg.crop_mode
    assert model.input.interpolation == cfg.interpolation
    assert model.input.fixed_size == cfg.fixed_input_size


def test_preprocessing_of_a_folder_is_its_own(tmp_path):
    own = {
        "input_size": [3, 96, 64],
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "crop_pct": 0.7,
        "crop_mode": "border",
        "interpolation": "bilinear",
    }
    folder(tmp_path, pretrained_cfg=own)
    model = zoo_adapters.load(f"timm:local-dir:{tmp_path}")
    assert model.size == (96, 64)
    assert model.mean.flatten().tolist() == pytest.approx(own["mean"])
    assert model.std.flatten().tolist() == pytest.approx(own["std"])
    assert (model.input.crop_pct, model.input.crop_mode) == (0.7, "border")
    assert model.input.interpolation == "bilinear"
    assert zoo_adapters.describe(model.name).size == (96, 64)
    assert model(torch.rand(2, 3, 96, 64)).shape == (2, 5)


# --- folders and repositories ---------------------------------------------------------------------


def test_a_folder_is_loaded_with_its_labels(tmp_path):
    words = ["car", "bird", "cup", "house", "tree"]
    module = folder(tmp_path, label_names=words)
    model = zoo_adapters.load(f"timm:local-dir:{tmp_path}")
    assert same(model.module, module)
    assert model.labels == tuple(words)
    assert model.info["source"] == str(tmp_path)
    image = torch.rand(1, 3, 160, 160)
    normal = (image - torch.tensor(timm.data.IMAGENET_DEFAULT_MEAN).view(3, 1, 1)) / torch.tensor(
        timm.data.IMAGENET_DEFAULT_STD
    ).view(3, 1, 1)
    assert torch.allclose(model(image), module(normal), atol=1e-5)
    facts = zoo_adapters.describe(model.name)
    assert (facts.family, facts.classes, facts.on_disk) == ("resnet", 5, True)


def test_a_folder_without_training_keeps_its_labels(tmp_path):
    module = folder(tmp_path, label_names=list("abcde"))
    model = zoo_adapters.load(f"timm:local-dir:{tmp_path}", pretrained=False)
    assert model.labels == tuple("abcde")
    assert not same(model.module, module)


def test_a_repository_in_the_cache_is_loaded_at_its_revision(cache):
    made = []
    cache("me/mine", lambda at: made.append(folder(at, label_names=list("abcde"))), "v2")
    model = zoo_adapters.load("timm:hf-hub:me/mine@v2")
    assert same(model.module, made[0])
    assert model.name == "timm:hf-hub:me/mine@v2"
    assert model.info["source"] == "https://huggingface.co/me/mine"
    facts = zoo_adapters.describe("timm:hf-hub:me/mine@v2")
    assert (facts.family, facts.classes, facts.on_disk) == ("resnet", 5, True)
    assert not zoo_adapters.describe("timm:hf-hub:me/other").on_disk


def test_configuration_and_weights_are_of_one_commit(cache, tmp_path, monkeypatch):
    """The repository moved on after its configuration was cached: the old one must not be mixed."""
    old, new = [tmp_path / "models--me--mine" / "snapshots" / (c * 40) for c in "cd"]
    cache("me/mine", lambda at: (at / "config.json").write_text('{"architecture": "test_vit"}'))
    module = folder(new, label_names=list("abcde"))

    def downloaded(repo, file, **_):
        return str(new / file)

    sized = types.SimpleNamespace(size=1)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", downloaded)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda *_, **__: sized)
    monkeypatch.setattr(weights, "may_download", lambda *_: None)
    assert old.is_dir()
    assert same(zoo_adapters.load("timm:hf-hub:me/mine").module, module)


def test_code_in_a_pickle_is_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with (tmp_path / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"conv1.weight": Payload()}, file)
    assert "cannot be built" in refused(f"timm:local-dir:{tmp_path}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("config", ["{", "[]", "{}", '"resnet18"'])
def test_a_broken_configuration_is_refused(tmp_path, config):
    (tmp_path / "config.json").write_text(config)
    assert "config.json" in refused(f"timm:local-dir:{tmp_path}")


def test_incomplete_folders_are_refused(tmp_path):
    assert "no config.json" in refused(f"timm:local-dir:{tmp_path}")
    folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    assert "no weights" in refused(f"timm:local-dir:{tmp_path}")
    folder(tmp_path, model_args={"in_chans": 1}, pretrained_cfg={"input_size": [1, 64, 64]})
    assert "1 channel" in refused(f"timm:local-dir:{tmp_path}")


# --- labels ---------------------------------------------------------------------------------------


def labels(tmp_path, classes, tag="", **config):
    folder(tmp_path, classes=classes, pretrained_cfg={"tag": tag}, **config)
    return zoo_adapters.load(f"timm:local-dir:{tmp_path}").labels


def test_imagenet_labels_are_the_first_names_and_unlike(tmp_path):
    words = labels(tmp_path, 1000, "a1_in1k")
    assert (words[281], words[281 + 1], words[0]) == ("tabby", "tiger cat", "tench")
    assert words[134].startswith("crane (")
    assert words[517].startswith("crane (")
    assert len(set(words)) == 1000


def test_a_thousand_classes_of_something_else_are_not_called_imagenets(tmp_path):
    assert labels(tmp_path, 1000, "fb_dino") == ()
    assert labels(tmp_path, 1000) == ()
    assert labels(tmp_path, 11821, "sw_in1k") == ()


def test_larger_imagenets_have_their_own_labels():
    for classes, tag in [(11821, "sw_in12k"), (21841, "fb_in22k"), (21843, "augreg_in21k")]:
        assert len(set(adapter.labels_of({"tag": tag}, classes))) > 0.99 * classes


def test_the_configurations_labels_win(tmp_path):
    own = [f"thing {i}" for i in range(1000)]
    assert labels(tmp_path, 1000, "a1_in1k", label_names=own) == tuple(own)
    assert labels(tmp_path, 3, label_names={"2": "c", "0": "a"}) == ("a", "class 1", "c")
    described = {"n02123045": "tabby, tabby cat", "n01440764": "tench, Tinca tinca"}
    assert labels(tmp_path, 2, label_names=list(described), label_descriptions=described) == (
        "tabby",
        "tench",
    )
    assert labels(tmp_path, 3, label_names=["one", "two"]) == ()


def test_a_network_without_classes_has_no_labels(tmp_path):
    assert labels(tmp_path, 0, "a1_in1k") == ()


def test_real_weights_recognize_what_they_should(real_data):
    """MobileNetV2 of ImageNet: names, head and logits as timm gives them."""
    path = Path(real_data) / "weights" / "mobilenetv2_100.coral_qat_in1k"
    model = zoo_adapters.load(f"timm:local-dir:{path}")
    assert model.labels[281] == "tabby"
    assert model.head is not None
    assert model.head.kind == "exact"
    assert model.info["licence"] == "apache-2.0"
    assert model.info["training"] == "ImageNet-1k"
    assert model.info["parameters"] == model.parameters == 3_504_872
