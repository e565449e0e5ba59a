"""The command `compare`: the same question to several networks, as one sheet."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from featvis import WrongRequest

from ..answers import kinship_numbers
from ..answers.comparison import Row, agreements, compared, told
from ..files.arrays import saved
from ..files.compare_sheet import numbers_of, sheet_of
from ..files.page_recipe import of_page
from ..question.recipe import stamped
from ..question.state import MOST, State
from ..question.text import comparison
from .pictures import lend


def add(commands: Any) -> argparse.ArgumentParser:
    """The command's own options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "compare", help="ask several networks the same, and write one sheet"
    )
    parser.add_argument("--models", required=True, metavar="A,B,C", help=f"two to {MOST} networks")
    parser.add_argument("--image", required=True, metavar="FILE", help="a picture, or scene-17")
    parser.add_argument("--methods", default="", metavar="M,N", help="columns, as cam,grad_cam")
    parser.add_argument(
        "--columns", default="methods", metavar="WHAT", help="methods; of the layers at 0, 25, "
        "50, 75 and 100 %% of the way all channels (depth), or the picture made for the strongest "
        "one (synthesis)"
    )  # fmt: skip
    parser.add_argument("--target", metavar="CLASS", help="a class of the first network, found by "
                        "its label in the others (default: what each one predicts)")  # fmt: skip
    parser.add_argument("--scale", default="own", metavar="SCALE", help="own, or shared: among the "
                        "maps of a network in the same unit")  # fmt: skip
    parser.add_argument("--trust", action="store_true", help="measure insertion and deletion")
    parser.add_argument("--layers", action="store_true", help="how alike all layers of the others "
                        "and of the first network are (CKA)")  # fmt: skip
    parser.add_argument("--neighbours", action="store_true", help="how many nearest neighbours "
                        "they share with it, over the pictures of their indexes")  # fmt: skip
    parser.add_argument("--out", metavar="PNG", help="sheet to write")
    parser.add_argument("--npz", metavar="NPZ", help="arrays to write: the maps, the agreement")
    parser.set_defaults(command=None)
    return parser


def sheet(options: argparse.Namespace) -> dict[str, bytes]:
    """The files that were asked for, by their paths; what the networks say is printed."""
    state = _state(options)
    *_, rows = compared(state)
    for row in rows:
        said = (row.reason or row.prediction).removeprefix(f"{row.state.model}: ")
        print(f"{row.state.model}: {said}")
        if facts := _facts(row):
            print(f"  {facts}")
        for cell in row.cells:
            if cell.reason:
                print(f"  {cell.title}: {cell.reason}")
            elif cell.faith is not None:
                print(f"  {cell.title}: insertion {cell.faith.insertion:.3f}, "
                      f"deletion {cell.faith.deletion:.3f}")  # fmt: skip
    for title, (names, found) in agreements(rows).items():
        for i, name in enumerate(names):
            for j in range(i):
                print(f"{title}: {names[j]} and {name} agree {found.correlation[i, j]:.2f}, "
                      f"overlap {found.overlap[i, j]:.2f}")  # fmt: skip
    _print_kin(state, [row.state.model for row in rows[1:] if row.model is not None])
    files = {}
    if options.out:
        made = of_page(state, Path(options.image).name)
        files[options.out] = stamped(sheet_of(state, rows), made)
    if options.npz:
        files[options.npz] = saved(numbers_of(state, rows))
    if all(not row.cells for row in rows):
        raise WrongRequest(f"none of the networks could be asked: {rows[0].reason}")
    return files


def _facts(row: Row) -> str:
    """What is known of a network, in a line."""
    known = told(row)
    if "parameters" not in known:
        return ""
    h, w = known["size"]
    cost = f"{known['gmacs']:.3g} GMAC" if known["gmacs"] else ""
    count = f"{known['parameters'] / 1e6:.2f} M parameters"
    parts = (count, cost, f"{h}x{w} px", known["training"], known["licence"])
    return ", ".join(filter(None, parts))


def _print_kin(state: State, others: list[str]) -> None:
    """Layers and neighbours, as far as they are asked for."""
    found = kinship_numbers.told(state, others)
    for other, likeness in found.get("layers", {}).items():
        for name, row in zip(likeness["rows"], likeness["cka"], strict=True):
            best = max(range(len(row)), key=lambda j: row[j])
            print(f"layers: {state.model} {name} is most like {other} "
                  f"{likeness['columns'][best]}, CKA {row[best]:.3f}")  # fmt: skip
    for other, near in found.get("neighbours", {}).items():
        if "reason" in near:
            print(f"neighbours: {near['reason']}")
            continue
        print(f"neighbours: {state.model} and {other} share {near['overlap']:.3f} of {near['k']} "
              f"over {near['pictures']} pictures (by chance {near['chance']:.3f}); least for "
              f"{', '.join(near['apart'][:6])}")  # fmt: skip


def _state(options: argparse.Namespace) -> State:
    """What is asked, as the window would ask it."""
    names = [name.strip() for name in options.models.split(",") if name.strip()]
    state = comparison(names, lend(options.image), options.methods.split(","), options.target)
    state = state.having(
        columns=options.columns,
        maps=options.scale,
        trust=options.trust,
        layers=options.layers,
        neighbours=options.neighbours,
        download=True,
    )
    for name in ("columns", "maps"):
        state.display(name)  # a wrong word is refused now
    return state
