"""The bundled scenes and networks: what is drawn, where it is, and that it is recognized."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from zoo_adapters import bundled
from zoo_adapters.bundled import alexnet
from zoo_adapters.bundled.scenes import CLASSES, PARTS, SIZE, scene

FRESH = 20_000_000  # seeds that neither training nor evaluation uses
HASH = (
    "import hashlib; from zoo_adapters.bundled.scenes import scene; s = scene(7);"
    "print(hashlib.sha256(s.image.tobytes() + s.object.tobytes()).hexdigest())"
)


@pytest.fixture(scope="module")
def one_of_each():
    return [scene(FRESH + label, label) for label in range(len(CLASSES))]


@pytest.fixture(scope="module")
def fresh():
    return [scene(FRESH + 1000 + i) for i in range(48)]


def test_a_seed_gives_the_same_scene_in_every_process():
    made, again = scene(7), scene(7)
    assert np.array_equal(made.image, again.image)
    assert made.parts.keys() == again.parts.keys()
    here = hashlib.sha256(made.image.tobytes() + made.object.tobytes()).hexdigest()
    there = subprocess.run([sys.executable, "-c", HASH], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_drawing_leaves_the_global_random_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    scene(3)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_seeds_give_different_scenes_of_all_classes():
    first, second = scene(11, 0), scene(12, 0)
    assert np.abs(first.image.astype(float) - second.image).mean() > 10
    labels = [np.random.default_rng([seed, 20260]).integers(len(CLASSES)) for seed in range(400)]
    assert set(labels) == set(range(len(CLASSES)))


@pytest.mark.parametrize("label", range(len(CLASSES)), ids=CLASSES)
def test_every_class_has_an_object_and_parts(one_of_each, label):
    made = one_of_each[label]
    assert (made.label, made.name) == (label, CLASSES[label])
    assert made.image.shape == (SIZE, SIZE, 3)
    assert made.image.dtype == np.uint8
    assert made.object.mean() > 0.04
    assert len(made.parts) >= 2
    assert set(made.parts) <= set(PARTS)


def test_parts_are_disjoint_and_lie_on_the_object(one_of_each):
    for made in one_of_each:
        masks = np.stack(list(made.parts.values()))
        assert masks.sum(0).max() == 1
        assert not (masks.any(0) & ~made.object).any()


def test_the_object_is_most_of_what_is_not_background(fresh):
    assert np.mean([made.object.mean() for made in fresh]) > 0.15
    assert min(made.object.mean() for made in fresh) > 0.03


def test_the_composition_is_the_same_at_every_size():
    for seed in (1, 2, 3):
        small, large = scene(seed), scene(seed, size=4 * SIZE)
        assert small.label == large.label
        picture = Image.fromarray(large.image).resize((SIZE, SIZE), Image.Resampling.BOX)
        assert np.abs(np.asarray(picture, float) - small.image).mean() < 12
        both = (large.object[2::4, 2::4] & small.object).sum()
        assert both / (large.object[2::4, 2::4] | small.object).sum() > 0.93


def test_classes_share_their_parts(one_of_each):
    owners = {part: {m.name for m in one_of_each if part in m.parts} for part in PARTS}
    for part in ("wheel", "window", "eye", "leaf", "petal"):
        assert len(owners[part]) >= 3, part


def test_alexnet_is_known_to_timm_and_ends_in_an_average():
    module = timm.create_model("scenes_alexnet", num_classes=5).eval()
    assert isinstance(module, alexnet.AlexNet)
    first = module.get_submodule(module.pretrained_cfg["first_conv"])
    assert first.weight.shape == (96, 3, 11, 11)
    assert first.stride == (4, 4)
    maps = module.forward_features(torch.zeros(1, 3, SIZE, SIZE))
    assert maps.shape == (1, module.num_features, 8, 8)
    assert module.forward_head(maps).shape == (1, 5)
    assert module.get_classifier() is module.get_submodule(module.pretrained_cfg["classifier"])


@pytest.mark.parametrize("name", bundled.names())
def test_a_network_recognizes_fresh_scenes(fresh, name):
    module = timm.create_model(f"local-dir:{bundled.folder(name)}", pretrained=True).eval()
    cfg = module.pretrained_cfg
    assert tuple(cfg["label_names"]) == CLASSES
    assert cfg["license"] == "apache-2.0"
    images = torch.from_numpy(np.stack([made.image for made in fresh])).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(cfg[key])[:, None, None] for key in ("mean", "std"))
    with torch.no_grad():
        found = module((images - mean) / std).argmax(1)
    assert next(module.parameters()).dtype == torch.float32
    right = np.mean(found.numpy() == [made.label for made in fresh])
    told = json.loads((bundled.folder(name) / "config.json").read_text())["training"][
        "held_out_top1"
    ]
    # as good as its configuration says, within three standard errors of so few scenes
    assert right >= told - 3 * (told * (1 - told) / len(fresh)) ** 0.5 - 1 / len(fresh)


def test_all_weights_together_are_small():
    files = [bundled.folder(name) / "model.safetensors" for name in bundled.names()]
    assert sum(file.stat().st_size for file in files) <= 16e6
