"""The window's language: its own words, and their translation."""
