"""Ratios against a bare pass and against other libraries, measured in one interleaved run."""
