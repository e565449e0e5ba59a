"""Your own module, whatever it gives: final activations, containers, single scores, maps.

The right values come from the same network without its ending, and from plain autograd.
"""

from __future__ import annotations

import re
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers.modeling_outputs import ImageClassifierOutput

import featvis
import zoo_adapters
from featvis import METHODS, Classes, WrongRequest

MEAN, STD, SIZE = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3), (24, 40)
LABELS = ("cat", "dog", "cow", "hen")
SHORT = {"steps": 2, "samples": 2, "size": 16, "masks": 4, "octaves": 1, "window": 12, "stride": 12}


class Net(nn.Module):
    """Two convolutions, then `ending` of the map m, its average e, and two heads z and a of it."""

    def __init__(self, ending, classes=4):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.trunk = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU()
            )
            self.head, self.other = nn.Linear(12, classes), nn.Linear(12, classes)
            for linear in (self.head, self.other):
                nn.init.normal_(linear.weight, std=2)
        self.ending = ending

    def forward(self, x):
        m = self.trunk(x)
        e = m.mean((2, 3))
        return self.ending(SimpleNamespace(m=m, e=e, z=self.head(e), a=self.other(e)))


def own(ending, classes=4, **how):
    given = {"name": "mine", "mean": MEAN, "std": STD, "size": SIZE, **how}
    return zoo_adapters.wrap(Net(ending, classes), **given)


def plain(part="z", classes=4):
    """The same network, which gives one of its parts as it is."""
    return own(lambda parts: getattr(parts, part), classes)


def pictures(count=3):
    return torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(5))


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def soft(z):
    return z.softmax(1)


ENDINGS = {  # final activation: what the network gives of z, its probabilities, the words
    "sigmoid": (torch.sigmoid, torch.sigmoid, "sigmoid"),
    "in place": (lambda z: z.sigmoid_(), torch.sigmoid, "sigmoid"),
    "expit": (torch.special.expit, torch.sigmoid, "sigmoid"),
    "module": (nn.Sigmoid(), torch.sigmoid, "sigmoid"),
    "heads": (lambda z: torch.cat([c.sigmoid() for c in z.split(1, 1)], 1), torch.sigmoid,
              "sigmoid"),
    "log-sigmoid": (F.logsigmoid, torch.sigmoid, "log-sigmoid"),
    "hard sigmoid": (nn.Hardsigmoid(), F.hardsigmoid, "hard sigmoid"),
    "softmax": (nn.Softmax(1), soft, "softmax"),
    "function": (lambda z: F.softmax(z, dim=-1), soft, "softmax"),
    "of maps": (lambda z: z[:, :, None, None].softmax(1).flatten(1), soft, "softmax"),
    "clamp": (lambda z: z.softmax(1).clamp(1e-7, 1 - 1e-7), soft, "softmax"),
    "by hand": (lambda z: z.exp() / z.exp().sum(1, keepdim=True), soft, "softmax"),
    "stable": (lambda z: F.normalize((z - z.amax(1, keepdim=True)).exp(), p=1, dim=1), soft, ""),
    "exp of log": (lambda z: z.log_softmax(1).exp(), soft, "softmax"),
    "log-softmax": (nn.LogSoftmax(1), soft, "log-softmax"),
    "logarithm": (lambda z: torch.log(z.softmax(1) + 1e-8), soft, "log-softmax"),
    "normalizer": (lambda z: z - z.logsumexp(1, keepdim=True), soft, "log-softmax"),
    "softplus": (nn.Softplus(), None, "softplus"),
    "exponential": (torch.exp, None, "exponential"),
    "tanh": (torch.tanh, None, "tanh"),
}  # fmt: skip
REACHED = [name for name, (_, _, words) in ENDINGS.items() if words]


@pytest.mark.parametrize("name", ENDINGS)
def test_probabilities_are_those_of_the_network(name):
    final, shares, _ = ENDINGS[name]
    model, x = own(lambda parts: final(parts.z)), pictures()
    if shares is None:
        with pytest.raises(WrongRequest, match="mine gives no probabilities"):
            model.probabilities(x)
        assert all(answer.share is None for answer in model.output.predict(model(x)[0]).answers)
        assert "%" not in model.output.predict(model(x)[0]).words
        return
    expected = shares(plain()(x))
    close(model.probabilities(x), expected)
    answers = model.output.predict(model(x)[1]).answers
    assert len(answers) == 4
    close(torch.tensor([a.share for a in answers]), expected[1, [int(a.target) for a in answers]])
    assert [a.share for a in answers] == sorted((a.share for a in answers), reverse=True)


