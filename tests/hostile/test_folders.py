"""Folders of networks by strangers: each field of each file wrong in every way, one sentence each.

The tables are generated: every field that is known, and every one that the libraries write, has
each value below. A folder then loads, or it is refused in one line that names file and field.
A test takes a fourth of the values for each field, another fourth for the next, so that each value
meets each fourth field; with HOSTILE_ALL=1 every value meets every field.
"""

from __future__ import annotations

import json
import os

import pytest
import safetensors.torch
import timm
import torch

import zoo_adapters
from featvis.model import WrongRequest
from zoo_adapters import fields, weights

transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")

STRIDE = 1 if os.environ.get("HOSTILE_ALL") else 4
NOTHING = object()  # the field is left out
VALUES = {
    "null": None, "true": True, "a list": [], "of lists": [[[]]], "a table": {},
    "of text": {"a": "b"}, "text": "abc", "no text": "", "a number as text": "224",
    "surrogate": "\ud800", "NUL": "a\0b",
    "a path": "../../../etc/passwd", "an address": "https://127.0.0.1:9/x", "long": "a" * 100_000,
    "negative": -5, "zero": 0, "fraction": 0.5, "huge": 10**9, "more than 64 bits": 10**40,
    "infinite": float("inf"), "NaN": float("nan"), "two": [224, 224], "four": [1, 2, 3, 4],
    "of texts": ["a", "b", "c"], "negative three": [-1, -1, -1], "huge three": [3, 10**9, 10**9],
    "no three": [0, 0, 0], "infinite three": [float("inf")] * 3, "nulls": [None] * 3,
    "keys": {"x": "a"}, "many": {"999999999999": "a"}, "no labels": {"0": None, "1": 3},
    "sides": {"height": 0, "width": 10**9}, "one side": {"shortest_edge": 10**9},
    "left out": NOTHING,
}  # fmt: skip
FEW = ("null", "a table", "text", "a path", "huge", "infinite", "of texts", "surrogate")
# Fields that the libraries read, beside those that are known here.
OF_TIMM = (
    "model_args.img_size", "model_args.in_chans", "model_args.layers", "model_args.num_classes",
    "model_args.checkpoint_path", "model_args.pretrained_cfg_overlay", "model_args.act_layer",
    "global_pool", "file", "pretrained_cfg.file", "pretrained_cfg.url", "pretrained_cfg.source",
    "pretrained_cfg.state_dict", "pretrained_cfg.custom_load", "pretrained_cfg.hf_hub_id",
    "measured", "unknown",
)  # fmt: skip
OF_TRANSFORMERS = (
    "hidden_sizes", "depths", "embedding_size", "hidden_act", "layer_type", "out_features", "dtype",
    "attn_implementation", "_attn_implementation", "auto_map", "_name_or_path", "unknown",
)  # fmt: skip
TOP = ("architecture", "num_classes", "num_features", "model_args", "pretrained_cfg")


@pytest.fixture(scope="module")
def of_timm(tmp_path_factory):
    """A small folder of timm, and what its config.json tells."""
    path = tmp_path_factory.mktemp("timm")
    net = timm.create_model("test_resnet", num_classes=3)
    safetensors.torch.save_file(net.state_dict(), path / "model.safetensors")
    cfg = {**net.pretrained_cfg, "num_classes": 3, "label_names": ["a", "b", "c"]}
    cfg = {name: value for name, value in cfg.items() if name in fields.TIMM}
    table = {"architecture": "test_resnet", "model_args": {}, "num_classes": 3}
    return path, {**table, "pretrained_cfg": {**cfg, "input_size": [3, 32, 32]}}


@pytest.fixture(scope="module")
def of_transformers(tmp_path_factory):
    """A small folder of transformers, its config.json and its preprocessor_config.json."""
    path = tmp_path_factory.mktemp("transformers")
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], id2label={0: "a", 1: "b"}
    )
    transformers.ResNetForImageClassification(config).save_pretrained(path)
    processor = {"size": {"height": 64, "width": 64}, "image_mean": [0.5] * 3, "do_resize": True,
                 "image_std": [0.5] * 3, "do_normalize": True, "do_center_crop": False}  # fmt: skip
    return path, json.loads((path / "config.json").read_text()), processor


