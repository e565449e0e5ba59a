"""Particles: Korean ones that follow a value take the form that its last sound asks for."""

from __future__ import annotations

import re

# As written in the catalog: with a final consonant before it, and without one.
PAIRS = {"을(를)": ("을", "를"), "이(가)": ("이", "가"), "은(는)": ("은", "는"),
         "과(와)": ("과", "와"), "(으)로": ("으로", "로"), "(이)": ("이", "")}  # fmt: skip
WRITTEN = re.compile(
    r"([^\s<>])((?:</?[a-z]+>|[)\"'”’])*)(" + "|".join(map(re.escape, PAIRS)) + ")"
)
RIEUL = 8  # the final consonant after which it is 로 and not 으로


def fitted(text: str, language: str) -> str:
    """The text with each pair of particles decided; other languages have none."""
    return WRITTEN.sub(_decided, text) if language == "ko" else text


def _decided(at: re.Match[str]) -> str:
    last, between, written = at.groups()
    final = _final(last)
    closed = final > 0 and not (written == "(으)로" and final == RIEUL)
    return last + between + PAIRS[written][0 if closed else 1]


def _final(sign: str) -> int:
    """The number of the final consonant of a sign as it is read aloud; 0: it has none."""
    if "가" <= sign <= "힣":
        return (ord(sign) - ord("가")) % 28
    read = {"0": 21, "1": RIEUL, "3": 16, "6": 1, "7": RIEUL, "8": RIEUL,
            "l": RIEUL, "r": RIEUL, "m": 16, "n": 4}  # fmt: skip
    return read.get(sign.lower(), 0)
