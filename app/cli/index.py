"""The command `index`: build, look into, list and remove indexes."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import zoo_adapters
from featvis import Image, VisionModel, WrongRequest
from featvis.probe import embed, pooled
from zoo_adapters import bundled

from ..index import Index, by_channel, by_layer, need_index, pool, source_of, store
from ..index import build as build_index
from ..index.bundled import build_all
from ..index.cluster import on_ray
from ..index.sheet import patches, pictures
from .pictures import named


def add(commands: Any) -> None:
    """Add the command `index` and those below it."""
    parser = commands.add_parser("index", help="what excites every channel, over many pictures")
    below = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    one = below.add_parser("build", help="look at all pictures of a source once")
    one.add_argument("--model", metavar="ZOO:NAME")
    one.add_argument("--random", action="store_true", help="random weights instead of trained")
    one.add_argument("--source", default="scenes:", metavar="SOURCE",
                     help="scenes: (drawn, the default), folder:PATH, or hf:NAME")  # fmt: skip
    one.add_argument("--count", type=int, metavar="N", help="only the first N pictures")
    one.add_argument("--layers", metavar="A,B", help="only these layers")
    one.add_argument("--k", type=int, default=9, help="pictures kept per channel (9)")
    one.add_argument("--engine", choices=("local", "ray"), default="local",
                     help="ray: the shards are computed by a Ray cluster")  # fmt: skip
    one.add_argument("--address", metavar="HOST:PORT", help="of a running Ray cluster")
    one.add_argument("--bundled", action="store_true",
                     help="build those that come with featvis, in its own folder")  # fmt: skip
    one.set_defaults(command=build)
    one = below.add_parser("info", help="what an index is of, and its layers")
    _named(one)
    one.set_defaults(command=info)
    one = below.add_parser("query", help="everything about a channel, or a picture's neighbours")
    _named(one)
    one.add_argument("--layer", metavar="NAME")
    one.add_argument("--channel", type=int, metavar="N")
    one.add_argument("--image", metavar="FILE", help="a picture, or scene-17: its neighbours")
    one.add_argument("--by", choices=("embedding", "layer", "channel"), default="embedding",
                     help="what finds the neighbours of --image alike: the whole network, "
                     "--layer, or --channel of it")  # fmt: skip
    one.add_argument(
        "--among",
        type=int,
        metavar="N",
        help="by a layer or channel: at most so many pictures (500), evenly spread",
    )
    one.add_argument("--k", type=int, default=9, help="how many pictures (9)")
    one.add_argument("--out", metavar="PNG", help="write the patches, or the neighbours")
    one.set_defaults(command=query)
    one = below.add_parser("list", help="the indexes there are")
    one.set_defaults(command=listed)
    one = below.add_parser("rm", help="remove an index that you built, or its beginnings")
    _named(one)
    one.set_defaults(command=remove)


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--random", action="store_true", help="the one of random weights")
    parser.add_argument("--source", metavar="SOURCE", help="where there are several")


def build(options: argparse.Namespace) -> None:
    """Build one index, or those of all bundled networks."""
    if options.bundled:
        for place in build_all(_progress):
            print(f"{place.name}: {_size(place) / 1e6:.2f} MB")
        return
    if not options.model:
        raise WrongRequest("give --model ZOO:NAME, or --bundled; see them with: featvis models")
    if options.k < 1 or (options.count is not None and options.count < 1):
        raise WrongRequest("--k and --count are whole numbers from 1 on")
    model = _model(options)
    source = source_of(options.source, options.count)
    shards = None
    if options.engine == "ray":
        shards = on_ray(options.address, pretrained=not options.random, count=options.count)
    layers = options.layers.split(",") if options.layers else None
    place = build_index(
        model, source, layers=layers, k=options.k, shards=shards, progress=_progress
    )
    index = need_index(model, source.spec)
    for name, reason in index.manifest.broken:
        print(f"skipped {name}: {reason}", file=sys.stderr)
    print(f"{index.count} pictures, {len(index.layers)} layers, "
          f"{len(index.manifest.broken)} skipped: {place}")  # fmt: skip


def _progress(done: int, total: int | None) -> None:
    share = f"{done} of {total} pictures" if total else f"{done} pictures"
    print(f"\r{share}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def info(options: argparse.Namespace) -> None:
    """What an index is of."""
    index = need_index(_model(options), options.source)
    told = index.manifest
    print(f"{told.model} over {told.source}: {told.count} pictures, {len(told.broken)} skipped")
    print(f"  kept: the {told.k} strongest and weakest pictures of each channel")
    print(f"  embedding: {told.embedding}")
    print(f"  weights: {told.weights[:16]}  pictures: {told.digest[:16]}")
    if told.parts:
        print(f"  parts: {len(told.parts)}, looked for in {told.dissected} pictures")
    print(f"  classes: {len(told.classes)}")
    print(f"layers ({len(index.layers)})")
    for layer in index.layers:
        h, w = told.sizes[layer]
        before = f" · before {told.bounds[layer]}" if layer in told.bounds else ""
        print(f"  {layer} · {index.channels(layer)} ch · {h}x{w}{before}")


def query(options: argparse.Namespace) -> None:
    """A channel, or the neighbours of a picture."""
    model = _model(options)
    index = need_index(model, options.source)
    if options.image:
        _neighbours(model, index, options)
    elif options.layer is None or options.channel is None:
        raise WrongRequest("give --layer and --channel, or --image for its neighbours")
    else:
        _channel(model, index, options)


def _channel(model: VisionModel, index: Index, options: argparse.Namespace) -> None:
    where = options.layer, options.channel
    stats, chosen = index.stats(*where), index.selectivity(*where)
    units = model.layer(options.layer).units
    print(f"{units}, channel {options.channel}, over {index.count} pictures")
    print(f"  mean {stats.mean:.4g}, standard deviation {stats.std:.4g}, above zero at "
          f"{100 * stats.positive:.1f} % of the positions")  # fmt: skip
    if chosen:
        best = ", ".join(f"{name} {mean:.3g}" for name, mean in list(chosen.means.items())[:4])
        print(f"  classes: {best}; selectivity {chosen.share:.2f}")
    if parts := index.parts(*where):
        print(f"  parts: {', '.join(f'{p.name} (IoU {p.iou:.2f})' for p in parts)}")
    alike = ", ".join(f"{c} ({r:.2f})" for c, r in index.similar(*where, 5))
    print(f"  alike: {alike}")
    hits = index.top(*where, options.k)
    weak = index.bottom(*where, options.k)
    for title, which, some in (("strongest", "top", hits), ("weakest", "bottom", weak)):
        ties = index.ties(*where, options.k, which)
        print(f"{title}: {ties.count} tie at {ties.value:.4g}" if ties else title)
        for image, value, (row, column) in some:
            print(f"  {image}  {value:.4g} at {row},{column}  {index.label(image)}")
    if options.out:
        patches(index, model, options.layer, hits).save(_png(options.out))


def _neighbours(model: VisionModel, index: Index, options: argparse.Namespace) -> None:
    found = _nearest(model, index, zoo_adapters.read_image(named(options.image), model), options)
    for image, value in found:
        print(f"  {image}  {value:.4f}  {index.label(image)}")
    if options.out:
        pictures(index, [image for image, _ in found]).save(_png(options.out))


def _nearest(
    model: VisionModel, index: Index, image: Image, options: argparse.Namespace
) -> tuple[tuple[str, float], ...]:
    """Each neighbour, and its cosine or, by a channel, the channel's maximum in it."""
    by, layer = options.by, options.layer
    if by == "embedding":
        return index.neighbours(embed(model, image), options.k)
    if layer is None or (by == "channel" and options.channel is None):
        raise WrongRequest("--by layer needs --layer, and --by channel --layer and --channel")
    if options.among is not None and options.among < 1:
        raise WrongRequest("--among is a whole number from 1 on")
    found = pool(index, model, layer, options.among, _progress)
    seen = pooled(model, image, [layer])[layer]
    if by == "layer":
        return by_layer(found, seen, options.k)
    return by_channel(found, seen, options.channel, options.k)


