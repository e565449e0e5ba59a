"""What is known of a model before it is built: read from tables on disk, never from the network."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["HEADS", "KINDS", "Facts", "training_data"]

KINDS = ("convolutional", "transformer", "hybrid", "mixer")  # mixer: by MLPs or recurrence
HEADS = ("exact", "frozen norm", "frozen gates", "none")

NONCOMMERCIAL = re.compile(r"(^|[-_])nc([-_]|$)|non-?commercial|research|amlr")
DATA = {  # words of a tag -> what the weights were trained on
    "scenes": "drawn scenes",
    "in1k": "ImageNet-1k",
    "in12k": "ImageNet-12k",
    "in21k": "ImageNet-21k",
    "in22k": "ImageNet-22k",
    "inw21k": "ImageNet-21k (winter)",
    "openai": "WIT",
    "yfcc15m": "YFCC-15M",
    "yfcc100m": "YFCC-100M",
    "cc12m": "CC-12M",
    "ig1b": "Instagram-1B",
    "laion2b": "LAION-2B",
    "laion400m": "LAION-400M",
    "laiona": "LAION-Aesthetic",
    "datacomp1b": "DataComp-1B",
    "datacompxl": "DataComp-XL",
    "dfn2b": "DFN-2B",
    "dfn5b": "DFN-5B",
    "dfndr2b": "DFNDR-2B",
    "merged2b": "Merged-2B",
    "m38m": "Merged-38M",
    "m30m": "Merged-30M",
    "webli": "WebLI",
    "sa1b": "SA-1B",
    "lvd142m": "LVD-142M",
    "lvd1689m": "LVD-1689M",
    "sat493m": "SAT-493M",
    "bamboo": "Bamboo",
    "jft": "JFT-300M",
}


@dataclass(frozen=True)
class Facts:
    """What a picker shows of a model; None or "" where only building or asking would tell."""

    name: str  # "timm:resnet50.a1_in1k", as `load` takes it
    family: str  # "resnet"
    variant: str  # "resnet50.a1_in1k"
    size: tuple[int, int] | None = None  # input height and width
    classes: int | None = None  # 0 for a network without a classifier
    parameters: int | None = None
    licence: str = ""
    source: str = ""  # where the weights come from: an address or a folder
    training: str = ""  # "ImageNet-21k, then ImageNet-1k"
    weights: bool = True  # do trained weights exist at all?
    on_disk: bool = False  # can it be loaded without a connection?
    download: int | None = None  # bytes to download where it is not on disk
    about: int | None = None  # parameters of the architecture, where those of the weights differ
    gmacs: float | None = None  # 10^9 multiplications for a picture of `size`
    kind: str = ""  # one of KINDS; "" where it is not known
    head: str = ""  # one of HEADS; "" where it is not known

    @property
    def commercial(self) -> bool:
        """Does its licence not exclude commercial use? An unknown one may."""
        return self.licence not in ("", "unknown") and not NONCOMMERCIAL.search(self.licence)


def training_data(tag: str) -> str:
    """The data named by a tag: "augreg_in21k_ft_in1k" -> "ImageNet-21k, then ImageNet-1k"."""
    return ", then ".join(DATA[word] for word in tag.split("_") if word in DATA)
