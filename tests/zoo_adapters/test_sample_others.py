"""One network of every family of torchvision, and of every type of transformers."""

from __future__ import annotations

import pytest

from tests.support.sample import ZOOS, check, smallest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", smallest(zoo for zoo in ZOOS if zoo != "timm"))
def test_every_family_is_shown_by_every_method_or_says_why_not(name):
    check(name)
