"""The smallest network of every family of the zoos, small: cheap methods, or why not.

The sweep over all of them is `python -m benchmarks zoo --all`; its outcome is docs/zoo.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from importlib.util import find_spec

import zoo_adapters
from benchmarks.sweep.row import EXPENSIVE, FAILED, methods
from zoo_adapters.measured import table

HUGE = 250e6  # weights: larger ones, a minute each, are left to the sweep
# Methods with the same machinery, a pass and its gradient again and again, take turns: each network
# tries one of each group.
IN_TURN = (
    ("maximize", "inversion", "caricature", "deepdream"),
    ("smoothgrad", "integrated_gradients"),
)
ALWAYS = {"saliency", "smoothgrad", "integrated_gradients", "occlusion"}
ZOOS = ["timm", "torchvision", *(["transformers"] if find_spec("transformers") else [])]


def smallest(zoos: Iterable[str]) -> list[str]:
    """Of every family the architecture that costs least; of transformers every type."""
    chosen: dict[tuple[str, str], tuple[float, str]] = {}
    for zoo in zoos:
        for family, names in zoo_adapters.families(zoo).items():
            for name in names:
                architecture = name if zoo == "transformers" else name.partition(".")[0]
                if entry := table().get(architecture):
                    key = (zoo, architecture if zoo == "transformers" else family)
                    chosen[key] = min(chosen.get(key, (1e9, "")), (entry.gmacs, architecture))
    return [name for _, name in chosen.values() if table()[name].parameters <= HUGE]


def skipped(name: str) -> set[str]:
    """The methods that are not tried on a network."""
    turn = sum(name.encode())
    others = {method for group in IN_TURN for method in group if method != group[turn % len(group)]}
    return others.union(EXPENSIVE)


def check(name: str) -> None:
    """Every method gives its picture, or a reason in words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, while they build
        cells = dict(methods(name, {}, skipped(name)))
    assert not {method: cell for method, cell in cells.items() if str(cell).startswith(FAILED)}
    shown = {method for method, cell in cells.items() if str(cell).endswith(" passes")}
    assert shown >= ALWAYS - skipped(name)
    assert all(str(cell).strip() for cell in cells.values())
