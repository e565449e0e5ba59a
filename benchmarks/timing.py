"""Timing: candidates in turn, A B C A B C ..., so that a drifting machine slows them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

__all__ = ["interleaved"]


def interleaved(
    candidates: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 3
) -> dict[str, tuple[float, float]]:
    """Per candidate: median seconds, and the median of its ratio to the first one, round by round.

    Args:
        candidates: what is timed, by name; the first is the reference.
        rounds: how often each one is timed.
        warmup: rounds that are not counted.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for i in range(rounds + warmup):
        for name, run in candidates.items():
            start = perf_counter()
            run()
            if i >= warmup:
                times[name].append(perf_counter() - start)
    first = next(iter(times.values()))
    return {
        name: (median(spent), median(a / b for a, b in zip(spent, first, strict=True)))
        for name, spent in times.items()
    }
