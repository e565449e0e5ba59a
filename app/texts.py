"""Texts: the words of the window that are not a method's own."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from featvis import Method

__all__ = ["LEAD", "completeness", "duration", "exactness", "explanation", "sentence"]

LEAD = {
    "Filters": "The weights of a convolution as small pictures: what its filters answer to.",
    "Feature maps": "What each channel of a layer answers, and where in the picture.",
    "Synthesis": "The picture that excites a class, or the chosen channel of a layer, the most.",
    "DeepDream": "The picture, changed towards what the network already sees in it.",
    "Class evidence": "Which parts of the picture speak for a class, and which against it.",
}


def exactness(residual: float) -> str:
    """How well a class activation map adds up to its logit."""
    if residual < 1e-4:
        return f"adds up to the logit exactly (residual {residual:.0e})".replace("0e+00", "0")
    return f"misses the logit by {residual:.1e} of the largest"


def completeness(gap: float) -> str:
    """How well integrated gradients add up to the difference of the scores."""
    share = f"{100 * gap:.2g} %" if gap >= 1e-4 else "less than 0.01 %"
    return f"adds up to the score's rise from the baseline but for {share}"


def duration(seconds: float) -> str:
    """About how long something will take."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {round(seconds / 60)} min"


def sentence(text: object) -> str:
    """With a capital letter and a full stop; the names at its beginning stay as they are."""
    made = str(text).strip()
    first = made.split(" ", 1)[0]
    if first.isalpha() and first.islower():
        made = made[0].upper() + made[1:]
    return made + ("" if not made or made.endswith((".", "!", "?")) else ".")


def explanation(methods: Sequence[Method]) -> str:
    """What the docstrings of methods say, as Markdown: indented formulas are code there too."""
    return "\n\n---\n\n".join(_explained(method) for method in methods)


def _explained(method: Method) -> str:
    body = inspect.cleandoc(method.run.__doc__ or "").partition("\n")[2].strip("\n")
    paper = f"\n\n*{method.paper}*" if method.paper else ""
    return f"**{method.title}.** {method.help}\n\n{body}{paper}"
