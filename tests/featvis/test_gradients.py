"""Averaged gradients, occlusion and attention rollout against literal versions in float64."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import featvis
from featvis.gradients.samples import baseline, blurred
from featvis.methods.occlusion import windows
from featvis.methods.saliency import legendre
from tests.support import oracles, tiny


def test_smoothgrad_without_noise_is_the_gradient(models):
    model, image = models["GAP + MLP"], tiny.images(2)
    found = featvis.smoothgrad(model, image, 1, noise=0.0, samples=7)
    plain = featvis.saliency(model, image, 1)
    torch.testing.assert_close(found.values, plain.values, rtol=0, atol=1e-13)
    torch.testing.assert_close(found.map, plain.map, rtol=0, atol=1e-13)


def test_smoothgrad_is_the_mean_over_noisy_pictures_of_the_clean_pictures_class(models):
    model, image = models["GAP + MLP"], tiny.images(2)
    seen = []
    handle = model.module.register_forward_pre_hook(lambda _, x: seen.append(x[0].detach().clone()))
    try:
        found = featvis.smoothgrad(model, image, samples=6, noise=0.3, batch=4)
    finally:
        handle.remove()
    noisy = torch.cat(seen[1:]).unflatten(0, (2, 6))  # the first pass is of the clean pictures
    assert max(map(len, seen[1:])) == 4
    predicted = model(image).argmax(1)
    std = torch.tensor(tiny.STD, dtype=torch.double)[:, None, None]
    for i in range(2):
        leaf = noisy[i].clone().requires_grad_()
        score = model.module(leaf)[:, predicted[i]].sum() / 6
        expected = torch.autograd.grad(score, leaf)[0].sum(0) / std
        torch.testing.assert_close(found.values[i], expected, rtol=0, atol=1e-12)
        spread = ((noisy[i] - model.normalize(image[i])) * std).std()
        span = image[i].max() - image[i].min()
        assert abs(float(spread / span) - 0.3) < 0.01


def test_smoothgrads_noise_follows_its_seed(models):
    model, image = models["GAP + MLP"], tiny.images(1)
    one, again, other = (
        featvis.smoothgrad(model, image, 1, samples=3, seed=s).values for s in (4, 4, 5)
    )
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)


def test_quadrature_is_exact_for_polynomials():
    for count in (2, 5, 50):
        points, weights = legendre(count)
        for power in range(0, 2 * count, max(1, count // 2)):
            made = (weights * points**power).sum()
            assert abs(float(made) - 1 / (power + 1)) < 1e-12


@pytest.mark.parametrize("kind", ["black", "mean", "blur"])
def test_integrated_gradients_of_a_quadratic_network_are_complete_and_exact(kind):
    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3 * 24 * 32, 4)

        def forward(self, x):
            return self.fc((x * x).flatten(1))

    model, image = tiny.model(Square()), tiny.images(2)
    found = featvis.integrated_gradients(model, image, 1, steps=2, baseline=kind)
    empty = baseline(kind, image, model.mean)
    weight = model.module.fc.weight[1].unflatten(0, (3, 24, 32))
    expected = weight * (model.normalize(image).square() - model.normalize(empty).square())
    torch.testing.assert_close(found.values, expected, rtol=0, atol=1e-12)
    assert found.gap.max() < 1e-10


def test_the_gap_is_what_is_missing_from_completeness(models):
    model, image = models["GAP + MLP"], tiny.images(2)
    coarse, fine = (
        featvis.integrated_gradients(model, image, 1, steps=n, baseline="black") for n in (2, 300)
    )
    black = torch.zeros_like(image)
    difference = (model(image) - model(black))[:, 1]
    for found in (coarse, fine):
        missing = (found.values.sum((1, 2, 3)) - difference).abs() / difference.abs()
        torch.testing.assert_close(found.gap, missing, rtol=1e-6, atol=1e-12)
    assert fine.gap.max() < 0.01
    assert fine.gap.max() < coarse.gap.max()


def test_gradient_times_input_is_exact_for_a_linear_network():
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 32, 5))
    model, image = tiny.model(linear), tiny.images(2)
    for kind in ("black", "mean", "blur"):
        found = featvis.gradient_x_input(model, image, 3, baseline=kind)
        whole = model(image)[:, 3] - model(baseline(kind, image, model.mean))[:, 3]
        torch.testing.assert_close(found.map.sum((1, 2)), whole)
        full = featvis.integrated_gradients(model, image, 3, steps=2, baseline=kind)
        torch.testing.assert_close(found.values, full.values)


def test_a_blur_keeps_flat_pictures_and_the_mean():
    flat = torch.full((1, 3, 24, 32), 0.3, dtype=torch.double)
    torch.testing.assert_close(blurred(flat), flat)
    spot = torch.zeros(1, 3, 25, 33, dtype=torch.double)
    spot[..., 12, 16] = 1
    made = blurred(spot, 0.04)
    torch.testing.assert_close(made.sum((2, 3)), torch.ones(1, 3, dtype=torch.double))
    torch.testing.assert_close(made, made.flip(2))
    torch.testing.assert_close(made, made.flip(3))


@pytest.mark.parametrize("net", ["GAP + MLP", "squeeze-excite"])
def test_occlusion_is_the_score_lost_under_each_window(models, net):
    model, image = models[net], tiny.images(2)
    found = featvis.occlusion(model, image, 1, window=0.3, across=4, baseline="black", batch=3)
    rows, columns = windows((24, 32), 0.3, 4)
    assert rows[0] == columns[0] == 0
    assert (rows[-1], columns[-1]) == (24 - 7, 32 - 7)
    assert len(rows) == 4
    for r, top in enumerate(rows):
        for c, left in enumerate(columns):
            hidden = image.clone()
            hidden[:, :, top : top + 7, left : left + 7] = 0
            lost = (model(image) - model(hidden))[:, 1]
            torch.testing.assert_close(found.values[:, r, c], lost, rtol=0, atol=1e-12)
            y, x = found.place.center((r, c))
            assert abs(y - (top + 3.5)) <= 0.5
            assert abs(x - (left + 3.5)) <= 0.5


def test_occlusion_of_a_neuron_outside_its_field_changes_nothing(models):
    model, image = models["GAP + FC"], tiny.images(1)
    found = featvis.occlusion(
        model, image, layer="trunk.conv2", channel=1, position=(0, 0), window=0.1, across=10
    )
    assert found.values[0, 0, 0] != 0
    assert found.values[0, 5:, 5:].abs().max() == 0


def test_rollout_multiplies_the_attention_of_the_blocks():
    name = "tokens, class token"
    model, image = tiny.model(tiny.nets()[name]), tiny.images(1)
    kept = []
    handles = [
        block.register_forward_pre_hook(lambda _, a: kept.append(a[0].clone()))
        for block in model.module.blocks
    ]
    try:
        model(image)
    finally:
        for handle in handles:
            handle.remove()
    attention = [(x @ x.transpose(1, 2)).softmax(-1)[0][None] for x in kept]
    flow = oracles.rollout(attention)
    found = featvis.attention_rollout(model, image)
    h, w = found.values.shape[1:]
    torch.testing.assert_close(found.values[0].flatten(), flow[0, -h * w :])


@pytest.mark.parametrize("name", ["timm:vit_tiny_patch16_224", "torchvision:vit_b_16"])
def test_rollout_reads_fused_attention(name):
    import timm.layers

    import zoo_adapters

    model = zoo_adapters.load(name, pretrained=False)
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    fused = featvis.attention_rollout(model, image)
    assert fused.target == "attention of 12 blocks"
    assert abs(float(fused.score) - 1) < 0.5
    if name.startswith("timm"):
        before = timm.layers.use_fused_attn()
        try:
            timm.layers.set_fused_attn(False)
            plain = featvis.attention_rollout(zoo_adapters.load(name, pretrained=False), image)
        finally:
            timm.layers.set_fused_attn(bool(before))
        torch.testing.assert_close(fused.values, plain.values)


def test_a_network_without_attention_says_so(models):
    with pytest.raises(featvis.WrongRequest, match="no attention"):
        featvis.attention_rollout(models["GAP + FC"], tiny.images(1))


def test_a_network_without_classes_explains_its_embedding():
    from dataclasses import replace

    model = replace(tiny.model(tiny.nets()["GAP + FC"]), output=featvis.Embedding(4), head=None)
    image = tiny.images(2)
    found = featvis.saliency(model, image)
    leaf = image.clone().requires_grad_()
    expected = torch.autograd.grad(model(leaf).norm(dim=1).sum(), leaf)[0]
    torch.testing.assert_close(found.values, expected)
    assert found.target == "norm of the embedding"
    other = model(tiny.images(1, seed=9))[0]
    like = featvis.hires_cam(model, image, featvis.Likeness(other, "scene-3"), "trunk.conv2")
    cosine = torch.nn.functional.cosine_similarity(model(image), other[None])
    torch.testing.assert_close(like.score, cosine)
    assert like.target == "likeness to scene-3"
    with pytest.raises(featvis.WrongRequest, match="no classes"):
        featvis.saliency(model, image, 2)
    with pytest.raises(featvis.WrongRequest, match="4 numbers, not 3"):
        featvis.saliency(model, image, featvis.Likeness(torch.ones(3)))


def test_a_layer_without_a_channel_is_no_neuron(models):
    with pytest.raises(featvis.WrongRequest, match="give a channel too, 0 to 5"):
        featvis.saliency(models["GAP + FC"], tiny.images(1), layer="trunk.conv2")
