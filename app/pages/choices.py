"""Choices: what the window offers; in lists as pairs of what is read and what is meant."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import zoo_adapters
from featvis import VisionModel, WrongRequest

from ..answers.ask import asks, durations
from ..answers.subject import Subject, layer_of
from ..files import encode
from ..machine.disk import file_url
from ..machine.limits import limits
from ..question import pictures
from ..question.tabs import TABS
from . import views

MOST = 3000  # classes in a list
KNOWN = (  # well known networks, one of each kind, with weights of the same 1,000 classes
    "timm:resnet50.a1_in1k",
    "timm:vgg16.tv_in1k",
    "timm:mobilenetv3_large_100.ra_in1k",
    "timm:efficientnet_b0.ra_in1k",
    "timm:convnext_tiny.fb_in1k",
    "timm:vit_small_patch16_224.augreg_in21k_ft_in1k",
    "timm:swin_tiny_patch4_window7_224.ms_in1k",
    "timm:resnet50.fb_swsl_ig1b_ft_in1k",
    "torchvision:alexnet",
    "torchvision:googlenet",
)

Choices = list[tuple[str, str]]


def short(names: Iterable[str]) -> Choices:
    """Models without their zoo."""
    return [(name.partition(":")[2], name) for name in names]


def comparable() -> list[str]:
    """Networks that are offered for a comparison; any other can be named."""
    return [*zoo_adapters.names("bundled"), *KNOWN]


def layers(subject: Subject) -> Choices:
    """All layers, after the one that the tab takes by itself."""
    state, model = subject.state, subject.model
    automatic = f"automatic: {model.layer(layer_of(state.but(layer=None), model))}"
    is_of_class = TABS[state.tab].begins_with_class
    if is_of_class and model.output.goal(subject.logits, None) is not None:
        automatic = "none: the class above"
    return [(automatic, ""), *((str(layer), name) for name, layer in model.layers.items())]


def targets(model: VisionModel) -> Choices:
    """Targets to explain: classes, or the likeness to an example."""
    examples = zip(pictures.EXAMPLES, pictures.strip()[1], strict=True)
    return model.output.choices((f"{name}, a {label}", name) for name, label in examples)[:MOST]


def chips(subject: Subject) -> Choices:
    """The methods of a tab, with the time of those that take long."""
    methods = TABS[subject.state.tab].methods
    try:
        times = durations(asks(subject, methods))
    except WrongRequest:  # the tab says why
        times = [""] * len(methods)
    return [
        (f"{method.title} ({time})" if time else method.title, method.name)
        for method, time in zip(methods, times, strict=True)
    ]


def upload(chosen: str) -> str:
    """How long uploads stay and who sees them, and a button that deletes the one in view."""
    days = limits().stored_days
    stay = f"for {days:g} days after it was last shown" if days else "until room runs out"
    text = f"A picture you send stays on this server {stay}. Anyone who has its link can see it."
    button = "<button data-delete>Delete this picture everywhere</button>"
    return f'<p class="fv-stay">{text}</p>{button if pictures.may_delete(chosen) else ""}'


def examples(chosen: str) -> str:
    """The pictures to choose from, as a strip."""
    labels = pictures.strip()[1]
    return views.examples(pictures.EXAMPLES, labels, file_url(_strip(), "picture.webp"), chosen)


@lru_cache(maxsize=1)
def _strip() -> bytes:
    return encode.photograph(pictures.strip()[0])
