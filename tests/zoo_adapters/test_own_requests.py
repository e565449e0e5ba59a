"""What people give a method: labels, modules, paths and arrays, read or refused in one sentence."""

from __future__ import annotations

import json
import re

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

import featvis
import zoo_adapters
from featvis import METHODS, Contrast, WrongRequest

SIZE = (32, 40)
LABELS = ("tabby, tabby cat", "zebra", "cow", "tower", "fig")
WITH_TARGET = [name for name, method in METHODS.items() if {"image", "target"} <= {*method.subject}]


class Net(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.stage2 = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(12, classes)

    def forward(self, x):
        return self.fc(self.stage2(self.stage1(x)).mean((2, 3)))


def net(classes=5):
    torch.manual_seed(0)
    return Net(classes)


def wrapped(module=None, **how):
    facts = {"mean": 0.5, "std": 0.25, "size": SIZE, "labels": LABELS, "name": "mine", **how}
    return zoo_adapters.wrap(module or net(), **facts)


@pytest.fixture(scope="module")
def model():
    return wrapped()


def picture(count=1):
    return torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def run(name, model, image, target, **how):
    method = METHODS[name]
    few = {"steps": 2, "samples": 2}
    params = {p.name: few[p.name] for p in method.params if p.name in few}
    layer = {"layer": "stage2"} if name in ("deepdream",) else {}
    result = method.run(model, image=image, target=target, **params, **layer, **how)
    return list(result)[-1] if method.generator else result


# --- targets ------------------------------------------------------------------------------------

TARGETS = {  # how class 1 is given
    "a number": 1,
    "a label": "zebra",
    "a label in capitals": "ZEBRA",
    "a part of a label": "zeb",
    "digits": "1",
    "a list": [1],
    "a tuple of a label": ("zebra",),
    "a tensor": torch.tensor(1),
    "a tensor of one": torch.tensor([1]),
    "an int32 tensor": torch.tensor([1], dtype=torch.int32),
    "a number of numpy": np.int64(1),
    "an array": np.array([1]),
    "a one-hot list": [0, 1, 0, 0, 0],
    "a one-hot tensor": torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0]),
    "a one-hot row": torch.tensor([[False, True, False, False, False]]),
}


@pytest.mark.parametrize("given", TARGETS.values(), ids=TARGETS)
def test_a_class_is_read_however_it_is_given(model, given):
    leaf = picture().requires_grad_()
    logit = net().eval()((leaf - 0.5) / 0.25)[0, 1]
    expected = torch.autograd.grad(logit, leaf)[0]
    found = featvis.saliency(model, picture(), given)
    torch.testing.assert_close(found.values, expected)
    assert found.target == "zebra"


REFUSED = {
    "a float": (1.5, "a class number"),
    "a truth": (True, "a class number"),
    "nothing of it": ("lion", "no class 'lion'"),
    "beyond": (5, "classes go from 0 to 4"),
    "negative": (-1, "classes go from 0 to 4"),
    "an empty list": ([], "empty list"),
    "all zeros": ([0, 0, 0, 0, 0], "a 0 for every class"),
    "a list in a list": ([[1], [2]], "a list of targets holds classes"),
    "contrasts in a list": ([Contrast(1, 2), Contrast(2, 3)], "no contrasts"),
    "a dictionary": ({"zebra": 1}, "a class number"),
    "beyond 64 bits": (2**70, "classes go from 0 to 4"),
}


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("name", ["saliency", "cam", "occlusion"])
def test_what_is_no_class_is_refused_in_a_sentence(model, name, given, words):
    with pytest.raises(WrongRequest, match=re.escape(words)) as refusal:
        run(name, model, picture(), given)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("name", WITH_TARGET)
def test_several_classes_give_a_map_each(model, name):
    if name == "deepdream":
        return  # of a layer here
    several = run(name, model, picture(), ["zebra", 3])
    for row, target in enumerate((1, 3)):
        alone = run(name, model, picture(), target)
        torch.testing.assert_close(several.values[row], alone.values[0], atol=1e-5, rtol=1e-3)
    assert several.target == "zebra, tower"


def test_a_multi_hot_row_is_several_classes(model):
    rows = featvis.saliency(model, picture(), torch.tensor([0, 1, 0, 1, 0])).values
    assert len(rows) == 2


def test_a_class_for_each_picture_stays_that(model):
    found = featvis.saliency(model, picture(2), [1, 3]).values
    for row, target in enumerate((1, 3)):
        alone = featvis.saliency(model, picture(2)[row : row + 1], target).values
        torch.testing.assert_close(found[row : row + 1], alone)


