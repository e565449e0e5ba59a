"""Waiting for the window."""

from __future__ import annotations

__all__ = ["SLOW", "settled"]

SLOW = 60_000  # milliseconds; a busy machine with two cores


def settled(page):
    """Wait until nothing is computed."""
    page.wait_for_timeout(300)
    page.locator(".fv-busy").wait_for(state="detached")
