"""Values from outside: one reading of each type, which the API, links and events share.

Whatever was sent, of any type and length, is a value of the type that was asked for, or a
WrongRequest in one short sentence. Nothing here opens a file or asks a network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from numbers import Real
from typing import Any

from featvis import WrongRequest
from featvis.model import brief

LONGEST = 300  # characters of any text but a search or JSON
WORDS, LETTERS = 10, 200  # of a search
MOST = 1_000_000_000  # no number here is larger, nor further below zero
JSON = 4000  # characters of parameters
DIGITS = re.compile(r"[0-9]{1,10}", re.ASCII)
POSITION = re.compile(r" *([0-9]{1,5}) *, *([0-9]{1,5}) *", re.ASCII)


def text(what: str, value: object, longest: int = LONGEST) -> str:
    """Text in one line; nothing (null) is the empty text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WrongRequest(f"{what} is text, not {brief(value)}")
    if len(value) > longest:
        raise WrongRequest(
            f"{what} is text of at most {longest:,} characters, and {len(value):,} were sent"
        )
    if not value.isprintable():
        raise WrongRequest(f"{what} is text in one line, without control characters")
    return value


def name(what: str, value: object) -> str:
    """Text that may not be empty."""
    if line := text(what, value).strip():
        return line
    raise WrongRequest(f"{what} is empty; give a name")


def names(what: str, value: object, most: int) -> list[str]:
    """A list of texts; nothing (null) is the empty list."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise WrongRequest(f"{what} is a list of names, not {brief(value)}")
    if len(value) > most:
        raise WrongRequest(f"{what} is a list of at most {most} names, not of {len(value):,}")
    return [text(what, one) for one in value]


def words(value: object) -> list[str]:
    """The words of a search, in small letters, each once."""
    parts = list(dict.fromkeys(text("search", value, LETTERS).lower().split()))
    if len(parts) > WORDS:
        raise WrongRequest(f"a search takes at most {WORDS} words, not {len(parts)}")
    return parts


def whole(what: str, value: object, low: int = -MOST, high: int = MOST) -> int:
    """A whole number as JSON or a page sends it: 3 or 3.0."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise _no_whole(what, value, low, high)
    if not low <= value <= high or value != int(value):  # NaN is within no bounds
        raise _no_whole(what, value, low, high)
    return int(value)


def digits(what: str, value: object, low: int = 0, high: int = MOST) -> int:
    """A whole number as a link or a command line writes it: "3"."""
    if not isinstance(value, str) or not DIGITS.fullmatch(value):
        raise _no_whole(what, value, low, high)
    return whole(what, int(value), low, high)


def _no_whole(what: str, value: object, low: int, high: int) -> WrongRequest:
    if (low, high) == (-MOST, MOST):
        return WrongRequest(f"{what} is a whole number, not {brief(value)}")
    return WrongRequest(f"{what} is a whole number from {low} to {high}, not {brief(value)}")


def flag(what: str, value: object) -> bool:
    """Yes or no; nothing (null) is no."""
    if value is None or isinstance(value, bool):
        return bool(value)
    raise WrongRequest(f"{what} is true or false, not {brief(value)}")


def position(value: object) -> tuple[int, int] | None:
    """Row and column of "3,4"; nothing of an empty text."""
    line = text("position", value)
    match = POSITION.fullmatch(line)
    if line and not match:
        raise WrongRequest(f"a position is ROW,COLUMN as in 3,4, not {brief(value)}")
    return (int(match[1]), int(match[2])) if match else None


def pick(data: object, key: str = "pick") -> str:
    """Return the clicked piece's name, or "" if it has none."""
    value = data.get(key) if isinstance(data, Mapping) else None
    return value if isinstance(value, str) and len(value) <= 4 * LONGEST else ""


def settings(value: object) -> dict[str, Any]:
    """Names and values of a text in JSON; nothing of an empty one."""
    refusal = WrongRequest('parameters are names and values as JSON, as {"samples": 25}')
    if not isinstance(value, str | None):
        raise refusal
    line = (value or "").strip() or "{}"
    if len(line) > JSON:
        raise WrongRequest(
            f"parameters are JSON of at most {JSON:,} characters, and {len(line):,} were sent"
        )
    try:
        table = json.loads(line)
    except (ValueError, RecursionError):  # also a number of too many digits
        raise refusal from None
    if not isinstance(table, dict):
        raise refusal
    return table
