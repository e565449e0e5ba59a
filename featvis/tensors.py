"""Tensors in what a module returns, by name: "logits", "1", "aux.0"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

__all__ = ["batch_shape", "named_parts", "named_tensors", "shapes"]


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
    elif hasattr(raw, "__dict__") and not isinstance(raw, nn.Module | type):  # a plain record
        yield from vars(raw).items()


def named_tensors(raw: Any) -> dict[str, Tensor]:
    """All tensors in `raw` by their paths, in order; a tensor by itself has the path ""."""
    return dict(_tensors(raw, "", ()))


def _tensors(raw: Any, path: str, around: tuple[int, ...]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a part, which lies within the containers `around` it: it may hold one."""
    if isinstance(raw, Tensor):
        yield path, raw
    elif id(raw) not in around:
        for name, part in named_parts(raw):
            yield from _tensors(part, f"{path}.{name}".lstrip("."), (*around, id(raw)))


def shapes(tensors: Mapping[str, Tensor], pictures: int = 0) -> str:
    """Tensors in words, for an output of so many pictures: "features (B, 512), logits (B, 10)"."""
    words = (f"{path} {_shape(tensor, pictures)}".strip() for path, tensor in tensors.items())
    return ", ".join(words) or "no tensor"


def batch_shape(tensor: Tensor) -> str:
    """The shape of a tensor with one row for each picture in words: "(B, 10)"."""
    return f"({', '.join(['B', *map(str, tensor.shape[1:])])}{',' if tensor.ndim == 1 else ''})"


def _shape(tensor: Tensor, pictures: int) -> str:
    rows = tensor.ndim > 0 and pictures > 0 and len(tensor) == pictures
    words = batch_shape(tensor) if rows else str(tuple(tensor.shape))
    kind = str(tensor.dtype).removeprefix("torch.")
    return words if tensor.is_floating_point() else f"{words} of {kind}"
