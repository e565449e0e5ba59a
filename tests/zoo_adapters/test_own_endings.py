"""Networks as people end them: the scores before a final activation, in whatever holds them."""

from __future__ import annotations

import re
from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import featvis
import zoo_adapters
from app.pages import views
from featvis import Contrast, WrongRequest

SIZE = (32, 40)
CLASSES = 5
LABELS = tuple(f"thing {number}" for number in range(CLASSES))
Pair = namedtuple("Pair", ["features", "scores"])


@dataclass
class Record:
    """A record, as transformers returns one."""

    hidden: Tensor
    logits: Tensor


class Body(nn.Module):
    """Two convolutions, a global average and a linear classifier; `ending` follows."""

    def __init__(self, ending, classes=CLASSES):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 12, 3, 2, 1)
        self.fc = nn.Linear(12, classes)
        self.ending = ending

    def scores(self, x):
        maps = self.conv2(self.conv1(x).relu()).relu()
        return maps, self.fc(maps.mean((2, 3)))

    def forward(self, x):
        maps, scores = self.scores(x)
        if isinstance(self.ending, nn.Module):
            return self.ending(scores)
        try:
            return self.ending(scores, maps)
        except TypeError:
            return self.ending(scores)


def body(ending, classes=CLASSES):
    """The network with random weights, drawn the same each time."""
    torch.manual_seed(0)
    return Body(ending, classes).double()


def wrapped(module, labels=LABELS, **how):
    return zoo_adapters.wrap(
        module, name="mine", mean=(0.5,) * 3, std=(0.25,) * 3, size=SIZE, labels=labels, **how
    )


def pictures(count=2):
    return torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(1)).double()


def plain(classes=CLASSES):
    """The scores (B, K) of normalized pictures by the classifier alone."""
    return lambda images: body(None, classes).scores((images - 0.5) / 0.25)[1]


def slope(of, images):
    """The gradient of a sum of scores, by plain autograd."""
    images = images.clone().requires_grad_()
    return torch.autograd.grad(of(images).sum(), images)[0]


# --- final activations ----------------------------------------------------------------------------

ALONE = "sigmoid"
TOGETHER = "softmax"
FINALS = {  # name -> (ending, its activation in words, what its probabilities are)
    "nn.Sigmoid": (nn.Sigmoid(), "sigmoid", ALONE),
    "torch.sigmoid": (torch.sigmoid, "sigmoid", ALONE),
    "sigmoid in place": (lambda s: s.sigmoid_(), "sigmoid", ALONE),
    "special.expit": (torch.special.expit, "sigmoid", ALONE),
    "clamped sigmoid": (lambda s: s.sigmoid().clamp(1e-7, 1 - 1e-7), "sigmoid", ALONE),
    "two heads of sigmoids": (
        lambda s: torch.cat([s[:, :2].sigmoid(), s[:, 2:].sigmoid()], 1), "sigmoid", ALONE
    ),
    "sigmoid, then dropout": (nn.Sequential(nn.Sigmoid(), nn.Dropout(0.5)), "sigmoid", ALONE),
    "nn.LogSigmoid": (nn.LogSigmoid(), "log-sigmoid", ALONE),
    "nn.Hardsigmoid": (nn.Hardsigmoid(), "hard sigmoid", "hardsigmoid"),
    "nn.Softmax": (nn.Softmax(dim=1), "softmax", TOGETHER),
    "softmax of the last axis": (lambda s: F.softmax(s, dim=-1), "softmax", TOGETHER),
    "nn.LogSoftmax": (nn.LogSoftmax(dim=1), "log-softmax", TOGETHER),
    "log of a softmax": (lambda s: s.softmax(1).log(), "log-softmax", TOGETHER),
    "log of a softmax and little": (lambda s: (s.softmax(1) + 1e-8).log(), "log-softmax", TOGETHER),
    "softmax written out": (lambda s: s.exp() / s.exp().sum(1, keepdim=True), "softmax", TOGETHER),
    "nn.Softplus": (nn.Softplus(), "softplus", None),
    "torch.exp": (torch.exp, "exponential", None),
    "nn.Tanh": (nn.Tanh(), "tanh", None),
}  # fmt: skip


@pytest.mark.parametrize("name", FINALS)
def test_the_value_before_a_final_activation_is_explained(name):
    ending, words, kind = FINALS[name]
    model, images, scores = wrapped(body(ending)), pictures(), plain()
    torch.testing.assert_close(model(images), scores(images))
    assert f"the scores are the values before the final {words}" in model.output.meaning
    expected = slope(lambda x: scores(x)[:, 3], images)
    torch.testing.assert_close(featvis.saliency(model, images, 3).values, expected)
    if kind:
        own = {ALONE: torch.sigmoid, TOGETHER: lambda s: s.softmax(1), "hardsigmoid": F.hardsigmoid}
        torch.testing.assert_close(model.probabilities(images), own[kind](scores(images)))
    else:
        with pytest.raises(WrongRequest, match="gives no probabilities"):
            model.probabilities(images)