def with_field(table, name, value):
    """The same with one field, of a table within it where the name has a dot, changed."""
    outer, _, inner = name.partition(".")
    if inner:
        return {**table, outer: with_field(table.get(outer, {}), inner, value)}
    result = {**table, name: value}
    if value is NOTHING:
        result.pop(name)
    return result


def answer(name):
    """The sentence about a folder, as it is described and loaded: "" where it loads."""
    sentence = ""
    for ask in (zoo_adapters.describe, zoo_adapters.load):
        try:
            ask(name)
        except WrongRequest as error:
            sentence = str(error)
            assert "\n" not in sentence
            assert len(sentence) < 1000, sentence
            assert "Traceback" not in sentence
    return sentence


def names_file(sentence):
    """Does it name the file, or the network that a library could not build of it?"""
    return "config.json" in sentence or "cannot be built" in sentence


def write(path, file, table):
    (path / file).write_text(json.dumps(table), encoding="utf-8")


def values_of(field, known, others=()):
    """The values for a field that is checked here, of a few for one that a library checks."""
    kinds = tuple(VALUES) if field in known else FEW
    first = [*known, *others].index(field) % STRIDE
    return [(kind, VALUES[kind]) for kind in kinds[first::STRIDE]]


@pytest.mark.parametrize("known", [fields.TIMM, fields.TRANSFORMERS, fields.PROCESSOR])
def test_every_value_is_tried_on_some_field(known):
    assert {kind for field in known for kind, _ in values_of(field, known)} == set(VALUES)


@pytest.mark.parametrize("field", [*fields.TIMM, *OF_TIMM])
def test_each_field_of_timms_configuration(of_timm, field):
    path, table = of_timm
    for kind, value in values_of(field, fields.TIMM, OF_TIMM):
        nested = field if field not in fields.TIMM or field in TOP else f"pretrained_cfg.{field}"
        write(path, "config.json", with_field(table, nested, value))
        sentence = answer(f"timm:local-dir:{path}")
        assert not sentence or names_file(sentence), (kind, sentence)
        if sentence and field in fields.TIMM:
            assert field in sentence or "cannot be" in sentence, (kind, sentence)
    write(path, "config.json", table)
    assert not answer(f"timm:local-dir:{path}")


@pytest.mark.parametrize("field", [*fields.TRANSFORMERS, *OF_TRANSFORMERS])
def test_each_field_of_a_configuration_of_transformers(of_transformers, field):
    path, table, _ = of_transformers
    for kind, value in values_of(field, fields.TRANSFORMERS, OF_TRANSFORMERS):
        write(path, "config.json", with_field(table, field, value))
        sentence = answer(f"transformers:local-dir:{path}")
        assert not sentence or names_file(sentence), (kind, sentence)
        if sentence and field in fields.TRANSFORMERS:
            assert field in sentence or "cannot be" in sentence or "lab" in sentence, (
                kind,
                sentence,
            )
    write(path, "config.json", table)


@pytest.mark.parametrize("field", fields.PROCESSOR)
def test_each_field_of_a_processor(of_transformers, field):
    path, table, processor = of_transformers
    write(path, "config.json", table)
    for kind, value in values_of(field, fields.PROCESSOR):
        write(path, "preprocessor_config.json", with_field(processor, field, value))
        sentence = answer(f"transformers:local-dir:{path}")
        assert not sentence or "preprocessor_config.json" in sentence, (kind, sentence)
    write(path, "preprocessor_config.json", processor)


# --- the files themselves -------------------------------------------------------------------------


def pipe(path):
    os.mkfifo(path)


FILES = {
    "missing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a pipe": pipe,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.with_name("whole").read_bytes()[:-5]),
    "a byte order mark": lambda path: path.write_text(whole(path), "utf-8-sig"),
    "UTF-16": lambda path: path.write_text(whole(path), "utf-16"),
    "Latin-1": lambda path: path.write_bytes(b'{"architecture": "caf\xe9"}'),
    "large": lambda path: path.write_bytes(b" " * 17_000_000 + b"{}"),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "deep within": lambda path: path.write_text(
        whole(path)[:-1] + ', "x": ' + "[" * 900 + "]" * 900 + "}"
    ),
    "digits": lambda path: path.write_text(f'{{"num_classes": {"9" * 5000}}}'),
    "a list": lambda path: path.write_text("[1, 2]"),
    "NaN": lambda path: path.write_text(whole(path)[:-1] + ', "x": NaN}'),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
}  # fmt: skip


