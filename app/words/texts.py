"""Texts: the words of the window that are not a method's own."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence

from featvis import Method
from zoo_adapters import Facts
from zoo_adapters.hub import Found

__all__ = [
    "EXPLANATION",
    "LEAD",
    "OTHERS",
    "completeness",
    "count",
    "durations",
    "exactness",
    "explanation",
    "sentence",
    "told",
    "without_hub",
]

OTHERS = {
    "Channel": "Other networks, in which channels that answer alike are looked for",
    "Compare": "The network on the left comes first; add others from the list, or by name, as "
    "timm:resnet50.a1_in1k",
}
SOON = 2.0  # seconds
NAMES = ("featvis", "timm", "torchvision", "transformers")  # which begin small everywhere

LEAD = {
    "Filters": "The weights of a convolution as small pictures: what its filters answer to.",
    "Feature maps": "What each channel of a layer answers, and where in the picture.",
    "Synthesis": "The picture that excites a class, or the chosen channel of a layer, the most.",
    "DeepDream": "The picture, changed towards what the network already sees in it.",
    "Channel": "One channel of one layer: what excites it, where, how often, and what it is like.",
    "Neighbours": "The pictures that look most alike to the network; click one to go on from it.",
    "Compare": "The same question about the same picture, to several networks.",
    "Class evidence": "Which parts of the picture speak for a class, and which against it.",
}

# Of the pages; a tab of methods is explained by their docstrings.
EXPLANATION = {
    "Channel": """**Channel.** A set of pictures has been shown to the network, and for every
channel it was noted which of them excite it the most, and where.

The *patches* are what the neuron can see of those pictures; below each is the guided
backpropagation of exactly that neuron: what in the patch excites it. Look for what the patches
have in common, then for what they do not. The nine strongest pictures are the tail of the
distribution: what a channel does for the other pictures, the histogram and the classes tell.

*IoU* is how well the channel, cut off at the value that 0.5 % of all positions exceed, covers the
pixels of a part of the drawn objects (Network Dissection, Bau et al. 2017). *Selectivity* is the
mean of the best class against the mean of all others, from 0 to 1.

A channel need not mean one thing: many answer to several (Olah et al. 2020), and a name for it is
a guess that the pictures allow, not one that they prove.""",
    "Compare": """**Comparison.** Each row is a network, each column a method, or with *depth* a
layer at the same share of the way from the picture to the answer, all its channels as three
principal components. With *synthesis* the columns are the same layers, each by the channel that
your picture excites the most there, as the picture made to excite it: some seconds for each.

What is explained is the class that you choose, found by its label in each network's own list, or,
if none is chosen, what each network predicts: then look at the words below a map before you
compare it. Every network sees the picture as it was trained to, cropped and at its own size; maps
are placed on the original picture.

*Own* colours show where each map is strong; *shared* ones how strong, within a column. The logits
of two networks have no common unit, so agreement is measured by ranks: Spearman's correlation over
all places, and the overlap of the strongest fifth. Agreement does not make a map right: networks
of one data set share its accidents.""",
    "Neighbours": """**Nearest neighbours.** The embedding of a picture is what the network makes of
it just before the logits; pictures are alike if the angle between their embeddings is small.

    cosine(a, b) = a . b / (|a| |b|)

Krizhevsky et al. (2012) showed it first: neighbours share what the network has learned to tell
apart, such as the kind of object, and not pose, colour or background, which neighbours in pixels
share. What the neighbours have in common that is *not* the class is worth a look: it is what the
network may have learned besides.

*By a layer* the same is asked of a layer on the way: of each channel the mean over its map is
taken, less its average over the pictures, and the cosine is of these numbers. *By a channel* the
neighbours are the pictures in which the channel's maximum is closest to the one in yours: pictures
of which it makes as much or as little. Both are looked for among at most 500 of the pictures,
evenly spread, which are shown to the network when this is first asked for.""",
}


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
