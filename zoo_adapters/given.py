"""What is given of an own network, read: its labels, its size, its normalization."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from operator import index
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from featvis.model import WrongRequest, brief

__all__ = ["Labels", "Numbers", "Size", "as_labels", "as_numbers", "as_size"]

Labels = Sequence[str] | Mapping[Any, str] | str | Path
Numbers = float | Sequence[float]
Size = int | Sequence[int]
LARGEST = 20_000_000  # bytes of a file of labels
IMAGENET = "mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)"


def as_labels(given: Labels | None) -> tuple[str, ...]:
    """Labels of a list, of a mapping from the number (or to it), or of a file of either.

    A file is JSON, or text with one label on each line.
    """
    if given is None:
        return ()
    if isinstance(given, str | Path):
        return as_labels(_file(Path(given)))
    if isinstance(given, Mapping):
        return _of_mapping(given)
    labels = tuple(given)
    for label in labels:
        if not isinstance(label, str):
            raise WrongRequest(f"a label is a text, not {brief(label)}")
    return labels


def _of_mapping(given: Mapping[Any, Any]) -> tuple[str, ...]:
    turned = given and all(isinstance(v, int) for v in given.values())
    pairs = [(v, k) for k, v in given.items()] if turned else list(given.items())
    try:
        by_number = {int(number): str(label) for number, label in pairs}
    except (TypeError, ValueError) as error:
        raise WrongRequest(
            f"labels map the number of a class to its label, as {{0: 'cat'}}, not {brief(given)}"
        ) from error
    missing = sorted(set(range(len(by_number))) - set(by_number))
    if missing:
        raise WrongRequest(
            f"the labels have none for class {missing[0]}; give one for each class from 0 to "
            f"{max(by_number)}"
        )
    return tuple(by_number[number] for number in range(len(by_number)))


def _file(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST:
            raise WrongRequest(f"{path} is too large for a file of labels")
        text = path.read_text("utf8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongRequest(
            f"the labels cannot be read from {brief(str(path))}; give a list, or the path of a "
            "text file with one label on each line"
        ) from error
    if path.suffix == ".json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise WrongRequest(f"{path} is not valid JSON ({error}); correct it") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def as_size(name: str, given: Size | None) -> tuple[int, int]:
    """Height and width in pixels; one number stands for both."""
    try:
        if isinstance(given, Sequence) and len(given) == 2:
            size = index(given[0]), index(given[1])
        else:
            size = index(given), index(given)  # type: ignore[arg-type]
    except TypeError:
        size = (0, 0)
    if min(size) < 1:
        asked = "is missing" if given is None else f"is {brief(given)}"
        raise WrongRequest(
            f"{name}: the size of its pictures {asked}; give height and width in pixels, as "
            "size=(224, 224), or one number for both"
        )
    return size


def as_numbers(name: str, what: str, given: Numbers | None, bands: int) -> Tensor:
    """The mean or the standard deviation of each band (C,), for pixels in [0, 1]."""
    if given is None:
        raise WrongRequest(
            f"{name}: the {what} of its normalization is missing; it is what the pictures of its "
            f"training were normalized with, often ImageNet's: {IMAGENET}"
        )
    try:
        numbers = torch.as_tensor(given, dtype=torch.float32, device="cpu").reshape(-1)
    except (TypeError, ValueError, RuntimeError):
        numbers = torch.tensor([float("nan")], device="cpu")
    if len(numbers) == 1:
        numbers = numbers.expand(bands)
    positive = what == "mean" or bool((numbers > 0).all())
    if len(numbers) != bands or not numbers.isfinite().all() or not positive:
        colors = "three numbers, for red, green and blue" if bands == 3 else f"{bands} numbers"
        raise WrongRequest(
            f"{name}: {what} is one number or {colors}"
            f"{', all positive' if what == 'std' else ''}; not {brief(given)}"
        )
    return numbers.clone()
