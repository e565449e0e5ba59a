"""Your own module that returns more than its scores: which tensor holds them.

The right values come from the same network, returning that tensor alone.
"""

from __future__ import annotations

import re
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from transformers.modeling_outputs import ImageClassifierOutput

import featvis
from featvis import WrongRequest
from tests.support.own import close, own, pictures, plain

LABELS = ("cat", "dog", "cow", "hen")
Pair = namedtuple("Pair", "embedding classes")


@dataclass
class Record:
    hidden: torch.Tensor
    score: torch.Tensor


def circle(p):
    record = SimpleNamespace(x=p.e, y=p.z)
    record.itself = {"record": record}
    return record


CONTAINERS = {  # name: what the network gives, the part that holds its scores
    "logits of a dict": (lambda p: {"features": p.e, "logits": p.z}, "z"),
    "last of a dict": (lambda p: OrderedDict(emb=p.e, cls=p.z), "z"),
    "numbered dict": (lambda p: {0: p.e, 1: p.z}, "z"),
    "features, logits": (lambda p: (p.e, p.z), "z"),
    "logits, features": (lambda p: (p.z, p.e), "z"),
    "map, logits": (lambda p: [p.m, p.z], "z"),
    "list of one": (lambda p: [p.z], "z"),
    "named tuple": (lambda p: Pair(p.e, p.z), "z"),
    "dataclass": (lambda p: Record(p.e, p.z), "z"),
    "record": (lambda p: SimpleNamespace(x=p.e, y=p.z), "z"),
    "circle": (circle, "z"),
    "ModelOutput": (lambda p: ImageClassifierOutput(logits=p.z, hidden_states=(p.m,)), "z"),
    "nested": (lambda p: {"aux": p.a, "main": {"logits": p.z}}, "z"),
    "map beside": (lambda p: {"out": p.m, "cls": p.z}, "z"),
    "auxiliary named": (lambda p: {"aux_logits": p.a, "logits": p.z}, "z"),
    "statistic": (lambda p: (p.z, p.z.softmax(1).amax(1)), "z"),
    "deep supervision": (lambda p: [p.a, p.z], "a"),
    "probabilities beside": (lambda p: {"logits": p.z, "probs": p.z.softmax(1)}, "z"),
    "sigmoid in a dict": (lambda p: {"emb": p.e, "probs": p.z.sigmoid()}, "z"),
}
CHOSEN = {  # what the network gives, the output= asked for, the part that it means
    "name": (lambda p: {"logits": p.z, "aux": p.a}, "aux", "a"),
    "index": (lambda p: (p.z, p.a), 1, "a"),
    "from the end": (lambda p: (p.e, p.z, p.a), -2, "z"),
    "path": (lambda p: {"aux": [p.e, p.a], "out": p.z}, "aux.1", "a"),
    "function": (lambda p: (p.z, {"b": p.a}), lambda raw: raw[1]["b"], "a"),
    "field": (lambda p: Record(p.z, p.a), "hidden", "z"),
    "final": (lambda p: (p.z, p.a.sigmoid()), 1, "a"),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_scores_are_found_in_any_container(name):
    ending, part = CONTAINERS[name]
    model, same, x = own(ending), plain(part), pictures()
    close(model(x), same(x))
    close(featvis.cam(model, x).values, featvis.cam(same, x).values)
    close(featvis.grad_cam(model, x).values, featvis.grad_cam(same, x).values)
    close(featvis.record(model, x, "trunk.2"), featvis.record(same, x, "trunk.2"))


@pytest.mark.parametrize("name", CHOSEN)
def test_another_output_can_be_chosen(name):
    ending, key, part = CHOSEN[name]
    model, same, x = own(ending, output=key), plain(part), pictures()
    close(model(x), same(x))
    close(featvis.cam(model, x).values, featvis.cam(same, x).values)


@pytest.mark.parametrize(
    ("ending", "how", "words"),
    [
        (lambda p: (p.z, p.a), {}, r"output 0 \(B, 4\) is taken .* another: 1 \(B, 4\)"),
        (lambda p: [p.z[:, :3], p.a, p.e], {"labels": LABELS}, "^$"),
        (lambda p: {"b": p.a, "c": p.z}, {}, r"output b \(B, 4\) is taken .*: c \(B, 4\)"),
        (lambda p: (p.e, p.z[:, 0]), {}, r"output 1 \(B,\) is taken .*: 0 \(B, 12\)"),
        (
            lambda p: (p.e, p.z[:, 0].sigmoid()),
            {},
            r"before the final sigmoid; output 1 \(B,\) is taken .*: 0 \(B, 12\)",
        ),
        (lambda p: (p.e, p.z), {"embeds": True}, r"output 0 \(B, 12\) is taken .*: 1 \(B, 4\)"),
        (lambda p: {"features": p.e, "y": p.z}, {"embeds": True}, "^$"),
    ],
)
def test_a_choice_among_several_is_told(ending, how, words):
    assert re.search(words, own(ending, **how).output.meaning)


def test_labels_decide_where_their_number_does():
    model = own(lambda p: [p.z[:, :3], p.a, p.e], labels=LABELS)
    close(model(pictures()), plain("a")(pictures()))


NOT_CHOSEN = {  # what the network gives, the output= asked for, what is said
    "no such name": (lambda p: {"logits": p.z, "aux": p.a}, "head", r"no output 'head'; .*aux \("),
    "no such index": (lambda p: (p.z, p.a), 5, r"no output 5; it gives 0 \(2, 4\), 1 \(2, 4\)"),
    "no index": (lambda p: p.z, 1, r"no output 1; it gives \(2, 4\)"),
    "function fails": (lambda p: (p.z,), lambda raw: raw["z"], r"output= of mine fails: .*0 \("),
    "no tensor": (lambda p: (p.z,), lambda raw: 3, "returns a int; it should return a tensor"),
    "numbers of classes": (lambda p: p.z, lambda raw: raw.argmax(1), r"\(B,\) of int64"),
    "one for all": (lambda p: p.z, lambda raw: raw.mean(0), r"chooses \(4,\), which has no row"),
}


@pytest.mark.parametrize("name", NOT_CHOSEN)
def test_an_output_that_cannot_be_chosen_is_refused(name):
    ending, key, words = NOT_CHOSEN[name]
    with pytest.raises(WrongRequest, match=words):
        own(ending, output=key)


NOTHING = {  # what the network gives, how it is described
    "detector": (lambda p: [{"boxes": p.e[:1], "scores": p.e[0, :3]} for _ in p.z],
                 r"0\.boxes \(1, 12\), 0\.scores \(3,\), 1\.boxes"),
    "nothing": (lambda p: None, "no tensor"),
    "text": (lambda p: "a cat", "no tensor"),
    "classes": (lambda p: p.z.argmax(1), r"\(B,\) of int64"),
    "one for all": (lambda p: p.z.sum(), r"but \(\)"),
    "turned": (lambda p: p.z.t(), r"\(4, 2\)"),
    "no columns": (lambda p: p.z[:, :0], r"\(B, 0\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_a_network_without_scores_keeps_its_layers(name):
    ending, words = NOTHING[name]
    model, x = own(ending), pictures(2)
    assert model.head is None
    assert re.search(words, model.head_reason)
    assert featvis.saliency(model, x, layer="trunk.2", channel=1).values.abs().max() > 0
    for refused in (lambda: model(x), lambda: featvis.saliency(model, x)):
        with pytest.raises(WrongRequest, match=words) as refusal:
            refused()
        assert "output=" in str(refusal.value)
    if name == "turned":  # what it says can be followed
        close(own(ending, output=lambda raw: raw.t())(x), plain()(x))
