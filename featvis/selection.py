"""Selections: which tensor of what a network returns holds its scores.

There is one rule for all of featvis. It is applied once, to the output for two pictures, and from
then on the tensor is read by its path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from torch import Tensor

from featvis.types import WrongRequest, brief

__all__ = [
    "Key",
    "Selection",
    "batch_shape",
    "named_tensors",
    "read",
    "rows",
    "select",
    "shapes",
]

# A path or index, or a function of the raw output; None: the rule decides.
Key = str | int | Callable[[Any], Tensor] | None

NAMES = ("logits", "out", "output", "outputs", "scores", "pred", "preds", "prediction")
NAMES_LIKE = ("logits", "pred", "score")  # "class_logits", "predictions"


class Selection(NamedTuple):
    """The tensor that holds the scores: how it is read, and the others in a sentence."""

    key: str | Callable[[Any], Tensor]
    others: str = ""  # "" where no other tensor could be the scores


def select(network: str, raw: Any, key: Key, classes: int = 0, pictures: int = 0) -> Selection:
    """Choose the scores in the output for so many pictures; 0: their number is not known.

    A `key` decides. Else it is the tensor named logits, out, output, scores, pred or the like;
    else the (B, K) one with as many columns as there are `classes` (0: not known); else the first
    (B, K) one; else the first with a row for each picture.
    """
    if callable(key):
        return Selection(key)
    tensors = named_tensors(raw)
    if key is not None and key != "":
        return Selection(_path(network, raw, tensors, key))
    if list(tensors) == [""]:
        return Selection("")
    likely = {
        path: t
        for path, t in tensors.items()
        if t.ndim and t.is_floating_point() and len(t) == (pictures or len(t))
    }
    if not likely:
        raise WrongRequest(
            f"{network} gives no tensor with a row of scores for each picture, but "
            f"{shapes(tensors)}; output=lambda raw: ... can make one of it"
        )
    named = _named(likely)
    columns = {p: t for p, t in likely.items() if t.ndim == 2}
    fitting = [p for p, t in columns.items() if classes and t.shape[1] == classes]
    path = (named or fitting or list(columns) or list(likely))[0]
    if named or len(fitting) == 1 or len(likely) == 1:
        return Selection(path)
    others = shapes({p: t for p, t in likely.items() if p != path}, pictures)
    mine = shapes({path: likely[path]}, pictures)
    return Selection(path, f"{mine} is taken for the scores; output= chooses another: {others}")


def read(network: str, raw: Any, key: Key) -> Tensor:
    """The tensor of a key in a raw output."""
    if callable(key):
        return _applied(network, raw, key)
    tensors = named_tensors(raw)
    path = key if key in tensors else select(network, raw, key).key
    return tensors[path] if isinstance(path, str) else _applied(network, raw, path)


def rows(tensor: Tensor, count: int) -> Tensor:
    """The output for `count` pictures, one row each: (B,), (B, K, 1, 1) become (B, 1), (B, K)."""
    if count == 1 and (tensor.ndim == 0 or len(tensor) != 1):  # squeezed
        tensor = tensor[None]
    if tensor.ndim == 1:
        return tensor[:, None]
    if tensor.ndim > 2 and tensor[0].numel() == max(tensor.shape[1:]):
        return tensor.flatten(1)
    return tensor


def _named(tensors: Mapping[str, Tensor]) -> list[str]:
    """The paths that end in the name of scores, the surest one first."""
    ends = {path: path.rpartition(".")[2].lower() for path in tensors}
    exact = [path for name in NAMES for path, end in ends.items() if end == name]
    return exact or [path for name in NAMES_LIKE for path, end in ends.items() if name in end]


def _path(network: str, raw: Any, tensors: Mapping[str, Tensor], key: str | int) -> str:
    """The path of the tensor that a key names; of several below it the likeliest."""
    names = [name for name, _ in named_parts(raw)]
    name = str(key)
    if isinstance(key, int) and name not in names and -len(names) <= key < len(names):
        name = names[key]
    below = {p: t for p, t in tensors.items() if p == name or p.startswith(f"{name}.")}
    if not below or not name:
        raise WrongRequest(f"{network} has no output {brief(key)}; it gives {shapes(tensors)}")
    return (_named(below) or list(below))[0]


def _applied(network: str, raw: Any, function: Callable[[Any], Any]) -> Tensor:
    try:
        tensor = function(raw)
    except Exception as error:  # the caller's own code
        message = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WrongRequest(
            f"output= of {network} fails: {message}; it is given {shapes(named_tensors(raw))}"
        ) from error
    if not isinstance(tensor, Tensor):
        raise WrongRequest(
            f"output= of {network} returns a {type(tensor).__name__}; it should return a tensor, "
            f"and is given {shapes(named_tensors(raw))}"
        )
    return tensor


def named_parts(raw: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a container with their names: keys, fields, or positions counted from 0."""
    if isinstance(raw, Mapping):
        yield from ((str(key), part) for key, part in raw.items())
    elif isinstance(raw, tuple) and hasattr(raw, "_fields"):
        yield from zip(raw._fields, raw, strict=True)
    elif isinstance(raw, list | tuple):
        yield from ((str(number), part) for number, part in enumerate(raw))
    elif is_dataclass(raw) and not isinstance(raw, type):
        yield from ((field.name, getattr(raw, field.name)) for field in fields(raw))
    elif hasattr(raw, "__dict__"):  # a plain record, such as types.SimpleNamespace
        yield from vars(raw).items()


def named_tensors(raw: Any) -> dict[str, Tensor]:
    """All tensors in `raw` by their paths, in order; a tensor by itself has the path ""."""
    if isinstance(raw, Tensor):
        return {"": raw}
    found: dict[str, Tensor] = {}
    for name, part in named_parts(raw):
        for path, tensor in named_tensors(part).items():
            found[f"{name}.{path}" if path else name] = tensor
    return found


def shapes(tensors: Mapping[str, Tensor], pictures: int = 0) -> str:
    """Tensors in words, for an output of so many pictures: "features (B, 512), logits (B, 10)"."""
    words = (f"{path} {_shape(tensor, pictures)}".strip() for path, tensor in tensors.items())
    return ", ".join(words) or "no tensor"


def batch_shape(tensor: Tensor) -> str:
    """The shape of a tensor with one row for each picture in words: "(B, 10)"."""
    return f"({', '.join(['B', *map(str, tensor.shape[1:])])}{',' if tensor.ndim == 1 else ''})"


def _shape(tensor: Tensor, pictures: int) -> str:
    rows = tensor.ndim > 0 and pictures > 0 and len(tensor) == pictures
    return batch_shape(tensor) if rows else str(tuple(tensor.shape))
