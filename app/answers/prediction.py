"""Predictions: one forward pass over a state's picture, as its network takes it."""

from __future__ import annotations

import time

import torch
from torch import Tensor

import zoo_adapters
from featvis import Image, VisionModel
from featvis.network.head import Evidence, read_head

from ..machine.cache import IMAGES, PASSES, model_of
from ..machine.lanes import short_job
from ..question import pictures
from ..question.state import State

SECONDS: dict[str, float] = {}  # network -> seconds of one forward pass: the shortest so far


def image_of(state: State, model: VisionModel | None = None) -> Image:
    """The state's picture as its network, `model`, takes it."""
    model = model or model_of(state.model)
    key = (state.model, state.image)
    return IMAGES.get_or(key, lambda: zoo_adapters.read_image(pictures.get(state.image), model))


def evidence_of(state: State, model: VisionModel | None = None) -> Evidence | Tensor:
    """The logits (1, K) of one pass, with the evidence for all classes where there is a head."""
    model = model or model_of(state.model)

    def predict() -> Evidence | Tensor:
        values = image_of(state, model).values.to(model.like)
        # On a busy processor a wait is no work: a light question must not be taken for a long job.
        clock = time.thread_time if values.device.type == "cpu" else time.perf_counter
        with short_job(), torch.no_grad():
            begin = clock()
            evidence = read_head(model, values) if model.head else model(values)
            seconds = clock() - begin
        SECONDS[state.model] = min(seconds, SECONDS.get(state.model, seconds))
        return evidence

    return PASSES.get_or((state.model, state.image), predict)


def logits_of(state: State, model: VisionModel | None = None) -> Tensor:
    """The logits (K,) of the state's picture."""
    evidence = evidence_of(state, model)
    return (evidence.logits if isinstance(evidence, Evidence) else evidence)[0]
