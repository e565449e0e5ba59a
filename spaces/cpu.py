"""The Space: the window of featvis, as `featvis serve` opens it."""

from __future__ import annotations

import os
import sys

from featvis_app.cli import main

if __name__ == "__main__":
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    host = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0")  # the Space's proxy is another machine
    sys.exit(main(["serve", "--host", host, "--port", port]))
