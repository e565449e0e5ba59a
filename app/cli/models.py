"""The command `models`: what can be loaded, by words and by what is known of it; or of the hub."""

from __future__ import annotations

import argparse
from typing import Any

import zoo_adapters
from featvis import WrongRequest
from zoo_adapters.facts import HEADS, KINDS
from zoo_adapters.find import SORTS, nearest

from ..words.texts import told

FILTERS = ("family", "kind", "head", "licence", "most_parameters", "sort")


def add(commands: Any) -> argparse.ArgumentParser:
    """The command's own options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "models", help="list the models of the zoos"
    )
    parser.add_argument("zoo", nargs="?", help="one zoo: bundled, timm, torchvision, transformers")
    parser.add_argument("--search", default="", metavar="TEXT", help="names with all these words")
    parser.add_argument("--family", metavar="NAME", help="of one family, as resnet")
    parser.add_argument("--kind", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--head", metavar="HEAD", help="how class activation maps are exact: "
                        f"{', '.join(HEADS)}; any: all but none")  # fmt: skip
    parser.add_argument("--licence", metavar="NAME", help="how it begins, as apache; commercial: "
                        "those that do not exclude it")  # fmt: skip
    parser.add_argument("--most-parameters", type=float, metavar="N", help="at most, as 5e6")
    parser.add_argument("--sort", default="popular", metavar="ORDER", help=", ".join(SORTS))
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random order")
    parser.add_argument("--long", action="store_true", help="with what is known of each")
    parser.add_argument(
        "--hub", metavar="TEXT", help="repositories of the hub with all these words"
    )
    parser.set_defaults(command=models)
    return parser


def models(options: argparse.Namespace) -> None:
    """Names, one a line, so that they can be piped; of the hub with what is known of each."""
    if options.hub is not None:
        found = zoo_adapters.search_hub(options.hub)
        if not found:
            raise WrongRequest(f"the hub has no network with {options.hub!r} in its name")
        for one in found:
            print(one.name, told(one))
        return
    how = {name: getattr(options, name) for name in FILTERS}
    listed = zoo_adapters.find(options.search, zoo=options.zoo, seed=options.seed, **how)
    if not listed:
        raise WrongRequest(_nothing(options))
    for facts in listed:
        print(facts.name, told(facts)) if options.long else print(facts.name)


def _nothing(options: argparse.Namespace) -> str:
    """Why nothing is found, and what is near."""
    if near := nearest(options.search):
        return f"no model has {options.search!r} in its name; near are {', '.join(near)}"
    asked = {"zoo": options.zoo, "search": options.search or None}
    asked |= {name: getattr(options, name) for name in FILTERS if name != "sort"}
    numbers = {"most_parameters": f"{options.most_parameters or 0:g}"}
    words = [f"{name.replace('_', '-')} {numbers.get(name, value)}" for name, value in asked.items()
             if value]  # fmt: skip
    return f"no model fits {', '.join(words) or 'that'}; take a word or a filter away"
