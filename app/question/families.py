"""Families: which methods a tab offers, and which of them it shows."""

from __future__ import annotations

from featvis import METHODS, Method

from .state import State

__all__ = ["family_of", "first_methods", "has_methods", "methods_of", "shown_methods"]


def family_of(tab: str) -> str:
    """The family of methods that can be chosen in a tab."""
    return "Class evidence" if tab == "Compare" else tab


def methods_of(tab: str) -> list[Method]:
    """The methods of a tab, in the order in which they are declared."""
    return [method for method in METHODS.values() if method.family == family_of(tab)]


def shown_methods(state: State) -> list[Method]:
    """The chosen methods of the tab in view, or its first ones."""
    family = methods_of(state.tab)
    chosen = [method for method in family if method.name in state.methods]
    return chosen or first_methods(state.tab)


def first_methods(family: str) -> list[Method]:
    """What a tab shows until something is chosen: the methods declared so, or the first."""
    found = methods_of(family)
    return [method for method in found if method.first] or found[:1]


def has_methods(state: State) -> bool:
    """Are methods shown, that can be chosen?"""
    return state.tab != "Compare" or state.display("columns") == "methods"
