"""The words below a map name the seed of any method that has one."""

from __future__ import annotations

from typing import Annotated

import pytest
import torch

import featvis
from app.machine.cache import RESULTS
from app.pages import tabs
from app.question.state import State
from app.words import translate
from featvis import METHODS, Range
from featvis.types import Heatmap


@pytest.fixture
def masked():
    """Declare a method of random masks for one test: it has a seed and makes no noisy copies."""

    @featvis.method("Masked", family="Class evidence")
    def masked(
        model: featvis.VisionModel,
        image: torch.Tensor,
        *,
        masks: Annotated[int, Range(1, 9), "how many masks"] = 2,
        seed: Annotated[int, Range(0, 99), "of the random numbers"] = 0,
    ) -> Heatmap:
        """Draw masks."""
        return featvis.grad_cam(model, image)

    yield "masked"
    del METHODS["masked"]
    RESULTS.clear()


def test_a_method_with_a_seed_and_without_samples_says_its_seed(masked):
    view = tabs.draw(State(methods=(masked,), seed=7)).view
    assert "seed 7" in view
    assert "noisy copies" not in view
    assert "시드 7" in translate.html(view, "ko")


def test_a_method_with_samples_says_both():
    view = tabs.draw(State(methods=("smoothgrad",), seed=7).having(samples=3)).view
    assert "3 noisy copies, seed 7" in view
