"""Objectives are what they say, on every layout."""

from __future__ import annotations

import pytest
import torch

import featvis
from featvis.ascent import objectives
from tests.support import tiny


@pytest.mark.parametrize(
    "net", ["GAP + MLP", "channels last", "tokens, average behind a prefix", "functional ReLU"]
)
def test_objectives_are_what_they_say_on_every_layout(models, net):
    model, images = models[net], tiny.images(2)
    name = list(model.layers)[-1]
    maps = featvis.record(model, images, name)[name]
    h, w = maps.shape[2:]
    vector = torch.linspace(-1, 1, maps.shape[1]).double()
    other = maps.flip(0) + 0.1
    cosine = torch.cosine_similarity(maps.flatten(1), other.flatten(1))
    expected = {
        objectives.channel(name, 2): maps[:, 2].mean((1, 2)),
        objectives.channel(name, [2, 1]): torch.stack([maps[0, 2].mean(), maps[1, 1].mean()]),
        objectives.excitation(name, 2): maps[:, 2].clamp_min(0).mean((1, 2)),
        objectives.neuron(name, 2): maps[:, 2, h // 2, w // 2],
        objectives.neuron(name, 2, (1, 0)): maps[:, 2, 1, 0],
        objectives.layer(name): maps.square().mean((1, 2, 3)),
        objectives.direction(name, vector): (maps * vector[:, None, None]).sum(1).mean((1, 2)),
        objectives.logit([1, 0]): model(images)[[0, 1], [1, 0]],
        objectives.likeness(vector[:4]): torch.cosine_similarity(model(images), vector[None, :4]),
        objectives.inversion(name, other): -(maps - other).square().sum((1, 2, 3))
        / other.square().sum((1, 2, 3)),
        objectives.caricature(name, other): (maps * other).mean((1, 2, 3)) * cosine.clamp_min(0.1),
        objectives.l2(): (images - 0.5).square().mean((1, 2, 3)),
        2 * objectives.channel(name, 2) - objectives.logit(1) * 0.5: 2 * maps[:, 2].mean((1, 2))
        - model(images)[:, 1] / 2,
    }
    for objective, value in expected.items():
        found = objective(objectives.watch(model, images, objective))
        torch.testing.assert_close(found, value, rtol=0, atol=1e-10)


def test_diversity_is_minus_the_mean_likeness_of_styles(models):
    model, images = models["GAP + MLP"], tiny.images(6)
    objective = objectives.diversity("trunk.conv2", 3)
    found = objective(objectives.watch(model, images, objective))
    maps = featvis.record(model, images, "trunk.conv2")["trunk.conv2"].flatten(2)
    styles = [(m @ m.T).flatten() for m in maps]
    for i in range(6):
        others = [j for j in range(i // 3 * 3, i // 3 * 3 + 3) if j != i]
        likeness = [torch.cosine_similarity(styles[i], styles[j], dim=0) for j in others]
        assert abs(float(found[i] + sum(likeness) / 2)) < 1e-12


def test_total_variation_is_the_mean_step_between_neighbours():
    images = tiny.images(1, (3, 4))
    x = images[0]
    down = sum(float((x[:, i + 1] - x[:, i]).abs().sum()) for i in range(2)) / (3 * 2 * 4)
    right = sum(float((x[:, :, j + 1] - x[:, :, j]).abs().sum()) for j in range(3)) / (3 * 3 * 3)
    found = objectives.total_variation()(objectives.Seen(images, {}, None))
    assert abs(float(found) - down - right) < 1e-12