@pytest.mark.parametrize("name", FINALS)
def test_the_head_behind_a_final_activation_is_proved(name):
    model = wrapped(body(FINALS[name][0]))
    heat = featvis.cam(model, pictures(), 2)
    assert float(heat.residual.max()) <= 1e-6


@pytest.mark.parametrize(
    "method", [n for n in featvis.METHODS if "target" in featvis.METHODS[n].subject]
)
def test_every_method_explains_the_same_with_and_without_a_final_activation(method):
    record, images = featvis.METHODS[method], pictures(1)
    how = {"steps": 4} if "steps" in {p.name for p in record.params} else {}
    results = []
    for ending in (None, nn.Sigmoid(), nn.LogSoftmax(dim=1)):
        model = wrapped(body(ending or (lambda s: s)))
        arguments = {"image": images, "target": 1}
        subject = {name: arguments[name] for name in record.subject if name in arguments}
        made = record.run(model, **subject, **how)
        results.append(list(made)[-1] if record.generator else made)
    for other in results[1:]:
        torch.testing.assert_close(other.values, results[0].values, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "ending",
    [
        lambda s: (s.softmax(1) + s.flip(1).softmax(1)) / 2,
        lambda s: torch.cat([s[:, :2].softmax(1), s[:, 2:].softmax(1)], 1).div(2),
        lambda s: s.softmax(1).square() / s.softmax(1).square().sum(1, keepdim=True),
    ],
)
def test_probabilities_that_no_single_activation_gives_are_called_so(ending):
    model, images = wrapped(body(ending)), pictures()
    torch.testing.assert_close(model.probabilities(images), body(ending)((images - 0.5) / 0.25))
    assert "the scores are probabilities" in model.output.meaning


def test_an_activation_within_the_network_is_none_of_the_output():
    model = wrapped(body(lambda s: s.sigmoid() @ torch.eye(CLASSES).double()))
    assert "before the final" not in model.output.meaning
    assert float(model(pictures()).max()) <= 1


# --- one score, several classes at once -----------------------------------------------------------

SINGLE = {
    "(B,)": lambda s: s[:, 0],
    "(B, 1)": lambda s: s,
    "(B, 1, 1, 1)": lambda s: s[:, :, None, None],
    "squeezed": lambda s: s.squeeze(),
    "sigmoid (B,)": lambda s: s[:, 0].sigmoid(),
    "sigmoid (B, 1)": lambda s: s.sigmoid(),
}


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("count", [1, 3])
def test_a_single_logit_has_two_sides(name, count):
    model, images = wrapped(body(SINGLE[name], 1), ("tumor",)), pictures(count)
    z = plain(1)(images)[:, 0]
    torch.testing.assert_close(model(images), torch.stack([-z, z], 1))
    torch.testing.assert_close(model.probabilities(images)[:, 1], z.sigmoid())
    assert model.labels == ("not tumor", "tumor")
    for side, sign in ((0, -1), (1, 1)):
        expected = sign * slope(lambda x: plain(1)(x)[:, 0], images)
        torch.testing.assert_close(featvis.saliency(model, images, side).values, expected)


def test_the_side_that_the_network_decides_for_is_explained():
    model = wrapped(body(SINGLE["(B, 1)"], 1), ("sick", "healthy"))
    images = pictures(8)
    z = plain(1)(images)[:, 0]
    torch.testing.assert_close(featvis.saliency(model, images).score, z.abs())


def test_independent_classes_have_probabilities_of_their_own():
    module = body(nn.Sigmoid())
    module.fc.bias.data += 2.0  # several are likely
    model, images = wrapped(module), pictures(1)
    shares = model.probabilities(images)[0]
    predicted = model.output.predict(model(images)[0])
    assert [answer.share for answer in predicted.answers] == pytest.approx(
        sorted(shares.tolist(), reverse=True)[:5]
    )
    assert sum(answer.share for answer in predicted.answers) > 1.5
    assert predicted.words.count("%") == int((shares > 0.5).sum())
    assert f"{100 * float(shares.max()):.1f} %" in views.prediction(model, model(images)[0], None)


def test_scores_without_probabilities_are_shown_as_scores():
    model, images = wrapped(body(nn.Softplus())), pictures(1)
    html = views.prediction(model, model(images)[0], None)
    assert "%</em>" not in html
    assert f"{float(model(images).max()):.2f}" in html


def test_a_contrast_of_independent_classes_has_no_probability():
    model, images = wrapped(body(nn.Sigmoid())), pictures()
    score = model.output.score(model(images), Contrast(1, 2))
    assert score.probability is None
    z = plain()(images)
    torch.testing.assert_close(score.values, z[:, 1] - z[:, 2])


# --- where the scores are -------------------------------------------------------------------------

