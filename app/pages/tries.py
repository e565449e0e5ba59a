"""Tries: what each tab begins with, so that one click shows something worth seeing."""

from __future__ import annotations

from html import escape
from typing import Any

from ..machine import values
from ..question.state import State, from_query

__all__ = ["TRIES", "offered", "tried"]

RESNET, ALEXNET = "m=bundled:scenes-resnet", "m=bundled:scenes-alexnet"
TRIES = {  # tab -> what is seen, and its link without the tab
    "Filters": (
        ("Large filters of colour", ALEXNET),
        ("The kernels of one filter", f"{RESNET}&layer=layer2.0.conv1&ch=5"),
    ),
    "Feature maps": (
        ("The first layer", f"{RESNET}&layer=conv1"),
        ("The last layer", f"{RESNET}&layer=layer4"),
    ),
    "Class evidence": (
        ("Why a lighthouse?", f"{RESNET}&img=scene-2&method=cam,grad_cam,guided_backprop"),
        ("A strawberry, and no ladybird?", f"{RESNET}&cls=21-26&method=cam,saliency"),
    ),
    "Channel": (
        ("A channel for clocks", f"{RESNET}&layer=layer4&ch=52"),
        ("A channel for faces", f"{RESNET}&layer=layer3&ch=7"),
    ),
    "Synthesis": (
        ("A ladybird, made of noise", f"{RESNET}&cls=26"),
        ("What a channel looks for", f"{RESNET}&layer=layer4&ch=52"),
    ),
    "DeepDream": (
        ("The dream of an early layer", f"{RESNET}&layer=layer1"),
        ("The dream of a late layer", f"{RESNET}&layer=layer4"),
    ),
    "Neighbours": (("Pictures like a lighthouse", f"{RESNET}&img=scene-2"),),
    "Compare": (
        ("Three networks, one picture",
         f"{RESNET}&m=bundled:scenes-convnext&m=bundled:scenes-vit&method=cam,grad_cam"),
        ("Layers at the same depth", f"{RESNET}&{ALEXNET}&p.columns=depth"),
        ("What they see, made of noise", f"{RESNET}&{ALEXNET}&p.columns=synthesis"),
    ),
}  # fmt: skip


def offered(tab: str) -> str:
    """What can be tried in a tab, as buttons."""
    made = "".join(
        f'<button data-try="{i}">{escape(name)}</button>' for i, (name, _) in enumerate(TRIES[tab])
    )
    return f'<div class="fv-try" role="group" aria-label="Examples"><span>Try</span>{made}</div>'


def tried(tab: str, state: State, data: dict[str, Any]) -> State:
    """The state of an example that was clicked."""
    number = values.pick(data, "try")
    if number not in map(str, range(len(TRIES[tab]))):
        return state
    return from_query(f"tab={tab}&{TRIES[tab][int(number)][1]}")
