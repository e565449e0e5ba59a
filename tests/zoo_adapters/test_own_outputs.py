"""Your own module with a final activation: the values before it are explained.

The right values come from the same network without its ending.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import featvis
from featvis import METHODS, Classes, WrongRequest
from tests.support.own import Net, close, own, pictures, plain

SHORT = {
    "steps": 2,
    "samples": 2,
    "size": 16,
    "masks": 4,
    "octaves": 1,
    "window": 0.3,
    "stride": 12,
}


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
    "strongest place": (lambda p: p.m.sigmoid().amax((2, 3)), True),
    "noisy or": (lambda p: 1 - (1 - 0.1 * p.m.sigmoid()).prod(3).prod(2), True),
    "picture by picture": (lambda p: torch.stack([row.sigmoid() for row in p.z]), True),
    "percent": (lambda p: 100 * p.z.softmax(1), False),
    "rating": (lambda p: 1 + 4 * p.z.sigmoid(), False),
    "logarithms of each task": (
        lambda p: torch.cat([p.z[:, :2].log_softmax(1), p.z[:, 2:].log_softmax(1)], 1), False),
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


ORDINARY = {  # scores that no activation ends: nothing is left out
    "as they are": lambda p: p.z,
    "offset": lambda p: p.z - 1,
    "difference": lambda p: p.z - p.a,
    "centered": lambda p: p.z - p.z.mean(1, keepdim=True),
    "temperature": lambda p: p.z / 0.5,
    "ratio": lambda p: p.z / p.a.square().sum(1, keepdim=True),
    "limited": lambda p: p.z.clamp(-0.5, 0.5),
    "soft cap": lambda p: 5 * torch.tanh(p.z / 5),
    "gated": lambda p: p.z * p.a.sigmoid(),
    "cosine": lambda p: F.normalize(p.z, dim=1) * torch.tensor(3.0).exp(),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_scores_stay_as_they_are(name):
    ending = ORDINARY[name]
    model, x = own(ending), pictures()
    z = Net(ending).eval()(model.normalize(x)).detach()
    close(model(x), z)
    close(model.probabilities(x), soft(z))
    assert model.output.meaning == ""
    assert "%" in model.output.predict(z[0]).words


def test_a_pass_with_other_activations_is_refused():
    def ending(p):  # the first sigmoids are as many as there are pictures
        gates = torch.stack([row.sigmoid() for row in p.a])
        return (p.z * gates).sigmoid()

    model, x = own(ending), pictures()
    with pytest.raises(WrongRequest, match=r"its final sigmoid cannot be left out; .*Classes"):
        model(x)
    again = own(ending, output=Classes(final="probability"))  # what it says can be followed
    expected = Net(ending).eval()(again.normalize(x)).detach()
    close(again(x), expected)
    close(again.probabilities(x), expected)
