"""transformers: types and classes, preprocessing, labels, folders, and what is refused."""

from __future__ import annotations

import json
import pickle
import socket
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

import zoo_adapters
from featvis.embedding import Embedding
from featvis.methods.cam import cam
from featvis.model import WrongRequest

transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")

from zoo_adapters import processors, transformers_types  # noqa: E402
from zoo_adapters.checks import check_model, check_zoo  # noqa: E402

LABELS = {0: "car, automobile", 1: "bird", 2: "cup"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))


def saved(path, module, **processor):
    """A folder as save_pretrained writes it; the module that it holds."""
    module = module.eval()
    module.save_pretrained(path)
    if processor:
        (path / "preprocessor_config.json").write_text(json.dumps(processor))
    return module


def resnet(**more):
    torch.manual_seed(1)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], id2label=LABELS, **more
    )
    return transformers.ResNetForImageClassification(config)


def vit(kind="ViTForImageClassification", **more):
    torch.manual_seed(2)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        image_size=32, patch_size=8, **more,
    )  # fmt: skip
    return getattr(transformers, kind)(config)


def refused(name, **how):
    with pytest.raises(WrongRequest) as caught:
        zoo_adapters.load(name, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- names and types ------------------------------------------------------------------------------


def test_the_zoo_conforms():
    check_zoo("transformers")


def test_every_class_that_the_library_registers_is_listed_or_refused_with_a_reason():
    from zoo_adapters.towers import UNUSABLE

    registered = transformers.models.auto.modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
    classes = [
        c for made in registered.values() for c in ([made] if isinstance(made, str) else made)
    ]
    listed = set(transformers_types.classes().values())
    left_out = [c for c in classes if c not in listed]
    assert len(classes) - len(left_out) >= 42
    assert len(left_out) == len(UNUSABLE)
    for kind, reason in UNUSABLE.items():
        assert kind in registered
        assert reason in refused(f"transformers:{kind}", pretrained=False)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("transformers:resnet", "pretrained=False"),
        ("transformers:resnett", "transformers:resnet"),
        ("transformers:a/b/c", "organization/name"),
        ("transformers:hf-hub:a/b", "transformers:a/b"),
        ("transformers:local-dir:nowhere", "no config.json"),
    ],
)
def test_wrong_names_are_refused_with_right_ones(name, said):
    assert said in refused(name)


def test_untrained_networks_are_reproducible_and_leave_the_random_state():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    first = zoo_adapters.load("transformers:pp_lcnet", pretrained=False)
    assert torch.equal(torch.rand(4), expected)
    again = zoo_adapters.load("transformers:pp_lcnet", pretrained=False)
    theirs = again.module.state_dict()
    assert all(torch.equal(v, theirs[k]) for k, v in first.module.state_dict().items())
    assert first.labels == ()
    assert check_model(first) == []
    facts = zoo_adapters.describe("transformers:pp_lcnet")
    assert (facts.weights, facts.size, facts.on_disk) == (False, (224, 224), True)
    assert zoo_adapters.parameters("transformers:pp_lcnet") == first.parameters


# --- folders --------------------------------------------------------------------------------------


def test_a_folder_gives_the_librarys_logits_with_its_words(tmp_path):
    module = saved(tmp_path, resnet(), image_processor_type="ConvNextImageProcessor",
                   size={"shortest_edge": 64}, crop_pct=0.875, resample=3,
                   image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6])  # fmt: skip
    model = zoo_adapters.load(f"transformers:local-dir:{tmp_path}")
    image = torch.rand(2, 3, 64, 64)
    normal = (image - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.4, 0.5, 0.6])[
        :, None, None
    ]
    with torch.no_grad():
        assert torch.allclose(model(image), module(normal).logits, atol=1e-5)
    assert model.labels == ("car", "bird", "cup")
    assert (model.size, model.input.resize) == ((64, 64), 73)
    assert model.head is not None
    assert model.head.kind == "exact"
    assert float(cam(model, image[:1], 1).residual) < 1e-5
    assert model.info["pretrained"] is True
    assert check_model(model) == []
    facts = zoo_adapters.describe(model.name)
    assert (facts.classes, facts.on_disk, facts.size) == (3, True, (64, 64))
    random = zoo_adapters.load(model.name, pretrained=False)
    assert not torch.equal(random(image), model(image))
    assert random.labels == model.labels


def test_a_vision_transformer_has_its_tokens_as_maps(tmp_path):
    saved(tmp_path, vit(num_labels=5))
    model = zoo_adapters.load(f"transformers:local-dir:{tmp_path}")
    assert model.size == (32, 32)
    layer = model.layers[model.last_layer]
    assert (layer.layout.kind, layer.layout.prefix, layer.size) == ("NLC", 1, (4, 4))
    assert model.tokens is not None
    assert "class token" in model.head_reason
    assert model.labels == ()
    assert check_model(model) == []


