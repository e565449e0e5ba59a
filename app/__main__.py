"""python -m app: the window; python -m app run cam ...: the same in a terminal."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
