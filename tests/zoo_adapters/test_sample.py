"""One network of every module of timm through every method or a reason; see tests/support."""

from __future__ import annotations

import pytest

from tests.support.sample import IN_TURN, ZOOS, check, skipped, smallest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", smallest(["timm"]))
def test_every_family_is_shown_by_every_method_or_says_why_not(name):
    check(name)


def test_every_zoo_is_in_the_sample_with_its_families():
    found = {zoo: len(smallest([zoo])) for zoo in ZOOS}
    assert found["timm"] >= 90
    assert min(found.values()) >= 15


@pytest.mark.parametrize("group", IN_TURN)
def test_methods_that_take_turns_are_tried_on_many_families(group):
    names = smallest(ZOOS)
    for method in group:
        tried = sum(method not in skipped(name) for name in names)
        assert tried > len(names) / len(group) / 2, method
