"""Reduced precision: tried only where the processor has it, used only where the map stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import featvis
from featvis.gradients import precision
from featvis.gradients.statistics import rank_correlation
from tests.support import tiny

RUNS = {
    "smoothgrad": {"samples": 12, "batch": 4},
    "integrated_gradients": {"steps": 12, "batch": 4},
    "score_cam": {"batch": 2},
}


@pytest.fixture
def model():
    """In float32, as real networks are."""
    made = tiny.model(tiny.nets()["GAP + MLP"])
    return replace(made, module=made.module.float(), mean=made.mean.float(), std=made.std.float())


@pytest.fixture
def tried(monkeypatch):
    """As on a processor with bfloat16; whether the passes were made in it."""
    seen = []

    def reduced(device, *, on):
        seen.append(on)
        return torch.autocast(device, torch.bfloat16, enabled=on)

    monkeypatch.setattr(precision, "native", lambda device: True)
    monkeypatch.setattr("featvis.gradients.samples.reduced", reduced)
    monkeypatch.setattr("featvis.methods.gradient_free.reduced", reduced)
    return seen


def run(name, model, image, **how):
    return featvis.METHODS[name].run(model, image, 1, **RUNS[name], **how)


@pytest.mark.parametrize("name", RUNS)
def test_it_is_used_and_said_where_the_first_samples_agree(name, model, tried, monkeypatch):
    for where in ("featvis.gradients.samples", "featvis.methods.gradient_free"):
        monkeypatch.setattr(f"{where}.ENOUGH", 0.9)
    monkeypatch.setattr(precision, "ENOUGH", 0.9)
    image = tiny.images(1).float()
    half = run(name, model, image)
    assert tried == [False, True, True, True]
    assert "bfloat16" in half.notes[0]
    full = run(name, model, image, precision="float32")
    assert not full.notes
    assert float(rank_correlation(half.values, full.values)) > 0.9


@pytest.mark.parametrize("name", RUNS)
def test_it_is_left_where_they_do_not(name, model, tried, monkeypatch):
    for where in ("featvis.gradients.samples", "featvis.methods.gradient_free"):
        monkeypatch.setattr(f"{where}.ENOUGH", 1.1)
    monkeypatch.setattr(precision, "ENOUGH", 1.1)
    image = tiny.images(1).float()
    found = run(name, model, image)
    assert tried == [False, True, False, False]
    assert not found.notes
    assert torch.equal(found.values, run(name, model, image, precision="float32").values)


@pytest.mark.parametrize("name", RUNS)
def test_each_picture_decides_for_itself(name, model, tried):
    images = tiny.images(2).float()
    together = featvis.METHODS[name].run(model, images, torch.tensor([1, 1]), **RUNS[name])
    for i in range(2):
        alone = run(name, model, images[i : i + 1])
        torch.testing.assert_close(together.values[i : i + 1], alone.values, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", RUNS)
def test_it_is_not_tried_in_vain(name, model, tried, monkeypatch):
    image = tiny.images(1).float()
    run(name, model, image, precision="float32")
    double = tiny.model(tiny.nets()["GAP + MLP"])
    run(name, double, tiny.images(1))
    monkeypatch.setattr(precision, "native", lambda device: False)
    run(name, model, image)
    assert not any(tried)
