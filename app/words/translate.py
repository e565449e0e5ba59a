"""Words: the window's English in another language, sentence by sentence, at the door.

All text is written in English where it is made: in the methods, the zoos and here. Before it
leaves, each sentence is looked up in the catalog of the visitor's language,
`assets/words/LANGUAGE.json`: English -> its translation. A key may have values in braces, as
"channel {channel} of {layer}"; it fits every sentence of that form, and the values are looked up
in turn. So errors of every package are translated, results are kept once for all languages, and
what has no translation stays English.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from html import escape, unescape
from pathlib import Path
from typing import NamedTuple

from .korean import fitted

LANGUAGES = {"en": "English", "ko": "한국어"}  # the first is that of the code
FOLDER = Path(__file__).parent.parent / "assets" / "words"
VALUE = re.compile(r"\{([a-z_]+)\}")
TAG = re.compile(r"(<[^>]*>)")
INLINE = re.compile(r"</?(?:b|em|small|code|strong)>")  # within a sentence; others end it
TOLD = re.compile(r'\b(title|alt|aria-label|placeholder|data-said)="([^"]*)"')
NUMBER = re.compile(r"(.*?)( -?[\d.,]+(?: %)?| \(\d+\))")  # a name and its value
NAME = re.compile(r"\S*|[^a-z]*")  # what needs no translation, beside others that have one
LETTER = re.compile("[A-Za-z]")


class Form(NamedTuple):
    """A key with values: what it must contain, its pattern, and its translation."""

    literal: str  # its longest piece without a value: most other sentences lack it
    size: int  # letters that are not values: the form with the most is the right one
    pattern: re.Pattern[str]
    translation: str


def chosen(asked: str | None, accepted: str) -> str:
    """The language of a visit: the one that its link asks for, or else the browser's first."""
    if asked in LANGUAGES:
        return str(asked)
    ranked = []
    for item in accepted.split(","):
        name, _, rank = item.partition(";q=")
        try:
            ranked.append((-float(rank or 1), len(ranked), name.strip().partition("-")[0].lower()))
        except ValueError:
            continue
    known = [name for _, _, name in sorted(ranked) if name in LANGUAGES]
    return (known or list(LANGUAGES))[0]


@lru_cache
def catalog(language: str) -> Mapping[str, str]:
    """English -> its translation, as it is in the file; none for English itself."""
    file = FOLDER / f"{language}.json"
    if not file.is_file():
        return {}
    sections: dict[str, dict[str, str]] = json.loads(file.read_text("utf8"))
    return {key: text for section in sections.values() for key, text in section.items()}


@lru_cache
def _forms(language: str) -> list[Form]:
    made = []
    for key, text in catalog(language).items():
        pieces = VALUE.split(key)
        if len(pieces) == 1:
            continue
        pattern, seen = "", set()
        for i, piece in enumerate(pieces):
            if i % 2 == 0:
                pattern += re.escape(piece)
            else:
                pattern += f"(?P={piece})" if piece in seen else f"(?P<{piece}>.+?)"
                seen.add(piece)
        fixed = pieces[::2]
        longest = max(fixed, key=len)
        size = sum(map(len, fixed))
        made.append(Form(longest, size, re.compile(pattern, re.DOTALL), text))
    return sorted(made, key=lambda form: -form.size)


def said(text: str, language: str) -> str:
    """A sentence, a label or a name in a language; as it is if it has no translation."""
    return text if language == "en" or not LETTER.search(text) else _translated(text, language)


@lru_cache(maxsize=10_000)
def _translated(text: str, language: str) -> str:
    inner = text.strip()
    found = _found(inner, language)
    return text if found is None else text.replace(inner, found)


def _found(text: str, language: str) -> str | None:
    """The translation, also of a sentence that was given its capital letter and full stop."""
    if " …" in text:  # what is done, and for how long
        return " …".join(said(part, language) for part in text.split(" …"))
    plain = text.removesuffix(".")
    starts = dict.fromkeys(
        start + whole[1:]
        for whole in (plain, text, f"{plain}.")
        for start in (whole[:1], whole[:1].lower(), whole[:1].upper())
    )
    known = catalog(language)
    made = next((known[start] for start in starts if start in known), None)
    if made is None:
        fits = [fit for start in starts if (fit := _fit(start, language))]
        made = _filled(*max(fits, key=lambda fit: fit[0].size), language) if fits else None
    if made is not None:
        ended = made.removesuffix(".")
        return ended if text == plain or made.endswith("?") else f"{ended}."
    for mark in (" · ", ", ", "; ", ": "):
        if mark in text and (parts := _parts(text.split(mark), language)):
            return mark.join(parts)
    if (with_number := NUMBER.fullmatch(text)) and (name := known.get(with_number[1])):
        return name + with_number[2]
    return None


def _fit(text: str, language: str) -> tuple[Form, re.Match[str]] | None:
    """The form that fits a sentence with values, the one with the most words of its own."""
    for form in _forms(language):
        match = form.pattern.fullmatch(text) if form.literal in text else None
        if match and all(map(_whole, match.groups())):
            return form, match
    return None


def _whole(value: str) -> bool:
    """Does it close no tag and no bracket before it opens one?"""
    return "</" not in value.partition("<b>")[0] and ")" not in value.partition("(")[0]


def _filled(form: Form, match: re.Match[str], language: str) -> str:
    """The translation with its values, which are translated in turn."""
    values = {name: said(value, language) for name, value in match.groupdict().items()}
    return fitted(VALUE.sub(lambda at: values[at[1]], form.translation), language)


def _parts(parts: list[str], language: str) -> list[str]:
    """Each part translated, if all are that are no names or numbers; else none."""
    made = [said(part, language) for part in parts]
    pairs = list(zip(parts, made, strict=True))
    known = all(part != text or NAME.fullmatch(part) for part, text in pairs)
    return made if known and made != parts else []


def html(text: str, language: str) -> str:
    """A piece of HTML: what stands in it, and what its attributes say."""
    if language == "en":
        return text
    return "".join(
        _run(sentence, language) + TOLD.sub(_told(language), tag)
        for sentence, tag in sentences(text)
    )


def sentences(text: str) -> Iterator[tuple[str, str]]:
    """Each sentence of HTML, with the tags that are within it, and the tag that ends it."""
    begun = ""
    for token in TAG.split(text):
        if token.startswith("<") and not INLINE.fullmatch(token):
            yield begun, token
            begun = ""
        else:
            begun += token
    yield begun, ""


def _run(text: str, language: str) -> str:
    """Text with its inline tags: as one sentence, or else between them."""
    plain = text.replace("&#x27;", "'").replace("&quot;", '"')
    whole = said(plain, language)
    if whole != plain or "<" not in plain:
        return whole
    pieces = TAG.split(plain)
    return "".join(piece if piece.startswith("<") else said(piece, language) for piece in pieces)


def _told(language: str) -> Callable[[re.Match[str]], str]:
    return lambda at: f'{at[1]}="{escape(said(unescape(at[2]), language))}"'


def markdown(text: str, language: str) -> str:
    """Markdown by its paragraphs, whose lines may be broken anywhere; formulas stay."""
    if language == "en":
        return text
    return "\n\n".join(_paragraph(part, language) for part in text.split("\n\n"))


def _paragraph(text: str, language: str) -> str:
    if text.startswith("    "):
        return text
    joined = " ".join(text.split("\n"))
    made = said(joined, language)
    return text if made == joined else made
