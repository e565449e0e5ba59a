"""Sums, counts and draws that do not depend on the order or on the grouping of what is added.

Floating-point addition is not associative: two machines that add in another order disagree in the
last digits. Here a number is cut into whole multiples of three fixed units, which are added as
integers; and a histogram has the same bins for every channel, known before the first value.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["BINS", "added", "bins", "edges", "hashed", "limbs"]

UNITS = (2.0**10, 2.0**-28, 2.0**-66)  # each limb stays below 2^38: 2^25 numbers can be added
LARGEST = 2.0**47
SMALLEST = -16  # binary exponent: what is closer to zero than 2^-16 counts as zero
STEPS = 8  # bins per factor of two
CODES = 32 * STEPS  # per sign: up to 2^16
BINS = 2 * CODES + 1  # one for zero in the middle


def limbs(numbers: Tensor) -> Tensor:
    """Numbers (...) as whole multiples (3, ...) of `UNITS`, int64: their sums are exact."""
    rest = numbers.double().nan_to_num(0.0, LARGEST, -LARGEST).clamp_(-LARGEST, LARGEST)
    parts = numbers.new_empty(len(UNITS), *numbers.shape, dtype=torch.long)
    for unit, part in zip(UNITS, parts, strict=True):
        whole = (rest * (1 / unit)).round_()  # exact: a unit is a power of two
        part.copy_(whole)
        rest.sub_(whole, alpha=unit)
    return parts


def added(sums: Tensor) -> Tensor:
    """The numbers (...), float64, of sums of limbs (3, ...)."""
    return sum((sums[i].double() * unit for i, unit in enumerate(UNITS)), torch.zeros(()).double())


def bins(values: Tensor) -> Tensor:
    """The bin of each value, 0 to BINS - 1: eight to a factor of two, from -2^16 to 2^16.

    They are read off the bits of a float32: sign, exponent, and the first three of the fraction.
    """
    top = values.float().contiguous().view(torch.int32) >> 20  # -2048 .. 2047
    return _table(values.device).index_select(0, top.add_(2048).view(-1)).view(values.shape)


@lru_cache(maxsize=8)
def _table(device: torch.device) -> Tensor:
    """The bin of each pattern (4096,) of a float32's first twelve bits, that of -0.0 at 0."""
    pattern = torch.arange(-2048, 2048)
    magnitude = pattern & 0x7FF
    code = (magnitude - ((127 + SMALLEST) * STEPS - 1)).clamp(0, CODES)
    code = torch.where(magnitude > 0x7F8, 0, code)  # not a number
    return torch.where(pattern < 0, CODES - code, CODES + code).to(device)


def edges() -> Tensor:
    """The lower ends (BINS + 1,) of the bins, float64, and the upper end of the last one."""
    code = torch.arange(CODES + 1).double()
    up = 2.0**SMALLEST * 2 ** (code / STEPS).floor() * (1 + code.remainder(STEPS) / STEPS)
    return torch.cat([-up.flip(0), up])


def hashed(numbers: Tensor, salt: int = 0) -> Tensor:
    """Whole numbers in [0, 2^62) that look random, the same ones always (splitmix64)."""
    x = (numbers.long() + (salt + 1) * 0x632BE59B) * -7046029254386353131
    x = (x ^ ((x >> 30) & (2**34 - 1))) * -4658895280553007687
    x = (x ^ ((x >> 27) & (2**37 - 1))) * -7723592293110705685
    return (x ^ ((x >> 31) & (2**33 - 1))) & (2**62 - 1)