HOLDERS = {
    "a dict": lambda s, m: {"features": m, "logits": s},
    "a dict without the usual names": lambda s, m: {"a": m, "b": s},
    "a dict with masks": lambda s, m: {"mask": m > 0, "out": s},
    "features first": lambda s, m: (m.mean((2, 3)), s),
    "a map first": lambda s, m: (m, s),
    "scores first": lambda s, m: (s, m),
    "auxiliary scores after": lambda s, m: (s, 2 * s),
    "a list": lambda s, m: [m, s],
    "nested": lambda s, m: {"aux": {"logits_map": m}, "main": {"logits": s}},
    "a named tuple": lambda s, m: Pair(m, s),
    "a data class": lambda s, m: Record(m, s),
    "a namespace": lambda s, m: SimpleNamespace(hidden=m, logits=s),
    "beside None": lambda s, m: (None, s),
    "beside a loss": lambda s, m: (s.sum(), s),
    "(B, K, 1, 1)": lambda s, m: s[:, :, None, None],
}  # fmt: skip


@pytest.mark.parametrize("name", HOLDERS)
def test_the_scores_are_found_in_what_holds_them(name):
    ending = HOLDERS[name]
    if name == "features first":  # as many features as maps, and labels decide
        assert wrapped(body(ending)).output.count == CLASSES
    model, images = wrapped(body(ending)), pictures()
    torch.testing.assert_close(model(images), plain()(images))
    assert float(featvis.cam(model, images, 1).residual.max()) <= 1e-6
    torch.testing.assert_close(model(images[:1]), plain()(images[:1]))


CHOSEN = {
    "a name": (lambda s, m: {"first": s, "second": 3 * s}, "second"),
    "a number": (lambda s, m: (s, 3 * s), 1),
    "a number from the end": (lambda s, m: [s, m, 3 * s], -1),
    "a path": (lambda s, m: {"heads": [s, 3 * s]}, "heads.1"),
    "a function": (lambda s, m: {"logits": s}, lambda raw: 3 * raw["logits"]),
    "a map made scores": (
        lambda s, m: 3 * s[:, :, None, None].expand(-1, -1, 4, 5), lambda raw: raw.mean((2, 3))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOSEN)
def test_another_tensor_can_be_chosen(name):
    ending, key = CHOSEN[name]
    model, images = wrapped(body(ending), output=key), pictures()
    torch.testing.assert_close(model(images), 3 * plain()(images))


def test_a_final_activation_in_a_dict_is_found():
    model = wrapped(body(lambda s, m: {"probs": s.sigmoid(), "maps": m}))
    torch.testing.assert_close(model(pictures()), plain()(pictures()))


def test_what_else_might_be_the_scores_is_said():
    model = wrapped(body(lambda s, m: (m.mean((2, 3)), s)), labels=())
    assert "output= chooses another" in model.output.meaning
    assert "(B, 5)" in model.output.meaning


# --- refusals -------------------------------------------------------------------------------------

REFUSED = {
    "a name that is not there": (lambda s, m: {"logits": s}, "scores", "no output 'scores'"),
    "a number too large": (lambda s, m: (s, m), 4, "no output 4"),
    "a function that fails": (lambda s, m: (s, m), lambda raw: raw["x"], "output= of mine fails"),
    "a function of no tensor": (lambda s, m: (s, m), lambda raw: 3, "returns a int"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_choice_is_refused_with_what_there_is(name):
    ending, key, words = REFUSED[name]
    with pytest.raises(WrongRequest, match=re.escape(words)) as refused:
        wrapped(body(ending), output=key)
    assert "(2, 5)" in str(refused.value) or "(B, 5)" in str(refused.value)


SHAPES = {
    "(B, 5, 4, 5)": lambda s: s[:, :, None, None].expand(-1, -1, 4, 5),
    "(B, 7, 5)": lambda s: s[:, None].expand(-1, 7, -1),
    "(B, 2, 3, 5)": lambda s: s[:, None, None].expand(-1, 2, 3, -1),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_output_that_is_no_row_of_scores_costs_the_classes_only(shape):
    model, images = wrapped(body(SHAPES[shape]), labels=()), pictures()
    with pytest.raises(WrongRequest, match=re.escape(shape)) as refused:
        featvis.saliency(model, images, 1)
    assert "output=lambda raw:" in str(refused.value)
    assert featvis.saliency(model, images, layer="conv2", channel=3).values.abs().max() > 0
    assert shape in model.head_reason


def test_the_remedy_of_a_refusal_can_be_followed():
    model = wrapped(body(SHAPES["(B, 5, 4, 5)"]), output=lambda raw: raw.mean((2, 3)))
    torch.testing.assert_close(model(pictures()), plain()(pictures()))


def test_a_head_that_cannot_be_proved_costs_the_head_alone():
    model = wrapped(body(lambda s: torch.fft.fft(s).real))
    assert model.head is None
    assert "attention" not in model.head_reason
    assert featvis.grad_cam(model, pictures(), 1).values.isfinite().all()
