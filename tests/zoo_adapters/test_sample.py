"""One network of every module of timm through every method or a reason; see tests/support."""

from __future__ import annotations

import pytest

from tests.support.sample import ZOOS, check, smallest


@pytest.mark.parametrize("name", smallest(["timm"]))
def test_every_family_is_shown_by_every_method_or_says_why_not(name):
    check(name)


def test_every_zoo_is_in_the_sample_with_its_families():
    found = {zoo: len(smallest([zoo])) for zoo in ZOOS}
    assert found["timm"] >= 90
    assert min(found.values()) >= 15
