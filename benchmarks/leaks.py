"""Leaks: is anything wrong with an answer that a stranger gets?"""

from __future__ import annotations

import json
import re
from pathlib import Path

from .client import Answer

__all__ = ["leak", "problem"]

HERE = re.escape(str(Path(__file__).parents[1]))  # this checkout
LEAKS = re.compile(
    rf"Traceback|File \"|site-packages| at 0x[0-9a-f]{{6}}|/tmp/|/home/|{HERE}|/root/|/var/|"
    r"/usr/lib|\w\.py\b|dist-packages"
)
UNEXPECTED = "this could not be computed"
CUT = 12  # letters of a value that are enough to know it by
SHORTENED = r"[^\s'\"]*?(?:…|\\u2026|\.\.\.)"
LENGTH = 4000  # letters of a sentence; a list of names needs some


def problem(answer: Answer, *echo: str) -> str:
    """What is wrong with an answer, in words; "" where nothing is. `echo`: what was asked."""
    if answer.fate == "lost":
        return f"no sentence: {answer.value}"
    if answer.fate == "refused" and not (isinstance(answer.value, str) and answer.value.strip()):
        return f"no sentence: {answer.value!r}"
    if answer.fate == "refused" and len(answer.value) > LENGTH:
        return "the sentence is too long"
    return leak(json.dumps(answer.value), *echo)


def leak(text: str, *echo: str) -> str:
    """The inside of the server that a text tells, in words; "" where it tells nothing."""
    if UNEXPECTED in text:
        return f"unexpected: {text[text.index(UNEXPECTED) :][:120]}"
    for words in echo:
        text = text.replace(words, "").replace(json.dumps(words)[1:-1], "")
        if len(words) > CUT:  # a long value is repeated in part
            text = re.sub(re.escape(words[:CUT]) + SHORTENED, "", text)
    match = LEAKS.search(text)
    return f"tells {text[max(0, match.start() - 40) : match.end() + 40]!r}" if match else ""
