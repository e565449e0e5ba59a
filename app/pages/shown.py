"""Shown: the pieces of HTML that a tab consists of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """What stands in a tab: results, and below the controls the channels as a grid."""

    view: str
    grid: str = ""
