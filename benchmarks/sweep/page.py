"""What the sweep found: docs/zoo.md, and the table that the adapters read."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from benchmarks.sweep import published
from benchmarks.sweep.row import EXPENSIVE, FAILED
from featvis import METHODS
from zoo_adapters.facts import HEADS
from zoo_adapters.measured import FILE

__all__ = ["page", "write"]

Rows = Mapping[str, Mapping[str, str]]
DOCS = Path(__file__).parent.parent.parent / "docs" / "zoo.md"
COLUMNS = (
    "name", "parameters", "gmacs", "height", "width", "classes", "convolutions", "mixing", "head",
)  # fmt: skip
MOST = 12  # names listed after a reason


def write(listed: Mapping[str, list[str]], facts: Rows, heads: Rows, methods: Rows) -> None:
    """The page, the table of the adapters and that of the methods anew."""
    with FILE.open("w", encoding="utf8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for name in (name for names in listed.values() for name in names):
            row, head = facts.get(name, {}), heads.get(name, {})
            if row and not row["error"]:
                both = {**row, "head": head.get("head", ""), "name": name}
                table.writerow({column: both[column] for column in COLUMNS})
    published.write((name for names in listed.values() for name in names), methods, heads)
    DOCS.write_text(page(listed, facts, heads, methods), encoding="utf8")


def page(listed: Mapping[str, list[str]], facts: Rows, heads: Rows, methods: Rows) -> str:
    """The page, from the tables of the sweep."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", *_libraries(listed)))
    return "\n\n".join([
        "# What works on which network",
        "Made by `python -m benchmarks zoo --all --page`, with " + versions + ". Every "
        "architecture is loaded by its name and its layers are listed at its own size, on the meta "
        "device. Its head is then proved by numbers, and every cheap method tried, on a small "
        "picture, with random weights none of which is at its initial 0 or 1, in float64 where "
        "float32 ends. Trained weights were not downloaded for this page.",
        "## How far it came",
        _coverage(listed, facts, heads, methods),
        "## Heads",
        "How the logits come from the last map: exactly, exactly with a normalization held at the "
        "picture's values, or with activations held, too. Without a head there is no class "
        "activation map; Grad-CAM and its relatives, gradients, occlusion and the synthesis of "
        "pictures are offered all the same.",
        _heads(listed, heads),
        *_reasons(heads),
        "## Methods",
        "Networks on which a method gives its picture, says in words why there is none, or failed. "
        f"Left out, because they take a pass for every channel: {', '.join(EXPENSIVE)}. "
        "[zoo.csv](zoo.csv) has a row for each of these networks: the forward passes with which a "
        "method made its picture, or why there is none.",
        _methods(methods),
        "## Failures",
        _failures(facts, heads, methods),
    ]) + "\n"  # fmt: skip


def _libraries(listed: Iterable[str]) -> list[str]:
    """Each once: "torchvision, detection" are models of torchvision, too."""
    return list(dict.fromkeys(zoo.partition(",")[0] for zoo in listed))


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    first = list(head)
    lines = [first, ["---", *["---:"] * (len(first) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _coverage(listed: Mapping[str, list[str]], *stages: Rows) -> str:
    rows = []
    for zoo, names in listed.items():
        done = [sum(n in stage and not stage[n].get("error") for n in names) for stage in stages]
        rows.append([zoo, len(names), *done])
    table = _table(("zoo", "architectures", "loaded, layers listed", "head examined",
                    "methods tried"), rows)  # fmt: skip
    if all(row[1] == count for row in rows for count in row[2:]):
        return table
    return table + (
        "\n\nWhat is missing was not reached, or failed (see below): `python -m benchmarks zoo "
        "--all --resume --page` goes on where the sweep ended."
    )


def _heads(listed: Mapping[str, list[str]], heads: Rows) -> str:
    rows = []
    for zoo, names in listed.items():
        kinds = Counter(heads[n].get("head") for n in names if n in heads)
        proved = sum(kinds[kind] for kind in HEADS[:3])
        rows.append([zoo, *(kinds[kind] for kind in HEADS), proved])
    return _table(("zoo", *HEADS, "proved in all"), rows)


def _reasons(heads: Rows) -> list[str]:
    """Why there is no head, with the networks that it holds for."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for name, row in heads.items():
        if row.get("head") == "none":
            by_reason[row["reason"].partition(": the residual")[0]].append(name.partition(":")[2])
    lines = []
    for reason, names in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        stems = Counter(name.partition("_")[0] for name in names)
        shown = names if len(names) <= MOST else [f"{s} ({n})" for s, n in stems.most_common()]
        lines.append(f"- {len(names)}: {reason}. {', '.join(shown)}")
    return ["\n".join(lines)] if lines else []


def _methods(methods: Rows) -> str:
    rows = []
    for name, method in METHODS.items():
        cells = [row[name] for row in methods.values() if name in row]
        shown = sum(bool(re.match(r"\d+ passes", cell)) for cell in cells)
        failed = sum(cell.startswith(FAILED) for cell in cells)
        if cells:
            rows.append([method.title, shown, len(cells) - shown - failed, failed])
    return _table(("method", "picture", "reason", "failed"), rows)


def _failures(*stages: Rows) -> str:
    lines = []
    for stage, title in zip(stages, ("loading", "head", "methods"), strict=True):
        for name, row in stage.items():
            for column, cell in row.items():
                if cell.startswith(FAILED):
                    what = title if column == "error" else column
                    lines.append(f"- `{name}`, {what}: {cell.removeprefix(FAILED).strip()}")
    return "\n".join(lines) or "None."
