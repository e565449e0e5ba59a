"""The smallest network of every family of the zoos, small: every cheap method, or why not.

The sweep over all of them is `python -m benchmarks zoo --all`; its outcome is docs/zoo.md.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib.util import find_spec

import pytest

import zoo_adapters
from benchmarks.sweep.row import FAILED, methods
from zoo_adapters.measured import table

HUGE = 250e6  # weights: larger ones, a minute each, are left to the sweep
HERE = ["timm", "torchvision", *(["transformers"] if find_spec("transformers") else [])]


@lru_cache(maxsize=1)
def smallest() -> list[str]:
    """Of every family the architecture that costs least; of transformers every type."""
    chosen: dict[tuple[str, str], tuple[float, str]] = {}
    for zoo in HERE:
        for family, names in zoo_adapters.families(zoo).items():
            for name in names:
                architecture = name if zoo == "transformers" else name.partition(".")[0]
                if entry := table().get(architecture):
                    key = (zoo, architecture if zoo == "transformers" else family)
                    chosen[key] = min(chosen.get(key, (1e9, "")), (entry.gmacs, architecture))
    return [name for _, name in chosen.values() if table()[name].parameters <= HUGE]


@pytest.mark.parametrize("name", smallest())
def test_every_family_is_shown_by_every_method_or_says_why_not(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, while they build
        cells = dict(methods(name, {}))
    assert not {method: cell for method, cell in cells.items() if str(cell).startswith(FAILED)}
    shown = {method for method, cell in cells.items() if str(cell).endswith(" passes")}
    assert shown >= {"saliency", "smoothgrad", "integrated_gradients", "occlusion"}
    assert all(str(cell).strip() for cell in cells.values())


def test_every_family_that_was_measured_is_in_the_sample():
    families = {(n.partition(":")[0], n) for n in smallest()}
    assert {zoo for zoo, _ in families} == set(HERE)
