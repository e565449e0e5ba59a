"""Your own module with a single score, many independent ones, or no scores at all.

The right values come from the same network without its ending, and from plain autograd.
"""

from __future__ import annotations

import re

import pytest
import torch

import featvis
from featvis import Classes, Embedding, WrongRequest
from tests.support.own import close, own, pictures, plain

SINGLE = {  # one score of a picture: what the network gives, and the probability of its class
    "(B, 1)": (lambda p: p.z, torch.sigmoid),
    "(B,)": (lambda p: p.z[:, 0], torch.sigmoid),
    "(B, 1, 1, 1)": (lambda p: p.z[:, :, None, None], torch.sigmoid),
    "squeezed": (lambda p: p.z.squeeze(), torch.sigmoid),
    "sigmoid": (lambda p: p.z.sigmoid(), torch.sigmoid),
    "squeezed sigmoid": (lambda p: p.z.sigmoid().squeeze(), torch.sigmoid),
    "log-sigmoid": (lambda p: torch.nn.functional.logsigmoid(p.z[:, 0]), torch.sigmoid),
    "of a dict": (lambda p: {"prob": p.z.sigmoid()}, torch.sigmoid),
    "tanh": (lambda p: p.z.tanh(), None),
}


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_score_has_two_sides(name):
    ending, share = SINGLE[name]
    model, x = own(ending, 1), pictures(4)
    z = own(lambda p: torch.cat([-p.z, p.z], 1), 1)(x)
    assert z[:, 1].min() < 0 < z[:, 1].max()  # both sides are predicted
    close(model(x), z)
    close(model(x[:1]), z[:1])
    assert model.output.count == 2
    for n in range(4):
        predicted = model.output.predict(model(x)[n])
        assert predicted.answers[0].target == str(int(z[n, 1] > 0))
    if share is not None:
        close(model.probabilities(x)[:, 1], share(z[:, 1]))
        close(model.probabilities(x)[:, 0], 1 - share(z[:, 1]))


@pytest.mark.parametrize("name", SINGLE)
def test_a_negative_score_is_explained_by_its_own_side(name):
    model, x = own(SINGLE[name][0], 1), pictures(4)
    sign = own(lambda p: p.z, 1)(x)[:, 1].sign()
    leaf = model.normalize(x).requires_grad_()
    trunk = model.module.trunk(leaf)
    trunk.retain_grad()
    (model.module.head(trunk.mean((2, 3)))[:, 0] * sign).sum().backward()
    weights = trunk.grad.mean((2, 3), keepdim=True)
    expected = (weights * trunk).sum(1).relu().detach()
    close(featvis.grad_cam(model, x, layer="trunk").values, expected)
    assert (expected.flatten(1).amax(1) > 0).sum() >= 3
    shown = featvis.saliency(model, x)
    close(shown.values, leaf.grad / model.std)
    other = featvis.cam(model, x, (sign < 0).long())
    close(other.values, -featvis.cam(model, x).values)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [((), ()), (("scan", "tumor"), ("scan", "tumor")), (("tumor",), ("not tumor", "tumor"))],
)
def test_the_sides_have_labels(labels, expected):
    model = own(lambda p: p.z.sigmoid(), 1, labels=labels)
    assert model.labels == expected
    assert model.output.parse("1") == 1
    if labels:
        assert model.output.parse(expected[0]) == 0
    with pytest.raises(WrongRequest, match="classes go from 0 to 1"):
        featvis.saliency(model, pictures(1), 2)
    with pytest.raises(WrongRequest, match="one output but 3 labels"):
        own(lambda p: p.z, 1, labels=("a", "b", "c"))


FLAT = {
    "(B, K, 1, 1)": lambda p: p.z[:, :, None, None],
    "(B, 1, K)": lambda p: p.z[:, None],
    "(B, 1, 1, K)": lambda p: p.z[:, None, None],
}


@pytest.mark.parametrize("name", FLAT)
def test_axes_of_one_are_dropped(name):
    model, x = own(FLAT[name]), pictures()
    close(model(x), plain()(x))
    close(featvis.cam(model, x).values, featvis.cam(plain(), x).values)


def test_independent_classes_have_their_own_probabilities():
    model, x = own(lambda p: p.z.sigmoid(), labels=("cat", "dog", "cow", "hen")), pictures()
    z = plain()(x)
    for n in range(len(x)):
        words = model.output.predict(model(x)[n]).words
        likely = z[n].argsort(descending=True)[: max(int((z[n] > 0).sum()), 1)]
        expected = [f"{model.labels[k]} {100 * float(z[n, k].sigmoid()):.1f} %" for k in likely]
        assert words == ", ".join(expected)
    with pytest.raises(WrongRequest, match="final is one of sigmoid"):
        Classes(final="softmaxx")
    told = own(lambda p: p.z, output=Classes(final="sigmoid"))  # trained with a loss of logits
    close(told.probabilities(x), z.sigmoid())


def test_a_contrast_of_independent_classes_has_no_probability():
    image = pictures(1)
    one, other = featvis.Contrast(1, 2), own(lambda p: p.z.softmax(1))
    assert own(lambda p: p.z.sigmoid()).output.score(other(image), one).probability is None
    odds = other.output.score(other(image), one).probability
    two = other.probabilities(image)[0, 1:3]
    close(odds, (two[0] / two.sum())[None])


SHAPED = {  # no scores of classes: what the network gives, its shape
    "map": (lambda p: p.m, "(B, 12, 6, 10)"),
    "tokens": (lambda p: p.m.flatten(2).transpose(1, 2), "(B, 60, 12)"),
    "table": (lambda p: p.z.view(-1, 2, 2), "(B, 2, 2)"),
    "named map": (lambda p: {"out": p.m}, "(B, 12, 6, 10)"),
    "sigmoid map": (lambda p: p.m.sigmoid(), "(B, 12, 6, 10)"),
}


@pytest.mark.parametrize("name", SHAPED)
def test_another_shape_is_refused_by_its_shape(name):
    ending, shape = SHAPED[name]
    model, x = own(ending), pictures(2)
    assert shape in model.head_reason
    assert not model.output.predict(model(x)[0]).answers
    assert shape.removeprefix("(B, ").rstrip(")").replace(", ", " x ") in (
        model.output.predict(model(x)[0]).note
    )
    for method in ("saliency", "grad_cam", "occlusion", "integrated_gradients", "score_cam"):
        with pytest.raises(WrongRequest, match=re.escape(shape)) as refusal:
            getattr(featvis, method)(model, x[:1])
    advice = re.search(r"output=(lambda raw: .*)$", str(refusal.value))
    if name != "named map":
        assert advice is not None
        mean = eval(advice[1])
        again = own(ending, output=mean)
        close(again(x), mean(ending_of(again, x)))
        assert featvis.saliency(again, x).values.abs().max() > 0
    assert featvis.saliency(model, x, layer="trunk.2", channel=1).values.abs().max() > 0


def ending_of(model, x):
    return model.module(model.normalize(x))


@pytest.mark.parametrize("ending", [lambda p: p.e, lambda p: {"embedding": p.e, "logits": p.z}])
def test_an_embedding_says_its_size_and_what_can_be_asked(ending):
    model, x = own(ending, embeds=True), pictures(2)
    assert isinstance(model.output, Embedding)
    close(model(x), plain("e")(x))
    with pytest.raises(WrongRequest, match=r"an embedding \(B, 12\); explain its norm"):
        featvis.saliency(model, x, 3)
    close(featvis.saliency(model, x).score, plain("e")(x).norm(dim=1))
    with pytest.raises(WrongRequest, match="gives no probabilities"):
        model.probabilities(x)
