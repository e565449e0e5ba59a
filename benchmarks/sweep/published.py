"""What is published of the sweep, from which it can be resumed where its own files are gone.

docs/zoo.csv has what every cheap method gives on every architecture: the number of forward passes
with which it made its picture, or why there is none; where the methods were not reached, why there
is no head, in the column of CAM. The table of the adapters has the rest.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from featvis import METHODS
from zoo_adapters import measured

__all__ = ["FILE", "read", "stages", "write"]

Rows = Mapping[str, Mapping[str, str]]
FILE = Path(__file__).parent.parent.parent / "docs" / "zoo.csv"
MADE = re.compile(r"^(\d+) passes")
HEAD = "cam"  # the method that needs a head


def write(names: Iterable[str], methods: Rows, heads: Rows, file: Path = FILE) -> None:
    """The rows of what was tried or has no head, in the order of their names in the zoos."""
    columns = [n for n in METHODS if any(n in row for row in methods.values())]
    with file.open("w", encoding="utf8", newline="") as opened:
        table = csv.writer(opened, lineterminator="\n")
        table.writerow(["name", *columns])
        for name in names:
            row = methods.get(name, {"error": "not reached"})
            if row["error"]:
                row = {HEAD: reason} if (reason := heads.get(name, {}).get("reason")) else {}
            if row:
                table.writerow([name, *(MADE.sub(r"\1", row.get(c, "")) for c in columns)])


def read(file: Path = FILE) -> dict[str, dict[str, str]]:
    """The rows again, as the sweep has them."""
    if not file.exists():
        return {}
    with file.open(encoding="utf8", newline="") as opened:
        return {
            row.pop("name"): {"error": ""} | {n: _cell(cell) for n, cell in row.items() if cell}
            for row in csv.DictReader(opened)
        }


def stages() -> dict[str, dict[str, dict[str, str]]]:
    """The rows of every stage, by its name; what is not known is left out."""
    with measured.FILE.open(encoding="utf8", newline="") as opened:
        table = {row.pop("name"): {"error": ""} | row for row in csv.DictReader(opened)}
    facts = {name: row for name, row in table.items() if row["mixing"]}
    found, heads = read(), {}
    for name, row in table.items():
        said, head = found.get(name, {}).get(HEAD, ""), row.pop("head")
        if head != "none":
            heads[name] = {"error": "", "head": head, "reason": ""}
        elif said and not MADE.match(said):
            heads[name] = {"error": "", "head": head, "reason": said}
    methods = {name: row for name, row in found.items() if row.keys() - {"error", HEAD}}
    return {"facts": facts, "head": heads, "methods": methods}


def _cell(text: str) -> str:
    return re.sub(r"^(\d+)(?=$|, in )", r"\1 passes", text)
