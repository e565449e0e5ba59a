"""Memory: what a picture takes while it is made, and whether that is to be had.

A forward pass is made once and the bytes that it keeps for the way back are counted; they grow with
the number of pixels. What would not fit is refused before it starts, not killed in the middle.
"""

from __future__ import annotations

import os
from math import sqrt
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from featvis.ascent.objectives import watch
from featvis.ascent.viewer import Sight, seen_size
from featvis.model import WrongRequest

__all__ = ["available", "check_memory", "kept_bytes"]

SPARE = 0.8  # share of the free memory that may be used
MORE = 1.5  # times what is kept: gradients on the way, copies
GROUP = Path("/sys/fs/cgroup")  # of a container, on Linux


def available(like: Tensor) -> int | None:
    """Free bytes where `like` is; None where that cannot be known."""
    if like.device.type == "cuda":
        return torch.cuda.mem_get_info(like.device)[0]
    found = [free for free in (_machine(), _container()) if free is not None]
    return min(found, default=None)


def _machine() -> int | None:
    table = Path("/proc/meminfo")
    if table.exists():
        words = table.read_text("utf8").split()
        return 1024 * int(words[words.index("MemAvailable:") + 1])
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _container() -> int | None:
    try:
        limit = (GROUP / "memory.max").read_text("utf8").strip()
        used = (GROUP / "memory.current").read_text("utf8").strip()
    except OSError:
        return None
    return int(limit) - int(used) if limit.isdecimal() else None


def kept_bytes(sight: Sight, picture: Tensor) -> int:
    """Bytes that a pass of a picture (1, 3, H, W) keeps for the way back, weights left out."""
    weights = {tensor.data_ptr() for tensor in sight.model.module.state_dict().values()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    leaf = picture.detach().requires_grad_()
    with torch.enable_grad(), saved_tensors_hooks(keep, lambda tensor: tensor):
        seen = watch(sight.model, leaf, sight.objective)
        held = (seen, sight.objective(seen))  # so that no address is used twice
    del held
    return sum(kept.values())


def check_memory(sight: Sight, like: Tensor, size: tuple[int, int], pictures: int) -> None:
    """Refuse pictures of `size`, as many at once, that do not fit; say which size would."""
    model, free = sight.model, available(like)
    h, w = seen_size(model, size)
    if free is None or h * w * pictures <= 4 * model.size[0] * model.size[1]:
        return  # as much as a few pictures at the network's own size: not worth a pass
    one = torch.zeros(1, model.bands, *model.size).to(like) + 0.5
    share = h * w / (model.size[0] * model.size[1])
    needed = MORE * kept_bytes(sight, one) * share * pictures
    if needed <= SPARE * free:
        return
    side = int(max(size) * sqrt(SPARE * free / needed))
    # where every picture is seen at the network's size, only fewer pictures need less
    fits = (
        f"a size of {side} fits"
        if (h, w) == size
        else f"{max(1, int(pictures * SPARE * free / needed))} fit"
    )
    raise WrongRequest(
        f"{pictures} pictures of {size[0]}x{size[1]} at once need about {needed / 1e9:.1f} GB and "
        f"{free / 1e9:.1f} GB are free; {fits}, or make fewer at once"
    )