def whole(path):
    return path.with_name("whole").read_text("utf8")


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
def test_an_unreadable_file_is_refused(of_transformers, of_timm, tmp_path, kind, file):
    if kind == "a pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes")
    path, table, processor = of_transformers
    zoo, table = ("transformers", table) if "pre" in file else ("timm", of_timm[1])
    write(tmp_path, "whole", processor if "pre" in file else table)
    write(tmp_path, "config.json", table)
    source = path if "pre" in file else of_timm[0]
    (tmp_path / "model.safetensors").symlink_to(source / "model.safetensors")
    (tmp_path / file).unlink(missing_ok=True)
    FILES[kind](tmp_path / file)
    sentence = answer(f"{zoo}:local-dir:{tmp_path}")
    absent = kind in ("missing", "a dangling link") and "pre" in file
    assert file in sentence or absent, sentence


def test_a_field_twice_is_the_last_of_both(of_timm, tmp_path):
    path, table = of_timm
    write(path, "config.json", table)
    text = (path / "config.json").read_text("utf8")
    (tmp_path / "config.json").write_text(text[:-1] + ', "num_classes": -1}')
    assert "num_classes" in answer(f"timm:local-dir:{tmp_path}")


# --- weights --------------------------------------------------------------------------------------

WEIGHTS = {
    "empty": b"",
    "foreign": b"PK\x03\x04" + b"\0" * 100,
    "a long header": (2**62).to_bytes(8, "little") + b"{}",
    "a header of no JSON": (4).to_bytes(8, "little") + b"{{{{",
    "no tensor": safetensors.torch.save({}),
    "other tensors": safetensors.torch.save({"x": torch.zeros(3)}),
}


@pytest.mark.parametrize("zoo", ["timm", "transformers"])
@pytest.mark.parametrize("kind", [*WEIGHTS, "cut", "of other shapes", "a pipe", "a folder"])
def test_unreadable_weights_are_refused(of_timm, of_transformers, tmp_path, zoo, kind):
    path, table = of_timm if zoo == "timm" else of_transformers[:2]
    write(tmp_path, "config.json", table)
    data, file = (path / "model.safetensors").read_bytes(), tmp_path / "model.safetensors"
    if kind == "a pipe":
        os.mkfifo(file)
    elif kind == "a folder":
        file.mkdir()
    elif kind == "of other shapes":
        odd = {name: value[..., None] for name, value in safetensors.torch.load(data).items()}
        file.write_bytes(safetensors.torch.save(odd))
    else:
        file.write_bytes(data[:-100] if kind == "cut" else WEIGHTS[kind])
    assert answer(f"{zoo}:local-dir:{tmp_path}")


@pytest.mark.parametrize("zoo", ["timm", "transformers"])
def test_a_network_that_does_not_fit_is_refused_before_it_is_made(
    of_timm, of_transformers, tmp_path, zoo, monkeypatch
):
    monkeypatch.setattr(weights, "memory", lambda: 10**6)
    path, table = of_timm if zoo == "timm" else of_transformers[:2]
    wide = {"num_classes": 10**5} if zoo == "timm" else {"embedding_size": 10**5}
    write(tmp_path, "config.json", {**table, **wide})
    (tmp_path / "model.safetensors").symlink_to(path / "model.safetensors")
    assert "GB of memory" in answer(f"{zoo}:local-dir:{tmp_path}")


def test_an_adapter_does_not_lead_to_the_network_that_it_names(of_transformers, tmp_path):
    path, table, _ = of_transformers
    write(tmp_path, "config.json", table)
    write(tmp_path, "adapter_config.json", {"base_model_name_or_path": str(path)})
    (tmp_path / "model.safetensors").symlink_to(path / "model.safetensors")
    assert "adapter" in answer(f"transformers:local-dir:{tmp_path}")
