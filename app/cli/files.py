"""Files of commands: recipes are read; results are checked before the work, and written whole."""

from __future__ import annotations

import argparse
from pathlib import Path

import PIL.Image

from featvis import WrongRequest

from ..answers.animation import ending
from ..files.arrays import packed
from ..files.cook import Cooked, differences
from ..files.page_recipe import remade
from ..machine.disk_store import write_whole
from ..question.recipe import KEY, LARGEST, Recipe, from_json, stamped
from .pictures import lend


def finish(cooked: Cooked, options: argparse.Namespace) -> None:
    """Write the files, and say what must be known."""
    if options.out:
        write_whole(Path(options.out), stamped(cooked.picture, cooked.recipe))
    if options.npz:
        write_whole(Path(options.npz), packed(cooked.results, cooked.boxes))
    if getattr(options, "save_recipe", None):
        write_whole(Path(options.save_recipe), cooked.recipe.to_json().encode())
    for name, result in cooked.results.items():
        found = cooked.boxes.get(name)
        if found is not None and cooked.recipe.display.get("box"):
            print("box: top {:.0f}, left {:.0f}, bottom {:.0f}, right {:.0f}".format(*found))
        for note in result.notes:
            print(f"note: {note}")
        if getattr(result, "residual", None) is not None:
            print(f"residual: {float(result.residual.max()):.1e}")


def finish_page(recipe: Recipe, options: argparse.Namespace) -> None:
    """Make a page again, write its files, and say what is not as it was."""
    sheet, arrays, here = remade(recipe, options.image, lend, arrays=bool(options.npz))
    for difference in differences(recipe, here.facts):
        print(f"note: {difference}")
    for path, data in ((options.out, sheet), (options.npz, arrays)):
        if path:
            write_whole(Path(path), data)


def animation_of(options: argparse.Namespace) -> str | None:
    path: str | None = getattr(options, "animation", None)
    return path


def check_files(options: argparse.Namespace) -> None:
    """Refuse before the work what could not be written after it."""
    animation = getattr(options, "animation", None)
    if not options.out and not options.npz and not animation:
        raise WrongRequest("nothing to write: give --out PICTURE.png, or --npz ARRAYS.npz")
    files = [(options.out, ".png"), (options.npz, ".npz"), (animation, "")]
    files.append((getattr(options, "save_recipe", None), ".json"))
    for path, kind in files:
        if path is None:
            continue
        if not kind:
            ending(path)
        elif not path.lower().endswith(kind):
            raise WrongRequest(f"{path}: what is written is a {kind} file; name it so")
        if not Path(path).absolute().parent.is_dir():
            raise WrongRequest(f"{path}: there is no folder {Path(path).absolute().parent}")


def read(path: str) -> Recipe:
    """The recipe in a JSON file, or in a PNG that we made."""
    try:
        if path.lower().endswith(".png"):
            with PIL.Image.open(path) as picture:
                text = getattr(picture, "text", {}).get(KEY)
            if text is None:
                raise WrongRequest(f"{path} carries no recipe: it was not made by featvis")
            return from_json(str(text))
        with Path(path).open(encoding="utf-8") as file:
            return from_json(file.read(LARGEST + 1))
    except WrongRequest:
        raise
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise WrongRequest(
            f"{path} cannot be read as a recipe ({type(error).__name__}); give the JSON file, or a "
            "PNG that featvis made"
        ) from error
