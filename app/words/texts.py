"""Texts: the words of the window that are not a method's own."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence

from featvis import Method
from zoo_adapters import Facts
from zoo_adapters.hub import Found

SOON = 2.0  # seconds
NAMES = ("featvis", "timm", "torchvision", "transformers")  # which begin small everywhere


def without_hub(reason: str) -> str:
    """What works where nothing can be downloaded."""
    return (
        f"Nothing can be downloaded: {reason}. The bundled networks work, and those that are on "
        "disk; what is chosen besides says that its weights are missing"
    )


def exactness(residual: float) -> str:
    """How well a class activation map adds up to its logit."""
    if residual < 1e-4:
        return f"adds up to the logit exactly (residual {residual:.0e})".replace("0e+00", "0")
    return f"misses the logit by {residual:.1e} of the largest"


def completeness(gap: float) -> str:
    """How well integrated gradients add up to the difference of the scores."""
    share = f"{100 * gap:.2g} %" if gap >= 1e-4 else "less than 0.01 %"
    return f"adds up to the score's rise from the baseline but for {share}"


def durations(seconds: Iterable[float]) -> list[str]:
    """About how long each of several things will take; "" of those that are done soon."""
    return [_duration(value) if value > SOON else "" for value in seconds]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {round(seconds / 60)} min"


def sentence(text: object) -> str:
    """With a capital letter and a full stop; the names at its beginning stay as they are."""
    made = str(text).strip()
    first = made.split(" ", 1)[0]
    if first.isalpha() and first.islower() and first not in NAMES:
        made = made[0].upper() + made[1:]
    return made + ("" if not made or made.endswith((".", "!", "?")) else ".")


def explanation(methods: Sequence[Method]) -> str:
    """What the docstrings of methods say, as Markdown: indented formulas are code there too."""
    return "\n\n---\n\n".join(_explained(method) for method in methods)


def _explained(method: Method) -> str:
    body = inspect.cleandoc(method.run.__doc__ or "").partition("\n")[2].strip("\n")
    paper = f"\n\n*{method.paper}*" if method.paper else ""
    return f"**{method.title}.** {method.help}\n\n{body}{paper}"


def count(number: int) -> str:
    """A number of weights in words."""
    return f"{number / 1e6:.1f} M weights" if number >= 1e5 else f"{number:,} weights"


def told(one: Facts | Found) -> str:
    """What is known of a network, or of a repository of the hub, before it is loaded."""
    if isinstance(one, Found):
        words = [
            count(one.parameters) if one.parameters else "",
            one.licence,
            f"{one.downloads:,} downloads",
            "gated" if one.gated else "",
        ]
    else:
        words = [
            count(one.about) if one.about else "",
            f"{one.gmacs:.1f} GMAC" if one.gmacs else "",
            f"{one.size[0]} px" if one.size else "",
            {"": "", "none": "no CAM"}.get(one.head or "", f"CAM: {one.head}"),
            one.licence,
            "on disk" if one.on_disk else "",
        ]
    return " · ".join(filter(None, words))
