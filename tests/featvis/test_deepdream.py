"""DeepDream: more of what a layer saw."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import featvis
from featvis.ascent import objectives
from tests.support import tiny


def test_a_dream_has_more_of_what_the_layer_saw(models):
    model, image = models["GAP + MLP"], tiny.images(2)
    made = tiny.last(featvis.deepdream(model, image, layer="trunk.conv2", steps=5))
    objective = objectives.layer("trunk.conv2")
    before, after = (objective(objectives.watch(model, x, objective)) for x in (image, made.values))
    assert made.values.shape == image.shape
    assert bool((after > before).all())
    change = (made.values - image).abs().mean((1, 2, 3))
    assert bool((change > 0.006).all())
    assert bool((change < 4 * 5 * 0.006).all())


def test_a_dream_of_no_steps_length_is_the_picture(models):
    image = tiny.images(1)
    made = tiny.last(featvis.deepdream(models["GAP + MLP"], image, rate=0.0, steps=1))
    torch.testing.assert_close(made.values, image, rtol=0, atol=1e-12)


@pytest.mark.parametrize("subject", [{"target": 2}, {"layer": "trunk.conv1", "channel": 3}, {}])
def test_a_fixed_network_dreams_in_tiles(models, subject):
    model, image = models["flatten"], tiny.images(1)
    fixed = replace(model, input=replace(model.input, fixed_size=True))
    made = tiny.last(featvis.deepdream(fixed, image, **subject, size=80, steps=2, start="noise"))
    assert made.values.shape == (1, 3, 60, 80)
    assert made.curve.shape == (1, 8)
    again = tiny.last(featvis.deepdream(fixed, image, **subject, size=80, steps=2, start="noise"))
    assert torch.equal(made.values, again.values)
