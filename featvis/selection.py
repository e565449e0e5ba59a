"""Selections: which tensor of what a network returns holds its scores.

There is one rule for all of featvis. It is applied once, to the output for two pictures, and from
then on the tensor is read by its path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from featvis.tensors import named_parts, named_tensors, shapes
from featvis.types import WrongRequest, brief

__all__ = [
    "EMBEDDINGS",
    "SCORES",
    "Key",
    "Names",
    "Selection",
    "has_rows",
    "read",
    "rows",
    "select",
]

# A path or index, or a function of the raw output; None: the rule decides.
Key = str | int | Callable[[Any], Tensor] | None


class Names(NamedTuple):
    """Names that tensors of a kind go by, the surest one first."""

    exact: tuple[str, ...]
    within: tuple[str, ...]  # parts of names: "class_logits", "predictions"


SCORES = Names(
    exact=("logits", "out", "output", "outputs", "scores", "pred", "preds", "prediction"),
    within=("logits", "pred", "score"),
)
EMBEDDINGS = Names(
    exact=("embedding", "embeddings", "image_embeds", "pooler_output", "features"),
    within=("embed", "emb", "feat"),
)


# Tensors by their paths -> the paths of those that no other is computed from.
Ends = Callable[[Mapping[str, Tensor]], list[str]]


class Selection(NamedTuple):
    """The tensor that holds the scores: how it is read, and the others in a sentence."""

    key: str | Callable[[Any], Tensor]
    others: str = ""  # "" where no other tensor could be the scores


def select(
    network: str,
    raw: Any,
    key: Key,
    classes: int = 0,
    pictures: int = 0,
    names: Names = SCORES,
    ends: Ends = list,
) -> Selection:
    """Choose the scores in the output for so many pictures; 0: their number is not known.

    A `key` decides. Else it is, among the tensors with one row (K,) for each picture, one of the
    `names`; else the one with as many columns as there are `classes` (0: not known); else the
    first one that no other is computed from by weights, as the logits of (features, logits), if
    `ends` can tell.
    Where there is no such tensor, it is one of another shape.
    """
    if callable(key):
        return Selection(key)
    tensors = named_tensors(raw)
    if key is not None and key != "":
        return Selection(_path(network, raw, tensors, key, names))
    likely = {path: t for path, t in tensors.items() if has_rows(t, pictures)}
    if not likely:
        raise WrongRequest(
            f"{network} gives no tensor with a row of scores for each picture, but "
            f"{shapes(tensors, pictures)}; wrap it with an output= that makes one of it, such as "
            "output=lambda raw: ..."
        )
    columns = {path: rows(t, pictures) for path, t in likely.items()}
    columns = {path: t for path, t in columns.items() if t.ndim == 2} or likely
    named = _named(columns, names)
    if named:
        return Selection(named[0])
    fitting = [path for path, t in columns.items() if _fits(t, classes)] or list(columns)
    last = ends({path: likely[path] for path in fitting}) if names is SCORES else fitting
    path = next((end for end in last if columns[end].shape[1] > 1), last[0])
    clear = columns[path].shape[1] > 1 or len(fitting) < len(columns) or len(likely) == 1
    if len(last) == 1 and clear:
        return Selection(path)
    others = shapes({p: t for p, t in likely.items() if p != path}, pictures)
    mine = shapes({path: likely[path]}, pictures)
    return Selection(
        path, f"output {mine} is taken for the scores; output= chooses another: {others}"
    )


def has_rows(tensor: Tensor, pictures: int) -> bool:
    """May it have a row of numbers for each picture?"""
    rows_fit = tensor.ndim > 0 and len(tensor) == (pictures or len(tensor))
    return rows_fit and tensor.numel() > 0 and tensor.is_floating_point()


def _fits(tensor: Tensor, classes: int) -> bool:
    """May its columns be the scores of so many classes? A single one has two sides."""
    return tensor.shape[1] == classes or (classes == 2 and tensor.shape[1] == 1)


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


def _named(tensors: Mapping[str, Tensor], names: Names) -> list[str]:
    """The paths that end in one of the names, the surest one first."""
    ends = {path: path.rpartition(".")[2].lower() for path in tensors}
    exact = [path for name in names.exact for path, end in ends.items() if end == name]
    return exact or [path for name in names.within for path, end in ends.items() if name in end]


def _path(
    network: str, raw: Any, tensors: Mapping[str, Tensor], key: str | int, names: Names
) -> str:
    """The path of the tensor that a key names; of several below it the likeliest."""
    parts = [name for name, _ in named_parts(raw)]
    name = str(key)
    if isinstance(key, int) and name not in parts and -len(parts) <= key < len(parts):
        name = parts[key]
    below = {p: t for p, t in tensors.items() if p == name or p.startswith(f"{name}.")}
    if not below or not name:
        raise WrongRequest(f"{network} has no output {brief(key)}; it gives {shapes(tensors)}")
    return (_named(below, names) or list(below))[0]


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