def listed(options: argparse.Namespace) -> None:
    """All indexes, those that come with featvis last."""
    shipped = sorted(path.parent for path in bundled.indexes().glob("*/manifest.json"))
    places = [*store.own(), *shipped]
    if not places:
        print("there is none; featvis index build --model bundled:scenes-resnet makes one")
    for place in places:
        told = store.told_of(place)
        here = "" if place in store.own() else "  (comes with featvis)"
        print(f"{told.get('model')}  {told.get('source')}  {told.get('count')} pictures  "
              f"{_size(place) / 1e6:.2f} MB{here}")  # fmt: skip
    for place in sorted(store.root().glob("*.part")):
        print(f"{place.name}: not finished; the same build command goes on with it")


def remove(options: argparse.Namespace) -> None:
    """Remove the user's indexes of a model, whatever their weights."""
    found = [
        place
        for place in store.own()
        if store.told_of(place).get("model") == options.model
        and options.source in (None, store.told_of(place).get("source"))
    ]
    stem = store.folder_of(options.model, options.source or "").name.partition("--")[0]
    if options.source:
        begun = [store.folder_of(options.model, options.source).with_suffix(".part")]
    else:
        begun = list(store.root().glob(f"{stem}--*.part"))
    found += [place for place in begun if place.is_dir()]
    if not found:
        raise WrongRequest(
            f"there is no index of {options.model} to remove; see featvis index list"
        )
    for place in found:
        shutil.rmtree(place)
        print(f"removed {place}")


def _model(options: argparse.Namespace) -> VisionModel:
    return zoo_adapters.load(options.model, pretrained=not options.random)


def _size(place: Path) -> int:
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())


def _png(path: str) -> Path:
    if not path.lower().endswith(".png"):
        raise WrongRequest(f"{path}: what is written is a .png file; name it so")
    return Path(path)
