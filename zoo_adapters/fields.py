"""Fields: what may stand in the files that describe a folder's network.

They are checked before any library reads them. A wrong one is refused with its name, its file and
what is possible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from featvis.model import WrongRequest, brief

__all__ = ["PROCESSOR", "SIDE", "TIMM", "TRANSFORMERS", "check"]

SIDE = 4096  # pixels of the longest side of an input
LARGEST = 10_000_000  # any other number, but for those of layers
MANY = 100_000  # numbers in a list, classes, entries of a table
DEEP = 1000  # layers, and how often a block is repeated
LETTERS = 1000  # of any text
REPEATED = re.compile(r"depth|layers|blocks|stages|repeat|experts|branches|levels")
UNUSED = ("measured", "text_config")  # of these no network is made here
NESTED = 30  # tables within tables
RESERVED = re.compile(  # arguments with which a library would open or fetch something else
    r"pretrained|cache_dir|checkpoint|features_only|feature_cfg|feature_cls|out_indices|"
    r"kwargs_filter|model_cfg|pruned|backbone"
)
WORD = re.compile(r"[\w.-]{1,200}", re.ASCII)
RESAMPLING = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


class Field(NamedTuple):
    """What a value must be, as a test and in words."""

    fits: Callable[[Any], bool]
    possible: str


def _whole(low: int, high: int) -> Field:
    def fits(value: Any) -> bool:
        return type(value) is int and low <= value <= high

    return Field(fits, f"a whole number from {low} to {high}")


def _number(low: float, high: float) -> Field:
    def fits(value: Any) -> bool:
        return type(value) in (int, float) and low <= value <= high

    return Field(fits, f"a number from {low:g} to {high:g}")


def _three(one: Field, words: str) -> Field:
    def fits(value: Any) -> bool:
        return isinstance(value, list) and len(value) == 3 and all(map(one.fits, value))

    return Field(fits, f"three numbers, {words}; each is {one.possible}")


def _either(*fields: Field) -> Field:
    def fits(value: Any) -> bool:
        return any(field.fits(value) for field in fields)

    return Field(fits, " or ".join(field.possible for field in fields))


def _one_of(*words: str) -> Field:
    return Field(lambda value: isinstance(value, str) and value in words, "one of "
                 + ", ".join(words))  # fmt: skip


def _list(one: Field, words: str, least: int = 0, most: int = MANY) -> Field:
    def fits(value: Any) -> bool:
        return isinstance(value, list) and least <= len(value) <= most and all(map(one.fits, value))

    return Field(fits, words)


def _table(key: Field, one: Field, words: str) -> Field:
    def fits(value: Any) -> bool:
        pairs = value.items() if isinstance(value, dict) and len(value) <= MANY else [(None, None)]
        return all(key.fits(name) and one.fits(entry) for name, entry in pairs)

    return Field(fits, words)


def _is_size(value: Any) -> bool:
    names = ("height", "width", "shortest_edge", "longest_edge", "max_height", "max_width")
    return isinstance(value, dict) and all(
        name in names and (side is None or SIDES.fits(side)) for name, side in value.items()
    )


def _are_arguments(value: Any) -> bool:
    return isinstance(value, dict) and not any(map(RESERVED.search, value))


NOTHING = Field(lambda value: value is None, "null")
NEVER = Field(lambda value: False, "left out, as it would load other files")
ABSENT = Field(lambda value: value is None, "left out, as it would load other files")
FLAG = Field(lambda value: isinstance(value, bool), "true or false")
TEXT = Field(lambda value: isinstance(value, str) and len(value) <= LETTERS,
             f"text of at most {LETTERS} characters")  # fmt: skip
NAME = Field(lambda value: isinstance(value, str) and bool(WORD.fullmatch(value)),
             "a name without a path")  # fmt: skip
OBJECT = Field(lambda value: isinstance(value, dict), "a table of fields")
INDEX = Field(lambda value: isinstance(value, str) and value.isdecimal() and len(value) < 10, "")
LABELS = _either(_list(TEXT, f"a list of at most {MANY} texts"),
                 _table(INDEX, TEXT, "a table of numbers and texts"))  # fmt: skip
DESCRIPTIONS = _table(TEXT, TEXT, "a table of texts")
SIDES = _whole(1, SIDE)
INPUT = _three(SIDES, "channels, height and width")
MEAN = _three(_number(-1000, 1000), "for red, green and blue")
STD = _three(_number(1e-6, 1000), "for red, green and blue")
SIZE = _either(SIDES, _list(SIDES, "a list of two", 1, 2), Field(_is_size, "a table of sides"))
CLASSES = _whole(0, MANY)
MODULES = _either(TEXT, _list(TEXT, "a list of texts"), NOTHING)
WORDS = _either(TEXT, NOTHING)
ARGUMENTS = Field(_are_arguments, "a table of the network's own arguments, none of them a file")

TIMM: Mapping[str, Field] = {
    "architecture": NAME,
    "num_classes": CLASSES,
    "num_features": _either(_whole(0, LARGEST), NOTHING),
    "model_args": ARGUMENTS,
    "pretrained_cfg": OBJECT,
    "input_size": INPUT,
    "test_input_size": _either(INPUT, NOTHING),
    "min_input_size": _either(INPUT, NOTHING),
    "fixed_input_size": FLAG,
    "interpolation": _one_of(*RESAMPLING),
    "crop_pct": _number(0.05, 4),
    "test_crop_pct": _either(_number(0.05, 4), NOTHING),
    "crop_mode": _one_of("center", "squash", "border"),
    "mean": MEAN,
    "std": STD,
    "label_offset": _either(_whole(0, MANY), NOTHING),
    "label_names": _either(LABELS, NOTHING),
    "labels": _either(LABELS, NOTHING),
    "label_descriptions": _either(DESCRIPTIONS, NOTHING),
    "pool_size": _either(_list(SIDES, "a list of two", 1, 2), NOTHING),
    "first_conv": MODULES,
    "classifier": MODULES,
    "tag": WORDS,
    "license": WORDS,
}
TRANSFORMERS: Mapping[str, Field] = {
    "model_type": NAME,
    "architecture": NAME,  # of the networks of timm, which is a name of its registry there
    "architectures": _either(_list(NAME, "a list of names"), NOTHING),
    "image_size": _either(SIDES, _list(SIDES, "a list of two", 1, 2), NOTHING),
    "num_channels": _whole(1, 64),
    "num_labels": CLASSES,
    "num_classes": CLASSES,
    "id2label": _either(_table(INDEX, TEXT, "a table of numbers and texts"), NOTHING),
    "label2id": _either(OBJECT, NOTHING),
    "label_names": _either(LABELS, NOTHING),
    "vision_config": _either(OBJECT, NOTHING),
    "text_config": _either(OBJECT, NOTHING),
    "model_args": _either(ARGUMENTS, NOTHING),
    "pretrained_cfg": _either(OBJECT, NOTHING),
    "backbone": ABSENT,
    "backbone_config": ABSENT,
    "configuration_files": NEVER,
    "quantization_config": ABSENT,
}
PROCESSOR: Mapping[str, Field] = {
    "size": _either(SIZE, NOTHING),
    "crop_size": _either(SIZE, NOTHING),
    "crop_pct": _either(_number(0.05, 4), NOTHING),
    "image_mean": _either(MEAN, NOTHING),
    "image_std": _either(STD, NOTHING),
    "resample": _either(_whole(0, 5), NOTHING),
    "rescale_factor": _either(_number(1e-6, 1000), NOTHING),
    "patch_size": _either(SIDES, NOTHING),
    "max_num_patches": _either(_whole(1, MANY), NOTHING),
    "image_processor_type": WORDS,
    "feature_extractor_type": WORDS,
    **dict.fromkeys(
        ("do_resize", "do_center_crop", "do_normalize", "do_rescale", "rescale_offset",
         "do_flip_channel_order", "default_to_square"),
        _either(FLAG, NOTHING),
    ),
}  # fmt: skip


def check(table: Mapping[str, Any], fields: Mapping[str, Field], where: str) -> None:
    """Refuse a field of a wrong type or size; `where` is the network's name and the file."""
    for name, field in fields.items():
        if name in table and not field.fits(table[name]):
            raise _refusal(where, name, field.possible, table[name])
    _measure({k: v for k, v in table.items() if k not in UNUSED}, where, "", LARGEST)


def _measure(value: Any, where: str, name: str, most: int) -> None:
    """Refuse numbers, at any depth, of which no network of this machine is made."""
    if name.count(".") > NESTED:
        raise _refusal(where, name, f"nested {NESTED} times at most", value)
    if isinstance(value, Mapping):
        for key, one in value.items():
            least = DEEP if REPEATED.search(key) else most
            _measure(one, where, f"{name}.{key}" if name else key, least)
    elif isinstance(value, list):
        if len(value) > MANY:
            raise _refusal(where, name, f"a list of at most {MANY}", value)
        for one in value:
            _measure(one, where, f"{name}." if isinstance(one, list | dict) else name, most)
    elif isinstance(value, int | float) and not -most <= value <= most:
        raise _refusal(where, name, f"a number up to {most}", value)


def _refusal(where: str, name: str, possible: str, value: Any) -> WrongRequest:
    return WrongRequest(f"{where}: {brief(name)[1:-1]} is {possible}, not {brief(value)}")