@pytest.mark.parametrize("name", REACHED)
def test_the_value_before_the_final_activation_is_explained(name):
    final, _, words = ENDINGS[name]
    model, same, x = own(lambda parts: final(parts.z)), plain(), pictures()
    close(model(x), same(x))
    assert f"before the final {words}" in model.output.meaning
    assert model.head is not None
    assert model.head.kind == "exact"
    assert "attention" not in model.head_reason
    assert list(model.layers) == list(same.layers)
    close(featvis.cam(model, x).values, featvis.cam(same, x).values)
    close(featvis.saliency(model, x).values, featvis.saliency(same, x).values)
    assert torch.equal(model.module(x), final(same.module(x)))  # the module stays as it is


@pytest.mark.parametrize("name", ["sigmoid", "softmax", "log-softmax", "tanh"])
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_explains_it(name, method):
    model, same, x = own(lambda parts: ENDINGS[name][0](parts.z)), plain(), pictures(1)
    assert method.missing(model) == method.missing(same)
    if method.missing(same):
        return
    subject = {"image": x, "target": None if name == "tanh" else 2}
    if "layer" not in method.optional:
        subject["layer"] = same.last_layer
    known = {param.name for param in method.params}
    how = {key: value for key, value in SHORT.items() if key in known}
    results = []
    for one in (model, same):
        given = {key: value for key, value in subject.items() if key in method.subject}
        result = method.run(one, **given, **how)
        results.append([*result][-1] if method.generator else result)
    close(results[0].values, results[1].values)


UNREACHED = {  # the network's own numbers are explained: are they probabilities?
    "average of softmaxes": (lambda p: (p.z.softmax(1) + p.a.softmax(1)) / 2, True),
    "average of sigmoids": (lambda p: torch.stack([p.z, p.a]).sigmoid().mean(0), True),
    "softmax of each task": (
        lambda p: torch.cat([p.z[:, :2].softmax(1), p.z[:, 2:].softmax(1)], 1), True),
    "two columns": (lambda p: torch.stack([1 - p.z[:, 0].sigmoid(), p.z[:, 0].sigmoid()], 1), True),
    "product": (lambda p: p.z.sigmoid() * p.a.sigmoid(), True),
    "percent": (lambda p: 100 * p.z.softmax(1), False),
    "rating": (lambda p: 1 + 4 * p.z.sigmoid(), False),
    "reciprocal": (lambda p: 1 / (1 + torch.exp(-p.z)), False),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREACHED)
def test_what_is_out_of_reach_is_explained_as_it_is(name):
    ending, shares = UNREACHED[name]
    model, x = own(ending), pictures()
    expected = Net(ending).eval()(model.normalize(x)).detach()
    close(model(x), expected)
    assert model.head is None
    assert "attention" not in model.head_reason
    if shares:
        assert "the scores are probabilities" in model.output.meaning
        close(model.probabilities(x), expected)
    else:
        assert "neither logits nor probabilities" in model.output.meaning
        assert "%" not in model.output.predict(model(x)[0]).words
    assert featvis.saliency(model, x, 1).values.abs().max() > 0


Pair = namedtuple("Pair", "embedding classes")


@dataclass
class Record:
    hidden: torch.Tensor
    score: torch.Tensor


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
        (lambda p: (p.e, p.z), {"embeds": True}, r"output 0 \(B, 12\) is taken .*: 1 \(B, 4\)"),
        (lambda p: {"features": p.e, "y": p.z}, {"embeds": True}, "^$"),
    ],
)
def test_a_choice_among_several_is_told(ending, how, words):
    assert re.search(words, own(ending, **how).output.meaning)


def test_labels_decide_where_their_number_does():
    model = own(lambda p: [p.z[:, :3], p.a, p.e], labels=LABELS)
    close(model(pictures()), plain("a")(pictures()))
