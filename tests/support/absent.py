"""What a test needs and this machine lacks."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

__all__ = ["skip_or_fail"]


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test; where FEATVIS_REAL_DATA is set everything has to be here, and it fails."""
    if os.environ.get("FEATVIS_REAL_DATA"):
        pytest.fail(reason)
    pytest.skip(reason)
