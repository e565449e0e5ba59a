"""Animation: how pictures came about, as a moving GIF or WebP."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from math import ceil
from pathlib import Path

from torch import Tensor

from featvis import WrongRequest, render
from featvis.ascent import climb as ascent
from featvis.types import Result

from ..machine.cache import ON_THE_WAY

FRAMES = 32  # asked for, evenly spaced over the steps
LAST = 1500  # milliseconds of the finished picture
EACH = 80  # of the others
SIDE = 640  # pixels of the longer side, at most
ENDINGS = {".gif": "GIF", ".webp": "WEBP"}


def ending(path: str) -> str:
    """The format of a file to write, by its name."""
    found = ENDINGS.get(Path(path).suffix.lower())
    if found is None:
        raise WrongRequest(f"{path}: an animation is a .gif or .webp file; name it so")
    return found


def small(result: Result) -> Tensor:
    """A result on the way as a picture (H, W, 3), thinned where it is large."""
    picture = render.render(result)
    every = ceil(max(picture.shape[:2]) / SIDE)
    return picture[::every, ::every].contiguous()


def followed(steps: Iterator[Result], key: Hashable, seen: Callable[[Result], object]) -> Result:
    """The last of the results; those before are kept small, and `seen` now and then."""
    frames: list[Tensor] = []
    shown = time.monotonic()
    for step in steps:
        frames.append(small(step))
        if time.monotonic() - shown >= ascent.PREVIEW:
            shown = time.monotonic()
            seen(step)
    ON_THE_WAY.get_or(key, lambda: frames)
    return step


def moving(frames: Sequence[Tensor], kind: str = "WEBP") -> bytes:
    """Pictures (H, W, 3), the first to the last, as an animation that goes on for ever."""
    last = frames[-1].shape  # groups that were not begun are missing before
    pictures = [render.to_pil(f) for f in frames if f.shape == last]
    times = [EACH] * (len(pictures) - 1) + [LAST]
    data = io.BytesIO()
    how = {"quality": 80, "method": 4} if kind == "WEBP" else {}
    pictures[0].save(
        data, kind, save_all=True, append_images=pictures[1:], duration=times, loop=0, **how
    )
    return data.getvalue()