@pytest.mark.parametrize("labels", [(), LABELS])
@pytest.mark.parametrize("preset", ["Fourier + robust", "raw gradient"])
def test_a_class_without_a_label_is_obeyed(labels, preset):
    model = wrapped(labels=labels)
    made = [
        list(featvis.maximize(model, target, steps=4, size=32, preset=preset))[-1].values
        for target in (1, 4, "4")
    ]
    assert not torch.equal(made[0], made[1])
    assert torch.equal(made[1], made[2])
    dreams = [
        list(featvis.deepdream(model, picture(), target=target, steps=2))[-1].values
        for target in (0, 3)
    ]
    assert not torch.equal(*dreams)
    with pytest.raises(WrongRequest, match="classes go from 0 to 4"):
        list(featvis.maximize(model, 9, steps=2))


# --- layers and neurons -------------------------------------------------------------------------


def test_a_module_is_a_layer():
    module = net()
    model = wrapped(module)
    for layer, name in ((module.stage2, "stage2"), (module.stage1[0], "stage1.0")):
        by_module = featvis.grad_cam(model, picture(), 1, layer)
        assert by_module.layer == name
        torch.testing.assert_close(
            by_module.values, featvis.grad_cam(model, picture(), 1, name).values
        )
    both = featvis.grad_cam(model, picture(), 1, [module.stage1, "stage2"])
    assert both.values.isfinite().all()


SUBJECTS = {
    "a module of another network": ({"layer": nn.ReLU()}, "no module of mine"),
    "a module without a map": ({"layer": "fc module"}, "no layer 'fc'"),
    "a number as layer": ({"layer": 3}, "the name of a module"),
    "a layer that is not there": ({"layer": "stage9"}, "the nearest are"),
    "a channel in words": ({"layer": "stage2", "channel": "first"}, "a channel number"),
    "a channel beyond": ({"layer": "stage2", "channel": 12}, "channels go from 0 to 11"),
    "half a channel": ({"layer": "stage2", "channel": 1.5}, "a channel number"),
    "half a position": ({"layer": "stage2", "channel": 1, "position": 3}, "a row and a column"),
    "a position beyond": ({"layer": "stage2", "channel": 1, "position": (9, 0)}, "rows go from"),
}


@pytest.mark.parametrize(("given", "words"), SUBJECTS.values(), ids=SUBJECTS)
def test_a_wrong_neuron_is_refused_in_a_sentence(given, words):
    module = net()
    given = {**given, "layer": module.fc if given["layer"] == "fc module" else given["layer"]}
    with pytest.raises(WrongRequest, match=re.escape(words)):
        featvis.saliency(wrapped(module), picture(), **given)


@pytest.mark.parametrize(
    ("channel", "position"),
    [("3", "2,4"), (np.int32(3), [2, 4]), (torch.tensor(3), torch.tensor([2, 4])), (3, (2, 4))],
)
def test_a_neuron_is_read_however_it_is_given(model, channel, position):
    found = featvis.saliency(model, picture(), layer="stage2", channel=channel, position=position)
    leaf = picture().requires_grad_()
    module = net().eval()
    unit = module.stage2(module.stage1((leaf - 0.5) / 0.25))[0, 3, 2, 4]
    torch.testing.assert_close(found.values, torch.autograd.grad(unit, leaf)[0])


# --- pictures -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene():
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    return PIL.Image.fromarray(pixels)


def pictures_of(scene, folder):
    array = np.asarray(scene)
    path = folder / "scene.png"
    scene.save(path)
    return {
        "PIL": scene,
        "a path": path,
        "a path as text": str(path),
        "bytes": path.read_bytes(),
        "an array": array,
        "an array of numbers": array / 255,
        "an array with channels first": array.transpose(2, 0, 1),
        "a list": [scene],
    }


@pytest.mark.parametrize(
    "kind",
    [
        "PIL", "a path", "a path as text", "bytes", "an array", "an array of numbers",
        "an array with channels first", "a list",
    ],
)  # fmt: skip
def test_a_picture_is_read_however_it_is_given(model, scene, tmp_path, kind):
    expected = featvis.saliency(model, zoo_adapters.read_image(scene, model), 1).values
    found = featvis.saliency(model, pictures_of(scene, tmp_path)[kind], 1).values
    torch.testing.assert_close(found, expected)


