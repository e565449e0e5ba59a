"""Kinship: what the layers and the channels of two networks have in common, over many pictures.

- `counterparts`: channels that are active at the same places of the same pictures ("Rosetta
  neurons", Dravid et al. 2023, arXiv:2306.09346).
- `cka`: how alike the layers see the differences between pictures (centred kernel alignment,
  Kornblith et al. 2019, arXiv:1905.00414), by the unbiased estimate over batches (Nguyen et al.
  2021, arXiv:2010.15327).
- `neighbour_overlap`: how many of a picture's nearest neighbours are the same in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Counterpart", "Overlap", "Pair", "cka", "counterparts", "neighbour_overlap", "on_grid"]

CHUNK = 512  # pictures whose neighbours are looked for at a time
GRID = 8  # cells per side at which maps of different sizes are compared


class Pair(NamedTuple):
    """What two networks make of the same batch of pictures: maps (B, C, h, w) by layer."""

    one: Mapping[str, Tensor]
    other: Mapping[str, Tensor]


class Counterpart(NamedTuple):
    """A channel of the other network, and its correlation with one of the first."""

    layer: str
    channel: int
    correlation: float


class Overlap(NamedTuple):
    """Of each of N pictures: what its neighbourhoods in two networks have in common."""

    share: Tensor  # (N,) of the k nearest neighbours that are the same, in [0, 1]
    apart: Tensor  # (N,) cosine that each network's own neighbours have before the other's; >= 0
    one: Tensor  # (N, k) rows of the nearest neighbours, the nearest first
    other: Tensor  # (N, k)


def on_grid(maps: Tensor, cells: int = GRID) -> Tensor:
    """Maps (B, C, h, w) at cells x cells places that cover the picture alike: cell averages.

    Half a stride by which a map may lie aside is left out: a cell is larger.
    """
    mode = "area" if min(maps.shape[2:]) >= cells else "bilinear"
    return F.interpolate(maps.float(), (cells, cells), mode=mode)


def counterparts(
    pairs: Iterable[Pair], layer: str, channel: int, *, k: int = 8
) -> tuple[Counterpart, ...]:
    """The channels of the other network that go most with a channel of `layer` of the first.

    Pearson's correlation over all places of all pictures, on a common grid. Of each layer of the
    other network the best channels compete; a channel that never changes correlates 0.
    """
    sums: dict[str, Tensor] = {}  # (5, C): of y, y^2, x y; and of x, x^2 in every column
    count = 0
    for one, other in pairs:
        x = on_grid(one[layer][:, channel : channel + 1]).double()  # (B, 1, g, g)
        count += x.numel()
        for name, maps in other.items():
            y = on_grid(maps).double()
            found = torch.stack([
                y.sum((0, 2, 3)), y.square().sum((0, 2, 3)), (x * y).sum((0, 2, 3)),
                x.sum().expand(y.shape[1]), x.square().sum().expand(y.shape[1]),
            ])  # fmt: skip
            sums[name] = sums[name] + found if name in sums else found
    best: list[Counterpart] = []
    for name, (y, yy, xy, x, xx) in sums.items():
        covariance = xy - x * y / count
        size = ((xx - x.square() / count) * (yy - y.square() / count)).clamp_min(0).sqrt()
        value = torch.where(size > 1e-9 * (xx * yy).sqrt().clamp_min(1e-300), covariance / size, 0)
        top = value.nan_to_num().topk(min(k, len(value)))
        pairs_of = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        best += [Counterpart(name, number, min(r, 1.0)) for number, r in pairs_of]
    return tuple(sorted(best, key=lambda found: -found.correlation)[:k])


def cka(pairs: Iterable[Pair]) -> tuple[list[str], list[str], Tensor]:
    """Names of the layers of both networks, and their linear CKA (layers, layers).

    With K = X X^T of a batch without its diagonal, and the same for L:

        HSIC(K, L) = (tr(K L) + sum(K) sum(L) / ((n-1)(n-2)) - 2 sum(K L) / (n-2)) / (n (n-3))
        CKA = mean HSIC(K, L) / sqrt(mean HSIC(K, K) . mean HSIC(L, L))

    1 is the same up to a rotation and a scale; of features without any relation it is 0 on average,
    and may be a little below. Batches need at least 4 pictures; smaller ones are left out.
    """
    cross = own = others = None
    names: tuple[list[str], list[str]] = ([], [])
    for one, other in pairs:
        if len(next(iter(one.values()))) < 4:
            continue
        names = (list(one), list(other))
        a = torch.stack([_gram(maps) for maps in one.values()])
        b = torch.stack([_gram(maps) for maps in other.values()])
        found = _hsic(a, b), _hsic(a, a).diagonal(), _hsic(b, b).diagonal()
        if cross is None or own is None or others is None:
            cross, own, others = found
        else:
            cross, own, others = cross + found[0], own + found[1], others + found[2]
    if cross is None or own is None or others is None:
        raise ValueError("no batch has 4 pictures or more")
    size = (own[:, None] * others[None]).clamp_min(0).sqrt()
    return *names, torch.where(size > 0, cross / size.clamp_min(1e-300), 0.0)


def _gram(maps: Tensor) -> Tensor:
    """Inner products (B, B) of pictures' features, without those of a picture with itself."""
    flat = maps.flatten(1).double()
    flat = flat - flat.mean(0)  # the estimate does not change, but rounding does
    flat = flat / flat.norm().clamp_min(1e-300)
    return (flat @ flat.T).fill_diagonal_(0)


def _hsic(a: Tensor, b: Tensor) -> Tensor:
    """The unbiased estimate (N, M) for Gram matrices (N, B, B) and (M, B, B)."""
    n = a.shape[1]
    rows_a, rows_b = a.sum(2), b.sum(2)  # (N, B)
    trace = torch.einsum("nij,mij->nm", a, b)
    sums = rows_a.sum(1)[:, None] * rows_b.sum(1)[None] / ((n - 1) * (n - 2))
    return (trace + sums - 2 * (rows_a @ rows_b.T) / (n - 2)) / (n * (n - 3))


def neighbour_overlap(one: Tensor, other: Tensor, k: int = 10) -> Overlap:
    """How far two networks agree on which pictures are alike: embeddings (N, D) and (N, E).

    Row n of both is the same picture, which is not its own neighbour. The share of common ones is 1
    for the same embedding up to a rotation, and k / (N - 1) on average by chance.
    """
    if len(one) != len(other) or not 1 <= k < len(one):
        raise ValueError(f"{len(one)} and {len(other)} pictures have no {k} neighbours in common")
    a, b = (F.normalize(x.detach().float(), dim=1) for x in (one, other))
    found = [_around(a, b, start, k) for start in range(0, len(a), CHUNK)]
    return Overlap(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _around(a: Tensor, b: Tensor, start: int, k: int) -> tuple[Tensor, ...]:
    """The overlap of the pictures from `start` on, CHUNK of them."""
    rows = torch.arange(start, min(start + CHUNK, len(a)))
    cosines = [x[rows] @ x.T for x in (a, b)]  # (chunk, N)
    for each in cosines:
        each[torch.arange(len(rows)), rows] = -2.0
    near = [each.topk(k, dim=1).indices for each in cosines]
    share = (near[0][:, :, None] == near[1][:, None]).any(2).float().mean(1)
    apart = torch.zeros(len(rows))
    for each, own, foreign in zip(cosines, near, near[::-1], strict=True):
        apart += (each.gather(1, own).mean(1) - each.gather(1, foreign).mean(1)) / 2
    return share, apart, near[0], near[1]
