"""The gradient-weighted maps against their papers' equations, and what must hold between them."""

from __future__ import annotations

import pytest
import torch

import featvis
from featvis.record import record_logits
from tests.support import oracles, tiny

FAMILY = {
    "grad_cam": lambda a, g: oracles.grad_cam(a, g),
    "grad_cam_plus_plus": lambda a, g: oracles.grad_cam_plus_plus(a, g),
    "hires_cam": lambda a, g: sum(a[k] * g[k] for k in range(len(a))),
    "layer_cam": lambda a, g: sum(a[k] * g[k].clamp(min=0) for k in range(len(a))).clamp(min=0),
}
NETS = ("GAP + MLP", "squeeze-excite", "flatten", "tokens, class token", "channels last")


@pytest.fixture(scope="module")
def models():
    return {name: tiny.model(net) for name, net in tiny.nets().items()}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", FAMILY)
def test_a_map_is_its_papers_equation(models, net, name):
    model, image = models[net], tiny.images(2)
    layer = list(model.layers)[len(model.layers) // 2]
    raws, maps, logits = record_logits(model, image, layer)
    gradient = model.maps(layer, torch.autograd.grad(logits[:, 1].sum(), raws)[0])
    found = featvis.METHODS[name].run(model, image, 1, layer)
    for i in range(2):
        expected = FAMILY[name](maps[0][i], gradient[i])
        torch.testing.assert_close(found.values[i], expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.score, logits[:, 1].detach())
    assert found.classes.tolist() == [1, 1]


def test_at_a_linear_head_hires_cam_is_cam(models):
    model, image = models["GAP + FC"], tiny.images(2)
    exact = featvis.cam(model, image, 1).values
    found = featvis.hires_cam(model, image, 1, "trunk").values
    torch.testing.assert_close(found, exact / exact[0].numel(), rtol=0, atol=1e-14)


def test_a_contrast_is_the_difference_of_two_classes(models):
    model, image = models["GAP + MLP"], tiny.images(2)
    why = featvis.Contrast(1, 3)
    for name in ("hires_cam", "saliency", "gradient_x_input", "occlusion"):
        run = featvis.METHODS[name].run
        one, two, both = (run(model, image, target) for target in (1, 3, why))
        torch.testing.assert_close(both.values, one.values - two.values, rtol=0, atol=1e-12)
        assert both.target == "thing 1 rather than thing 3"
    parts = [featvis.cam(model, image, target) for target in (1, 3, why)]
    torch.testing.assert_close(parts[2].values, parts[0].values - parts[1].values)
    assert parts[2].residual.max() < 1e-12
    with pytest.raises(featvis.WrongRequest, match="two different classes"):
        featvis.saliency(model, image, featvis.Contrast(2, 2))
    with pytest.raises(featvis.WrongRequest, match="classes go from 0 to 3"):
        featvis.saliency(model, image, featvis.Contrast(2, 9))


def test_several_layers_are_fused_on_the_finest_grid(models):
    model, image = models["GAP + FC"], tiny.images(2)
    names = ("trunk.conv1", "trunk.conv2")
    both = featvis.layer_cam(model, image, 1, names)
    assert both.layer == "trunk.conv1 + trunk.conv2"
    fine, coarse = (featvis.layer_cam(model, image, 1, name) for name in names)
    assert both.values.shape == fine.values.shape
    unit = fine.values / fine.values.amax((1, 2), keepdim=True)
    twice = featvis.layer_cam(model, image, 1, [names[0], names[0]])
    assert torch.equal(twice.values, fine.values), "a layer named twice is one layer"
    rest = 2 * both.values - unit
    assert rest.max() <= 1 + 1e-9
    assert rest.min() >= -1e-6
    for row, column in ((0, 0), (3, 7), (11, 15)):
        center = torch.tensor(fine.place.center((row, column)))
        whole = coarse.values / coarse.values.amax((1, 2), keepdim=True)
        expected = featvis.render.sample(whole, coarse.place, center[None, None])[:, 0, 0]
        torch.testing.assert_close(rest[:, row, column], expected, rtol=0, atol=1e-6)


def test_stages_are_the_last_layers_of_each_size(models):
    model, image = models["GAP + FC"], tiny.images(1)
    both = featvis.grad_cam(model, image, 1, stages=2)
    assert both.layer == "trunk.conv1 + trunk"
    named = featvis.grad_cam(model, image, 1, "trunk.conv1,trunk")
    assert torch.equal(both.values, named.values)


@pytest.mark.parametrize("name", FAMILY)
def test_a_layer_without_influence_gives_a_flat_map_and_says_so(models, name):
    model, image = models["tokens, class token"], tiny.images(1)
    found = featvis.METHODS[name].run(model, image, 1, "blocks.1")
    assert found.values.abs().max() == 0
    assert "gradient is zero" in found.notes[0]


def test_eigen_cam_of_a_map_that_is_not_finite_is_refused():
    model = tiny.model(tiny.nets()["GAP + FC"])
    with torch.no_grad():
        model.module.trunk.conv2.bias[2] = torch.inf
    with pytest.raises(featvis.WrongRequest, match="not finite"):
        featvis.eigen_cam(model, tiny.images(1), "trunk.conv2")


def test_eigen_cam_is_the_projection_on_the_first_singular_vector(models):
    model, image = models["GAP + FC"], tiny.images(2)
    maps = featvis.record(model, image, "trunk.conv2")["trunk.conv2"]
    found = featvis.eigen_cam(model, image, "trunk.conv2").values
    for one, a in zip(found, maps, strict=True):
        rows = a.flatten(1).T
        vectors = torch.linalg.eigh(rows.T @ rows)[1]
        expected = (rows @ vectors[:, -1]).reshape(a.shape[1:])
        sign = (expected * one).sum().sign()
        torch.testing.assert_close(one, sign * expected, rtol=0, atol=1e-9)
        assert one.flatten()[a.square().sum(0).argmax()] > 0


def test_score_cam_is_the_papers_loop_over_channels(models):
    model, image = models["GAP + MLP"], tiny.images(2)
    layer = "trunk.conv2"
    found = featvis.score_cam(model, image, 1, layer)
    maps = featvis.record(model, image, layer)[layer]
    axes = torch.meshgrid(torch.arange(24) + 0.5, torch.arange(32) + 0.5, indexing="ij")
    for i in range(2):
        scores = []
        for channel in maps[i]:
            unit = (channel - channel.min()) / (channel.max() - channel.min())
            mask = featvis.render.sample(unit[None], found.place, torch.stack(axes, -1))[0]
            scores.append(model(image[i : i + 1] * mask)[0, 1])
        weights = torch.stack(scores).softmax(0)
        expected = sum(w * a for w, a in zip(weights, maps[i], strict=True)).clamp(min=0)
        torch.testing.assert_close(found.values[i], expected, rtol=0, atol=1e-12)


def test_score_cam_needs_only_the_memory_of_its_batch(models):
    model, image = models["GAP + MLP"], tiny.images(1)
    seen = []
    handle = model.module.register_forward_pre_hook(lambda _, x: seen.append(len(x[0])))
    try:
        small = featvis.score_cam(model, image, 1, "trunk.conv2", batch=2)
        assert max(seen) == 2
        large = featvis.score_cam(model, image, 1, "trunk.conv2", batch=64)
    finally:
        handle.remove()
    torch.testing.assert_close(small.values, large.values, rtol=0, atol=1e-13)


def test_a_flat_layer_gives_a_flat_map_without_nan(models):
    model, image = models["GAP + MLP"], torch.full((1, 3, 24, 32), 0.5, dtype=torch.double)
    module = model.module.trunk
    before = module.conv2.weight.clone()
    try:
        module.conv2.weight.zero_()
        for name in (*FAMILY, "eigen_cam", "score_cam", "cam", "occlusion", "saliency"):
            found = featvis.METHODS[name].run(model, image)
            assert found.values.isfinite().all(), name
            assert featvis.render.render(found).float().isfinite().all()
    finally:
        module.conv2.weight.copy_(before)