def test_pictures_in_a_list_and_a_single_tensor_are_read(model, scene):
    assert featvis.saliency(model, [scene, scene, scene], 1).values.shape[0] == 3
    torch.testing.assert_close(
        featvis.saliency(model, picture()[0], 1).values,
        featvis.saliency(model, picture(), 1).values,
    )


def test_a_gray_array_and_a_mask_are_read(model):
    gray = np.linspace(0, 1, 60 * 80).reshape(60, 80)
    for array in (gray, gray[..., None], gray > 0.5, (gray * 255).astype(np.uint8)):
        values = model.read(array).values
        torch.testing.assert_close(values[:, 0], values[:, 2])


BAD_PICTURES = {
    "a path that is not there": ("nowhere.png", "no file"),
    "NaN": (torch.full((1, 3, *SIZE), float("nan")), "no finite numbers"),
    "infinite": (torch.full((1, 3, *SIZE), float("inf")), "no finite numbers"),
    "bytes of a tensor": (torch.zeros(1, 3, *SIZE, dtype=torch.uint8), "divide it by 255"),
    "two axes": (torch.zeros(*SIZE), "(B, 3, H, W)"),
    "four bands": (torch.zeros(1, 4, *SIZE), "pictures of 3 bands, not of 4"),
    "numbers to 255 in an array": (np.full((60, 80, 3), 200.0), "divide it by 255"),
    "an array of negative numbers": (np.full((60, 80, 3), -1.0), "values in [0, 1]"),
    "an array of integers": (np.zeros((60, 80, 3), np.int64), "bytes or numbers in [0, 1]"),
    "an array of a wrong shape": (np.zeros((60, 80, 7)), "has the shape"),
    "a number": (3, "not a picture"),
}


@pytest.mark.parametrize(("given", "words"), BAD_PICTURES.values(), ids=BAD_PICTURES)
def test_what_is_no_picture_is_refused_in_a_sentence(model, given, words):
    with pytest.raises(WrongRequest, match=re.escape(words)) as refusal:
        featvis.saliency(model, given, 1)
    assert len(str(refusal.value)) < 300


NOTED = {
    "0 to 255": (lambda x: 255 * x, "divide it by 255"),
    "normalized": (lambda x: (x - 0.45) / 0.22, "normalized already"),
    "-1 to 1": (lambda x: 2 * x - 1, "normalized already"),
}


@pytest.mark.parametrize(("change", "words"), NOTED.values(), ids=NOTED)
@pytest.mark.parametrize("name", ["saliency", "cam", "feature_maps", "deepdream"])
def test_a_picture_of_another_range_is_noted(model, name, change, words):
    how = {"image": change(picture())}
    if name in ("feature_maps", "deepdream"):
        how["layer"] = "stage2"
    result = METHODS[name].run(model, **how, **({"steps": 2} if name == "deepdream" else {}))
    result = list(result)[-1] if METHODS[name].generator else result
    assert any(words in note for note in result.notes)
    clean = featvis.saliency(model, picture(), 1)
    assert not any("expected" in note for note in clean.notes)


# --- networks and parameters --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: net(), "zoo_adapters.wrap(module)"),
        (lambda: "timm:resnet18", "zoo_adapters.load('timm:resnet18')"),
        (lambda: None, "zoo_adapters.load and zoo_adapters.wrap"),
    ],
    ids=["a module", "a name", "nothing"],
)
def test_what_is_no_record_is_refused_with_the_remedy(given, words):
    with pytest.raises(WrongRequest, match=re.escape(words)):
        featvis.saliency(given(), picture(), 1)


@pytest.mark.parametrize(
    ("name", "how", "words"),
    [
        ("smoothgrad", {"samples": 0}, "samples is a whole number from"),
        ("maximize", {"steps": 0}, "steps is a whole number from"),
        ("maximize", {"size": (64, 128)}, "size is a whole number"),
        ("maximize", {"preset": "best"}, "preset is one of"),
        ("deepdream", {"steps": "many"}, "steps is a whole number"),
        ("grad_cam", {"stages": 2.5}, "stages is a whole number"),
    ],
)
def test_parameters_are_checked_as_on_the_command_line(model, name, how, words):
    subject = {} if name == "maximize" else {"image": picture()}
    run = METHODS[name].run
    with pytest.raises(WrongRequest, match=re.escape(words)):
        list(run(model, **subject, target=1, **how))


def test_parameters_as_text_are_read(model):
    by_text = featvis.smoothgrad(model, picture(), 1, samples="3")
    torch.testing.assert_close(
        by_text.values, featvis.smoothgrad(model, picture(), 1, samples=3).values
    )


# --- wrap ---------------------------------------------------------------------------------------

