"""Tabs: one record for each tab of the window. A new family of methods needs one, too.

The page of a tab is found by its name in `pages/`, and its sheet in `files/`.
"""

from __future__ import annotations

from dataclasses import dataclass

from featvis import METHODS, Method, Param

from ..machine.limits import allowed_params

RESNET, ALEXNET = "m=bundled:scenes-resnet", "m=bundled:scenes-alexnet"

# What is shown and how; no method has these parameters, but links carry them like one.
DISPLAY = {
    param.name: param
    for param in (
        Param("scale", str, "shared", "Brightness of the tiles: one scale for all, or each its own",
              None, ("shared", "own")),
        Param("explain", str, "class", "What the maps explain; a click on the picture picks a "
              "neuron", None, ("class", "neuron")),
        Param("maps", str, "own", "Colours of the maps: each its own scale, or one for those in "
              "the same unit", None, ("own", "shared")),
        Param("box", bool, False, "A box round the strongest evidence, over 20 % of the maximum"),
        Param("trust", bool, False, "Does the prediction follow what the map calls important?"),
        Param("sanity", bool, False, "The maps while the network's weights are drawn anew, step by "
              "step"),
        Param("columns", str, "methods", "Methods; or at the same depths all channels of a layer, "
              "or the picture made for its strongest one", None,
              ("methods", "depth", "synthesis")),
        Param("layers", bool, False, "How alike the layers of the networks are (CKA)"),
        Param("neighbours", bool, False, "How far they find the same pictures alike"),
        Param("by", str, "embedding", "Alike to the whole network, to the chosen layer, or to its "
              "chosen channel", None, ("embedding", "layer", "channel")),
        Param("pair", str, "", "Two layers that are shown: NETWORK|LAYER|LAYER"),
        Param("download", bool, False, "Fetch networks that are not on disk; each says how large "
              "it is"),
        Param("picture", bool, False, "Make the pictures that excite the channel and its "
              "counterparts the most, too"),
    )
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Tab:
    """What a tab says of itself, what can be chosen in it, and how it behaves."""

    name: str  # in links, too; the tab of a family of methods has the family's name
    lead: str
    explanation: str = ""  # how to read it; "": the docstrings of its methods tell
    family: str = ""  # of the methods to choose from
    choices: tuple[str, ...] = ()  # names in DISPLAY
    examples: tuple[tuple[str, str], ...]  # titles, and links without the tab
    page: str = ""  # NAME: it is drawn by pages/NAME.py and saved by files/NAME_sheet.py
    others_label: str = ""  # of the list of other networks; "": there is no such list
    others: str = ""  # the sentence below that label
    compares_networks: bool = False  # it puts its question to the other networks, too
    has_grid: bool = False  # it shows all channels of a layer
    shows_weights: bool = False  # of a convolution, so no picture matters
    explains: bool = False  # its methods explain a class or a neuron
    makes_pictures: bool = False  # its methods make a picture of a layer, a channel or a class
    begins_with_class: bool = False  # that is the predicted class until a layer is chosen

    @property
    def methods(self) -> list[Method]:
        """The methods to choose from, in the order in which they are declared."""
        return [method for method in METHODS.values() if method.family == self.family]

    @property
    def first_methods(self) -> list[Method]:
        """Those shown until some are chosen: the methods declared so, or the first one."""
        return [method for method in self.methods if method.first] or self.methods[:1]

    @property
    def params(self) -> dict[str, Param]:
        """All parameters that the window has for the tab, by their names."""
        allowed = allowed_params([] if self.page else self.methods).values()
        tunable = [param for params in allowed for param in params if not param.tuning]
        choices = {name: DISPLAY[name] for name in self.choices}
        return choices | {param.name: param for param in tunable}

    @property
    def param_names(self) -> set[str]:
        """The names of all parameters."""
        methods = [] if self.page else self.methods
        return {p.name for m in methods for p in m.params if not p.tuning} | set(self.choices)


# Pages explain themselves here.
CHANNEL = """**Channel.** A set of pictures has been shown to the network, and for every
channel it was noted which of them excite it the most, and where.

The *patches* are what the neuron can see of those pictures; below each is the guided
backpropagation of exactly that neuron: what in the patch excites it. Look for what the patches
have in common, then for what they do not. The nine strongest pictures are the tail of the
distribution: what a channel does for the other pictures, the histogram and the classes tell.

*IoU* is how well the channel, cut off at the value that 0.5 % of all positions exceed, covers the
pixels of a part of the drawn objects (Network Dissection, Bau et al. 2017). *Selectivity* is the
mean of the best class against the mean of all others, from 0 to 1.

A channel need not mean one thing: many answer to several (Olah et al. 2020), and a name for it is
a guess that the pictures allow, not one that they prove."""
NEIGHBOURS = """**Nearest neighbours.** The embedding of a picture is what the network makes of
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
evenly spread, which are shown to the network when this is first asked for."""
COMPARE = """**Comparison.** Each row is a network, each column a method, or with *depth* a
layer at the same share of the way from the picture to the answer, all its channels as three
principal components. With *synthesis* the columns are the same layers, each by the channel that
your picture excites the most there, as the picture made to excite it: some seconds for each.

What is explained is the class that you choose, found by its label in each network's own list, or,
if none is chosen, what each network predicts: only maps of the same class are then compared. Every
network sees the picture as it was trained to, cropped and at its own size; maps are placed on the
original picture.

*Own* colours show where each map is strong; *shared* ones how strong, among the maps of a network
that are in the same unit. The logits of two networks have no common unit, so agreement is measured
by ranks: Spearman's correlation over all places, and the overlap of the strongest fifth. Agreement
does not make a map right: networks of one data set share its accidents."""

RECORDS = (
    Tab(
        name="Filters",
        lead="The weights of a convolution as small pictures: what its filters answer to.",
        family="Filters",
        choices=("scale",),
        examples=(
            ("Large filters of colour", ALEXNET),
            ("The kernels of one filter", f"{RESNET}&layer=layer2.0.conv1&ch=5"),
        ),
        has_grid=True,
        shows_weights=True,
    ),
    Tab(
        name="Feature maps",
        lead="What each channel of a layer answers, and where in the picture.",
        family="Feature maps",
        choices=("scale",),
        examples=(
            ("The first layer", f"{RESNET}&layer=conv1"),
            ("The last layer", f"{RESNET}&layer=layer4"),
        ),
        has_grid=True,
    ),
    Tab(
        name="Class evidence",
        lead="Which parts of the picture speak for a class, and which against it.",
        family="Class evidence",
        choices=("explain", "maps", "box", "trust", "sanity"),
        examples=(
            ("Why a lighthouse?", f"{RESNET}&img=scene-2&method=cam,grad_cam,guided_backprop"),
            ("A strawberry, and no ladybird?", f"{RESNET}&cls=21-26&method=cam,saliency"),
        ),
        explains=True,
    ),
    Tab(
        name="Channel",
        lead="One channel of one layer: what excites it, where, how often, and what it is like.",
        explanation=CHANNEL,
        choices=("picture", "download"),
        examples=(
            ("A channel for clocks", f"{RESNET}&layer=layer4&ch=52"),
            ("A channel for faces", f"{RESNET}&layer=layer3&ch=7"),
        ),
        page="channel",
        others_label="Counterparts in",
        others="Other networks, in which channels that answer alike are looked for",
        has_grid=True,
    ),
    Tab(
        name="Synthesis",
        lead="The picture that excites a class, or the chosen channel of a layer, the most.",
        family="Synthesis",
        examples=(
            ("A ladybird, made of noise", f"{RESNET}&cls=26"),
            ("What a channel looks for", f"{RESNET}&layer=layer4&ch=52"),
        ),
        makes_pictures=True,
        begins_with_class=True,
    ),
    Tab(
        name="DeepDream",
        lead="The picture, changed towards what the network already sees in it.",
        family="DeepDream",
        examples=(
            ("The dream of an early layer", f"{RESNET}&layer=layer1"),
            ("The dream of a late layer", f"{RESNET}&layer=layer4"),
        ),
        makes_pictures=True,
    ),
    Tab(
        name="Neighbours",
        lead="The pictures that look most alike to the network; click one to go on from it.",
        explanation=NEIGHBOURS,
        choices=("by",),
        examples=(("Pictures like a lighthouse", f"{RESNET}&img=scene-2"),),
        page="neighbours",
    ),
    Tab(
        name="Compare",
        lead="The same question about the same picture, to several networks.",
        explanation=COMPARE,
        family="Class evidence",
        choices=("columns", "maps", "trust", "layers", "neighbours", "download"),
        examples=(
            (
                "Three networks, one picture",
                f"{RESNET}&m=bundled:scenes-convnext&m=bundled:scenes-vit&method=cam,grad_cam",
            ),
            ("Layers at the same depth", f"{RESNET}&{ALEXNET}&p.columns=depth"),
            ("What they see, made of noise", f"{RESNET}&{ALEXNET}&p.columns=synthesis"),
        ),
        page="compare",
        others_label="Compared with",
        others="The network on the left comes first; add others from the list, or by name, as "
        "timm:resnet50.a1_in1k",
        compares_networks=True,
    ),
)
TABS = {tab.name: tab for tab in RECORDS}
FAMILIES = tuple(tab.name for tab in RECORDS if tab.family == tab.name)


def _check_families() -> None:
    """Refuse a family of methods that has no tab: nobody could see them."""
    for method in METHODS.values():
        if method.family not in FAMILIES:
            raise ValueError(
                f"{method.name}: the family {method.family!r} has no tab; add its record to "
                "app/question/tabs.py"
            )


_check_families()