@pytest.mark.parametrize("kind", ["siglip", "clip"])
def test_a_network_that_also_reads_is_loaded_as_the_part_that_sees(tmp_path, kind):
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 24}  # fmt: skip
    title = {"siglip": "Siglip", "clip": "CLIP"}[kind]
    seen = getattr(transformers, f"{title}VisionConfig")(**small, image_size=32, patch_size=8)
    read = getattr(transformers, f"{title}TextConfig")(**small, vocab_size=20, bos_token_id=1,
                                                       eos_token_id=2)  # fmt: skip
    config = getattr(transformers, f"{title}Config")(
        vision_config=seen.to_dict(), text_config=read.to_dict()
    )
    torch.manual_seed(4)
    whole = saved(tmp_path, getattr(transformers, f"{title}Model")(config))
    model = zoo_adapters.load(f"transformers:local-dir:{tmp_path}")
    image = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        expected = whole.vision_model(model.normalize(image)).pooler_output
        assert torch.allclose(model(image), expected, atol=1e-5)
    assert isinstance(model.output, Embedding)
    assert model.head is None
    assert zoo_adapters.describe(model.name).classes == 0


def test_a_backbone_without_a_head_gives_an_embedding(tmp_path):
    module = saved(tmp_path, vit("ViTModel"))
    model = zoo_adapters.load(f"transformers:local-dir:{tmp_path}")
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(model(image), module(model.normalize(image)).pooler_output, atol=1e-5)
    assert isinstance(model.output, Embedding)


def test_blue_first_networks_are_turned_round(tmp_path):
    torch.manual_seed(5)
    config = transformers.MobileNetV2Config(num_labels=3, depth_multiplier=0.35)
    how = {"size": {"shortest_edge": 64}, "do_flip_channel_order": True, "do_normalize": False}
    module = saved(tmp_path, transformers.MobileNetV2ForImageClassification(config), **how)
    model = zoo_adapters.load(f"transformers:local-dir:{tmp_path}")
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(model(image), module(image.flip(1)).logits, atol=1e-5)
    assert float(model.mean.abs().max()) == 0


def test_half_precision_weights_are_widened(tmp_path):
    saved(tmp_path, resnet().half())
    model = zoo_adapters.load(f"transformers:local-dir:{tmp_path}")
    assert model.like.dtype == torch.float32


# --- what is refused ------------------------------------------------------------------------------


def test_weights_that_are_not_all_there_are_refused(tmp_path):
    saved(tmp_path, vit("ViTModel"))
    told = json.loads((tmp_path / "config.json").read_text())
    told["architectures"] = ["ViTForImageClassification"]
    (tmp_path / "config.json").write_text(json.dumps(told))
    assert "lacks 2 of the weights" in refused(f"transformers:local-dir:{tmp_path}")


def test_damaged_and_foreign_folders_are_refused(tmp_path):
    name = f"transformers:local-dir:{tmp_path}"
    saved(tmp_path, resnet())
    (tmp_path / "model.safetensors").write_bytes(b"damaged" * 99)
    assert "damaged" in refused(name)
    (tmp_path / "model.safetensors").unlink()
    assert "model.safetensors" in refused(name)
    for config in ("{", "[]", "{}", '{"model_type": "nothing"}', '{"model_type": "bert"}'):
        (tmp_path / "config.json").write_text(config)
        assert str(tmp_path) in refused(name, pretrained=False)


def test_code_is_not_run(tmp_path):
    """Neither that of a pickle nor that of a repository."""

    class Payload:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    name = f"transformers:local-dir:{tmp_path}"
    saved(tmp_path, resnet())
    (tmp_path / "model.safetensors").unlink()
    with (tmp_path / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"classifier.1.weight": Payload()}, file)
    assert "cannot be built" in refused(name)
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    told = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    assert "config.json" in refused(name)
    assert not (tmp_path / "run").exists()


# --- pictures -------------------------------------------------------------------------------------

PROCESSORS = {
    "resnet": 1,  # ConvNext's: a crop below 384 pixels
    "vit": 1,  # squashed
    "clip": 1,
    "dinov2": 1,
    "levit": 1,  # a size of its own before the crop
    "poolformer": 1,
    "efficientnet": 1,  # to [-1, 1] first
    "mobilevit": 1,  # blue first
    "perceiver": 2,  # it crops before it resizes: near
}


@pytest.mark.parametrize("kind", PROCESSORS)
@pytest.mark.parametrize("picture", [(320, 256), (256, 320)])
def test_pictures_are_prepared_as_by_the_librarys_processor(kind, picture):
    """Within a grey level or two on average: the library rounds between its steps."""
    made = transformers_types._processor(kind)
    offset = {"rescale_offset": True, "rescale_factor": 1 / 127.5}
    processor = made(**offset, include_top=False) if kind == "efficientnet" else made()
    ready = processors.prepared(processor.to_dict(), transformers.CONFIG_MAPPING[kind]())
    make = np.random.default_rng(0)
    coarse = PIL.Image.fromarray(make.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    seen = coarse.resize(picture, PIL.Image.Resampling.BICUBIC)
    theirs = torch.from_numpy(np.asarray(processor(seen, return_tensors="np").pixel_values))
    module = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2)
    )
    model = zoo_adapters.wrap(module, name="own:any", mean=ready.mean, std=ready.std,
                              size=ready.size, input=ready.input)  # fmt: skip
    ours = model.normalize(zoo_adapters.read_image(seen, model).values)
    assert ours.shape == theirs.shape
    ours = ours.flip(1) if ready.bgr else ours
    grey = 1 / 255 / max(ready.std)
    assert float((ours - theirs).abs().mean()) < 1.5 * grey * PROCESSORS[kind]
