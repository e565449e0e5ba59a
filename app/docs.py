"""The tables of the pages, and docs/links.md: `python -m app.docs` writes, `--check` compares.

<!-- methods -->    one row per method, from featvis.METHODS
<!-- adapters -->   one row per built-in zoo, from zoo_adapters.zoos()
<!-- limits -->     one row per limit, in docs/operations.md
<!-- figures -->    what the benchmarks measured: `python -m benchmarks ... | python -m app.docs -`
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import featvis
import zoo_adapters
from featvis.spec import Method
from zoo_adapters.registry import BUILTIN, Zoo

from .machine.limits import rows
from .pages.starts import page
from .question.tabs import TABS

README = Path(__file__).parent.parent / "README.md"
OPERATIONS = README.parent / "docs" / "operations.md"
LINKS = README.parent / "docs" / "links.md"  # the page of app/pages/starts.py


def main(arguments: list[str]) -> str | None:
    """Write the tables, or say what is stale; a sentence is a failure."""
    blocks = tables()
    pages = {README: blocks, OPERATIONS: {"limits": _limits()}}
    if arguments == ["-"]:
        blocks["figures"] = sys.stdin.read().strip()
    elif arguments not in ([], ["--check"]):
        return "python -m app.docs [--check | -], where - reads the figures of the benchmarks"
    made = {path: filled(path.read_text("utf8"), known) for path, known in pages.items()}
    made[LINKS] = page()
    stale = [p.name for p, text in made.items() if not p.exists() or p.read_text("utf8") != text]
    if arguments == ["--check"]:
        return f"stale: {', '.join(stale)}; run: make docs" if stale else None
    for path, text in made.items():
        path.write_text(text, "utf8")
    return None


def tables() -> dict[str, str]:
    """Name of a block -> its text."""
    order = list(TABS)  # the table has the methods in the order of the window
    methods = sorted(featvis.METHODS.values(), key=lambda method: order.index(method.family))
    return {
        "methods": table(("method", "what it shows", "needs", "paper"), map(_method, methods)),
        "adapters": table(("zoo", "models", "what it is", "library"), map(_zoo, BUILTIN)),
    }


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *escaped])


def filled(text: str, blocks: Mapping[str, str]) -> str:
    """`text` with each block between its markers, `<!-- name -->` and `<!-- /name -->`."""
    for name, block in blocks.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not (opening and closing):
            raise ValueError(f"there are no markers <!-- {name} --> and <!-- /{name} -->")
        text = f"{before}{opening}{block}\n{closing}{after}"
    return text


def _method(method: Method) -> tuple[str, ...]:
    subject = [f"[{s}]" if s in method.optional else s for s in method.subject]
    needs = [*subject, *(f"`model.{need}`" for need in method.requires)]
    return f"**{method.title}** `{method.name}`", method.help, ", ".join(needs), _link(method.paper)


def _limits() -> str:
    return table(
        ("variable", "what is limited", "own server", "public server"),
        (row[:4] for row in rows()),
    )


def _link(paper: str) -> str:
    """A paper's name; with an arXiv number it is a link."""
    name, _, number = (part.strip(" ,") for part in paper.partition("arXiv:"))
    return f"[{name or f'arXiv:{number}'}](https://arxiv.org/abs/{number})" if number else name


def _zoo(zoo: Zoo) -> tuple[str, ...]:
    return f"`{zoo.name}:`", f"{len(zoo_adapters.names(zoo.name)):,}", zoo.help, f"`{zoo.pip}`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
