"""Weights that people trained: in every file that scripts write, for every zoo."""

from __future__ import annotations

import os
import pickle
import re

import pytest
import safetensors.torch
import timm
import torch
import torchvision
import transformers

import featvis
import zoo_adapters
from app.cli.commands import main
from featvis import WrongRequest

NAME = "timm:test_resnet"


def trained(classes=7, bands=3):
    torch.manual_seed(5)
    return timm.create_model("test_resnet", num_classes=classes, in_chans=bands).eval()


@pytest.fixture(scope="module")
def state():
    return trained().state_dict()


def prefixed(state, prefix):
    return {prefix + key: tensor for key, tensor in state.items()}


FILES = {  # how a script writes them -> what it saves
    "the weights": lambda s: s,
    "state_dict": lambda s: {"epoch": 3, "state_dict": s},
    "model": lambda s: {"model": s, "optimizer": {"state": {}, "lr": 0.1}},
    "model_state_dict": lambda s: {"loss": 0.3, "model_state_dict": s},
    "averaged": lambda s: {"state_dict": {k: 0 * v for k, v in s.items()}, "state_dict_ema": s},
    "nested twice": lambda s: {"checkpoint": {"model": s}},
    "DataParallel": lambda s: prefixed(s, "module."),
    "compiled": lambda s: prefixed(s, "_orig_mod."),
    "compiled DataParallel": lambda s: {"state_dict": prefixed(s, "module._orig_mod.")},
    "Lightning": lambda s: {"state_dict": prefixed(s, "model."), "pytorch-lightning_version": "2"},
    "a backbone": lambda s: prefixed(s, "backbone."),
    "any prefix": lambda s: prefixed(s, "classifier_net."),
    "beside others": lambda s: {**s, "criterion.weight": torch.ones(7)},
    "half": lambda s: {k: v.half() if v.is_floating_point() else v for k, v in s.items()},
    "parameters": lambda s: {k: torch.nn.Parameter(v, requires_grad=False) for k, v in s.items()},
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_weights_is_read_however_it_was_written(state, tmp_path, kind):
    path = tmp_path / "best.pth"
    torch.save(FILES[kind](state), path)
    model = zoo_adapters.load(NAME, checkpoint=path, labels=list("abcdefg"))
    x = torch.rand(1, 3, *model.size)
    expected = trained()((x - model.mean) / model.std)
    torch.testing.assert_close(model(x), expected, atol=2e-2 if kind == "half" else 1e-5, rtol=1e-2)
    assert model.labels == tuple("abcdefg")
    assert model.info["training"] == "your own"


@pytest.mark.parametrize(("classes", "bands"), [(2, 3), (7, 1), (1000, 4)])
def test_the_sizes_are_those_of_the_file(tmp_path, classes, bands):
    safetensors.torch.save_file(trained(classes, bands).state_dict(), tmp_path / "w.safetensors")
    model = zoo_adapters.load(NAME, checkpoint=str(tmp_path / "w.safetensors"))
    assert (model.output.count, model.bands) == (classes, bands)
    assert not model.labels
    assert model.size == (160, 160)


def test_networks_of_torchvision_and_transformers_take_weights(tmp_path):
    network = torchvision.models.squeezenet1_1(num_classes=3).eval()
    torch.save(network.state_dict(), tmp_path / "t.pt")
    model = zoo_adapters.load("torchvision:squeezenet1_1", checkpoint=tmp_path / "t.pt")
    x = torch.rand(1, 3, *model.size)
    torch.testing.assert_close(model(x), network((x - model.mean) / model.std))
    network = transformers.MobileNetV1ForImageClassification(
        transformers.MobileNetV1Config(num_labels=4)
    )
    torch.save(network.state_dict(), tmp_path / "h.bin")
    model = zoo_adapters.load("transformers:mobilenet_v1", checkpoint=tmp_path / "h.bin")
    torch.testing.assert_close(model(x), network.eval()((x - model.mean) / model.std).logits)


def another():
    return timm.create_model("test_convnext").state_dict()


def reshaped():
    return {**trained().state_dict(), "fc.weight": torch.ones(7, 9)}


class Code:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def _pickled(path):
    path.write_bytes(pickle.dumps(Code()))


def _module(path):
    torch.save(trained(), path)


REFUSED = {
    "another architecture": (lambda p: torch.save(another(), p), "does not fit timm:test_resnet"),
    "a part": (lambda p: torch.save({"fc.weight": torch.ones(7, 512)}, p), "tensors are missing"),
    "another shape": (lambda p: torch.save(reshaped(), p), "fc.weight is (7, 9) and not (7, 96)"),
    "no weights": (lambda p: torch.save({"epoch": 3, "lr": 0.1}, p), "holds no weights by name"),
    "a tensor": (lambda p: torch.save(torch.ones(3), p), "but a Tensor"),
    "text": (lambda p: p.write_text("weights"), "damaged, or holds more than weights"),
    "nothing": (lambda p: p.write_bytes(b""), "damaged, or holds more than weights"),
    "code": (_pickled, "could run code and is not read"),
    "a whole module": (_module, "torch.save(model.state_dict()"),
    "no file": (lambda p: None, "there is no file"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_refused_by_name(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    write, words = REFUSED[kind]
    write(tmp_path / "w.pth")
    with pytest.raises(WrongRequest, match=re.escape(words)) as refusal:
        zoo_adapters.load(NAME, checkpoint=tmp_path / "w.pth")
    assert len(str(refusal.value)) < 500
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("name", "how", "words"),
    [
        (NAME, {"num_classes": 3}, "give them as checkpoint="),
        ("bundled:scenes-resnet", {"num_classes": 3}, "no architectures for weights"),
        ("torchvision:resnet18", {"in_chans": 1, "pretrained": False}, "three bands"),
        ("torchvision:backbone", {"checkpoint": "w.pth"}, "w.pth"),
    ],
)
def test_sizes_without_weights_are_refused(name, how, words):
    with pytest.raises(WrongRequest, match=re.escape(words)):
        zoo_adapters.load(name, **how)


def test_random_weights_take_other_sizes():
    model = zoo_adapters.load(NAME, pretrained=False, num_classes=3, in_chans=2)
    assert (model.output.count, model.bands) == (3, 2)


def test_the_command_line_takes_the_same(tmp_path, capsys):
    torch.save({"state_dict": prefixed(trained(7, 1).state_dict(), "module.")}, tmp_path / "w.pth")
    (tmp_path / "labels.txt").write_text("\n".join("abcdefg"), "utf8")
    own = ["--checkpoint", str(tmp_path / "w.pth"), "--labels", str(tmp_path / "labels.txt")]
    out = tmp_path / "cam.png"
    command = ["run", "cam", "--model", NAME, "--image", "scene-3", "--target", "c"]
    assert main([*command, *own, "--out", str(out)]) == 0
    assert out.exists()
    assert main(["show", NAME, *own]) == 0
    assert "7 labels" in capsys.readouterr().out
    assert main(["show", NAME, "--checkpoint", str(tmp_path / "none.pth")]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_a_bare_file_as_a_name_says_what_to_type(tmp_path):
    for name in ("best.pth", "runs/best.pt", "./weights.safetensors", str(tmp_path / "w.pth")):
        with pytest.raises(WrongRequest, match="checkpoint"):
            zoo_adapters.load(name)


def test_a_model_of_own_weights_is_explained(tmp_path):
    torch.save(trained().state_dict(), tmp_path / "w.pth")
    model = zoo_adapters.load(NAME, checkpoint=tmp_path / "w.pth")
    x = torch.rand(1, 3, *model.size)
    assert float(featvis.cam(model, x, 5).residual) <= 1e-5
    two = [list(featvis.maximize(model, k, steps=2, size=64))[-1].values for k in (5, 6)]
    assert not torch.equal(*two)