LABELINGS = {
    "a list": lambda folder: list("abcde"),
    "a mapping": lambda folder: dict(enumerate("abcde")),
    "a mapping in disorder": lambda folder: {4: "e", 0: "a", 2: "c", 1: "b", 3: "d"},
    "numbers as text": lambda folder: {str(n): c for n, c in enumerate("abcde")},
    "label2id": lambda folder: {c: n for n, c in enumerate("abcde")},
    "a text file": lambda folder: _written(folder / "l.txt", "a\nb\nc\nd\ne\n"),
    "a text file with blank lines": lambda folder: _written(folder / "l.txt", "a\n\nb\nc\nd\ne"),
    "a JSON list": lambda folder: _written(folder / "l.json", json.dumps(list("abcde"))),
    "a JSON mapping": lambda folder: str(
        _written(folder / "l.json", json.dumps(dict(enumerate("abcde"))))
    ),
}


def _written(path, text):
    path.write_text(text, "utf8")
    return path


@pytest.mark.parametrize("kind", LABELINGS)
def test_labels_are_read_however_they_are_given(tmp_path, kind):
    model = wrapped(labels=LABELINGS[kind](tmp_path))
    assert model.labels == tuple("abcde")
    assert featvis.saliency(model, picture(), "b").target == "b"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"labels": ("too", "few")}, "has 5 outputs but 2 labels"),
        ({"labels": {0: "a", 2: "b"}}, "none for class 1"),
        ({"labels": {"a": "b"}}, "map the number of a class"),
        ({"labels": (1, 2, 3, 4, 5)}, "a label is a text"),
        ({"labels": "nowhere.txt"}, "cannot be read"),
        ({"size": "large"}, "size=(224, 224)"),
        ({"size": 0}, "size=(224, 224)"),
        ({"size": None}, "size=(224, 224)"),
        ({"size": (32, 40, 3)}, "size=(224, 224)"),
        ({"mean": None}, "often ImageNet's"),
        ({"std": 0}, "all positive"),
        ({"std": (0.2, -0.1, 0.2)}, "all positive"),
        ({"mean": (0.5, 0.5)}, "takes (B, 2, H, W)"),
        ({"mean": "imagenet"}, "one number or three numbers"),
        ({"mean": float("nan")}, "one number or three numbers"),
    ],
)
def test_wrong_facts_are_refused_in_a_sentence(how, words):
    with pytest.raises(WrongRequest, match=re.escape(words)) as refusal:
        wrapped(**how)
    assert len(str(refusal.value)) < 300


def test_numbers_stand_for_all_bands_and_sides():
    model = zoo_adapters.wrap(net(), mean=0.5, std=0.25, size=32)
    assert model.size == (32, 32)
    assert model.mean.flatten().tolist() == [0.5] * 3
    assert model.name == "Net"


def test_what_is_no_module_is_refused():
    with pytest.raises(WrongRequest, match=r"takes a torch\.nn\.Module, not str"):
        zoo_adapters.wrap("timm:resnet18")


def timm_network(**how):
    import timm

    return timm.create_model("test_resnet", pretrained=False, **how)


def transformers_network():
    import transformers

    config = transformers.ResNetConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 8, 8], embedding_size=8,
        id2label={0: "ant", 1: "bee", 2: "cat"},
    )  # fmt: skip
    return transformers.ResNetForImageClassification(config)


def tower():
    import transformers

    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=64,
    )  # fmt: skip
    return transformers.ViTModel(config)


CARRYING = {
    "timm": (timm_network, (160, 160), 0.5, 1000),
    "timm, other classes": (lambda: timm_network(num_classes=7), (160, 160), 0.5, 0),
    "timm, one band": (lambda: timm_network(in_chans=1), (160, 160), 0.5, 1000),
    "timm, features": (lambda: timm_network(num_classes=0), (160, 160), 0.5, 0),
    "transformers": (transformers_network, (224, 224), 0.5, 3),
    "a tower of transformers": (tower, (64, 64), 0.5, 0),
}


@pytest.mark.parametrize("kind", CARRYING)
def test_facts_that_a_module_carries_need_not_be_said(kind):
    make, size, mean, labels = CARRYING[kind]
    model = zoo_adapters.wrap(make())
    assert model.size == size
    assert float(model.mean[0]) == pytest.approx(mean, abs=1e-3)
    assert len(model.labels) == labels
    assert zoo_adapters.wrap(make(), size=96 if "tower" not in kind else 64, mean=0.1).mean[0] == (
        pytest.approx(0.1)
    )
