"""The Space on ZeroGPU: the window of featvis, with one function that may use the GPU."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

try:
    import spaces  # before torch; elsewhere it may be missing, or a folder of that name
except ImportError:
    spaces = None

from featvis_app.cli import main
from featvis_app.machine import engine

GPU = getattr(spaces, "GPU", None) or (lambda **_: lambda function: function)


@GPU(duration=60)
def compute(model: str, method: str, arguments: dict[str, Any]) -> Iterator[Any]:
    """A method of featvis: names and arrays in, results on the CPU out."""
    yield from engine.compute(model, method, arguments)


if __name__ == "__main__":
    engine.use(compute)
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    host = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0")  # the Space's proxy is another machine
    sys.exit(main(["serve", "--host", host, "--port", port]))
