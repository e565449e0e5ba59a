"""Hooks: the only file that registers them. They live on a module only inside `with`.

A module may be used by several threads at once: hooks answer to the thread that set them only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import get_ident, local
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from featvis.progress import pulse
from featvis.tensors import named_tensors

__all__ = ["Seen", "fed", "first_tensor", "hooked", "in_hook", "pulsing"]

Seen = Callable[[str, nn.Module, Any], Any]


class _Here(local):
    """Of a thread."""

    depth = 0


HERE = _Here()


def in_hook() -> bool:
    """Does a hook of ours run in this thread? What it calls is no part of the network."""
    return HERE.depth > 0


@contextmanager
def _inside() -> Iterator[None]:
    HERE.depth += 1
    try:
        yield
    finally:
        HERE.depth -= 1


@contextmanager
def hooked(modules: Mapping[str, nn.Module], seen: Seen) -> Iterator[None]:
    """Within: `seen(name, module, output)` after each module ran; what it returns replaces it."""
    handles = []
    owner = get_ident()
    try:
        for name, child in modules.items():

            def hook(child: nn.Module, _: Any, out: Any, name: str = name) -> Any:
                if get_ident() != owner:
                    return None
                with _inside():
                    return seen(name, child, out)

            handles.append(child.register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def fed(modules: Mapping[str, nn.Module], seen: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Within: `seen(name, input)` before each module runs, of its first tensor."""
    handles = []
    owner = get_ident()
    try:
        for name, child in modules.items():

            def hook(child: nn.Module, given: Any, name: str = name) -> None:
                if get_ident() == owner:
                    with _inside():
                        seen(name, first_tensor(given))

            handles.append(child.register_forward_pre_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def pulsing(module: nn.Module) -> Iterator[None]:
    """Within: a watcher is heard after each part of a pass, on the way back too.

    A pass may take seconds, and whoever stops the work does not want to wait for its end.
    """

    def seen(name: str, child: nn.Module, out: Any) -> None:
        pulse()
        for tensor in tree_flatten(out)[0]:
            if isinstance(tensor, Tensor) and tensor.requires_grad:
                tensor.register_hook(lambda gradient: pulse())

    parts = {name: child for name, child in module.named_modules() if not [*child.children()]}
    with hooked(parts, seen):
        yield


def first_tensor(out: Any) -> Tensor:
    """The first tensor of what a module inside a network returns."""
    return next(iter(named_tensors(out).values()))
