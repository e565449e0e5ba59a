"""Measures: how far a map can be trusted, and what two maps or two networks share."""
