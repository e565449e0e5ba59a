"""Heads: found and proved on every kind of network, refused with the reason elsewhere."""

import pytest
import torch
from torch import nn

import featvis
from featvis.network.head import read_head
from tests.support import tiny

KINDS = {
    "GAP + FC": "exact",
    "GAP + BN + FC": "exact",
    "GAP + LayerNorm + FC": "frozen norm",
    "GAP + GroupNorm + FC": "frozen norm",
    "GAP + RMSNorm + FC": "frozen norm",
    "GAP + RMSNorm of a point + FC": "frozen norm",
    "sum + FC": "exact",
    "GAP + FC + Hardswish + FC": "frozen gates",
    "GAP + MLP": "frozen gates",
    "conv in head": "exact",
    "map of classes": "exact",
    "functional ReLU": "exact",
    "squeeze-excite": "exact",
    "channels last": "exact",
    "average beside hidden states": "exact",
    "tokens, average": "exact",
    "tokens, average behind a prefix": "exact",
}
REASONS = {
    "tokens, class token": "class token",
    "flatten": "flattened map",
    "maximum": "maximum",
    "sine": "not affine",
}


@pytest.fixture(scope="module")
def models():
    return {name: tiny.model(net) for name, net in tiny.nets().items()}


def test_every_network_has_a_kind_or_a_reason(models):
    assert set(models) == set(KINDS) | set(REASONS)


@pytest.mark.parametrize("name", KINDS)
def test_head_is_found_with_its_kind_and_a_residual_at_rounding(models, name):
    head = models[name].head
    assert head is not None, models[name].head_reason
    assert head.kind == KINDS[name]
    assert head.residual < 1e-12


@pytest.mark.parametrize("name", REASONS)
def test_no_head_without_the_reason_in_words(models, name):
    model = models[name]
    assert model.head is None
    assert REASONS[name] in model.head_reason
    with pytest.raises(featvis.WrongRequest, match=REASONS[name]):
        featvis.cam(model, tiny.images())


@pytest.mark.parametrize("name", KINDS)
def test_mean_of_the_map_and_bias_give_back_every_logit_of_every_picture(models, name):
    model, image = models[name], tiny.images(2)
    logits = model(image)
    for target in range(logits.shape[1]):
        found = featvis.cam(model, image, target)
        made = found.values.mean((1, 2)) + found.bias
        torch.testing.assert_close(made, logits[:, target], rtol=0, atol=1e-12)
        assert found.residual.max() < 1e-12


def test_cam_is_the_papers_sum_for_a_linear_head(models):
    model, image = models["GAP + FC"], tiny.images(2)
    maps, classifier = model.module.trunk(model.normalize(image)), model.module.head[1]
    literal = torch.zeros(2, *maps.shape[2:], dtype=torch.double)
    for k in range(maps.shape[1]):
        literal += classifier.weight[2, k] * maps[:, k]
    found = featvis.cam(model, image, 2)
    torch.testing.assert_close(found.values, literal, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.bias, classifier.bias[2].expand(2), rtol=0, atol=1e-12)


def test_cam_behind_a_layer_norm_is_the_closed_form(models):
    model, image = models["GAP + LayerNorm + FC"], tiny.images(1)
    _, norm, classifier = model.module.head
    maps = model.module.trunk(model.normalize(image))
    pooled = maps.mean((2, 3))
    sigma = (pooled.var(1, correction=0) + norm.eps).sqrt()
    scaled = classifier.weight[1] * norm.weight / sigma
    literal = torch.einsum("c,bchw->bhw", scaled, maps - maps.mean(1, keepdim=True))
    found = featvis.cam(model, image, 1)
    torch.testing.assert_close(found.values, literal, rtol=0, atol=1e-12)
    constant = classifier.weight[1] @ norm.bias + classifier.bias[1]
    torch.testing.assert_close(found.bias, constant[None], rtol=0, atol=1e-12)


def test_one_picture_and_several_classes_share_one_forward_pass(models):
    model, image = models["GAP + MLP"], tiny.images(1)
    runs = []
    handle = model.module.trunk.conv1.register_forward_hook(lambda *_: runs.append(1))
    together = featvis.cam(model, image, [0, 3, 1])
    handle.remove()
    assert len(runs) == 1
    for i, target in enumerate((0, 3, 1)):
        alone = featvis.cam(model, image, target)
        torch.testing.assert_close(together.values[i : i + 1], alone.values, rtol=0, atol=1e-12)


def test_the_prediction_is_that_of_the_bare_network(models):
    for name in KINDS:
        model, image = models[name], tiny.images(2)
        assert torch.equal(read_head(model, image).logits, model(image))


def test_a_network_whose_head_does_not_run_is_an_error_not_a_wrong_map(models):
    model = models["GAP + FC"]
    other = tiny.model(tiny.nets()["maximum"])
    stolen = featvis.VisionModel(
        **{f: getattr(other, f) for f in ("name", "module", "mean", "std", "size", "layers")},
        output=other.output,
        head=model.head,
        head_reason="",
    )
    with pytest.raises(RuntimeError, match="did not run"):
        featvis.cam(stolen, tiny.images())


@pytest.mark.parametrize("pool", [lambda x: x.mean((2, 3)), lambda x: x.flatten(2).mean(2)])
def test_two_paths_of_different_pools_are_refused(pool):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk, self.fc = tiny.Trunk(), nn.Linear(11, 4)

        def forward(self, x):
            early = self.trunk.relu(self.trunk.conv1(x))
            return self.fc(torch.cat([pool(early), pool(self.trunk(x))], 1))

    assert "2 pooled maps" in tiny.model(Two()).head_reason


def test_what_has_no_place_in_the_map_is_the_bias_and_said(models):
    model, image = models["average beside hidden states"], tiny.images(2)
    net, x = model.module, model.normalize(image)
    maps = net.trunk(x).flatten(2)
    states = maps @ net.mix(maps).softmax(-1).transpose(1, 2)
    found = featvis.cam(model, image, 2)
    expected = net.fc_states(states.mean(-1))[:, 2] + net.fc.bias[2]
    torch.testing.assert_close(found.bias, expected, rtol=0, atol=1e-12)
    literal = torch.einsum("c,bcl->bl", net.fc.weight[2], maps).unflatten(1, (6, 8))
    torch.testing.assert_close(found.values, literal, rtol=0, atol=1e-12)
    assert "has no place in it, and is the bias" in found.notes[0]


def test_logits_that_are_not_finite_prove_nothing():
    class Overflow(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = tiny.nets()["GAP + FC"]

        def forward(self, x):
            return self.net(x) * 1e200 * 1e200

    model = tiny.model(Overflow())
    assert model.head is None
    assert "not finite" in model.head_reason
