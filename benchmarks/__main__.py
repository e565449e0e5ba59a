"""`python -m benchmarks [NAME]`: run one benchmark, or list them."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

APART = (
    "__init__", "__main__", "attacker", "client", "crp_worker", "doors", "guard",
    "hostile_pictures", "leaks", "lucent_worker", "lures", "probe_peers", "routes", "server",
    "strangers", "timing",
)  # fmt: skip
NAMES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in APART)


def main(arguments: list[str]) -> int:
    """Run the benchmark named, or say which there are; what follows the name is its own."""
    if not arguments or arguments[0] not in NAMES:
        print(f"python -m benchmarks NAME, where NAME is one of: {', '.join(NAMES)}")
        return 2 if arguments else 0
    name, *own = arguments
    import_module(f"benchmarks.{name}").main(*([own] if own else []))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
