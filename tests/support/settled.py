"""Waiting for the window."""

from __future__ import annotations

__all__ = ["SLOW", "filled", "settled"]

SLOW = 60_000  # milliseconds; a busy machine with two cores


def settled(page):
    """Wait until nothing is computed."""
    page.wait_for_timeout(300)
    page.locator(".fv-busy").wait_for(state="detached")


def filled(page, name, text):
    """A text box with a text in it; one that was just unfolded is mounted empty a moment later."""
    box = page.get_by_role("textbox", name=name)
    box.wait_for()
    page.wait_for_timeout(300)
    box.fill(text)
    return box
