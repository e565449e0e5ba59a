"""Nearest neighbours by the cosine: exactly by torch, or by FAISS where it is installed.

FAISS compares with every vector up to LARGE of them, and walks a graph (HNSW) beyond, which may
miss a neighbour. Without it torch compares with every one, whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

LARGE = 200_000  # vectors beyond which FAISS walks a graph
SMALL = 20_000  # up to so many, torch is as fast and needs nothing built
LINKS, EFFORT = 32, 128  # of the graph
Vectors = NDArray[np.float32]
# A vector (D,) and k -> rows and cosines of the nearest, the nearest first
Nearest = Callable[[Vectors, int], tuple[NDArray[np.int64], Vectors]]


def nearest(vectors: Vectors) -> Nearest:
    """The search among vectors (N, D) of length 1 that suits their number."""
    if len(vectors) <= SMALL:
        return exact(vectors)
    try:
        return faiss_graph(vectors) if len(vectors) > LARGE else faiss_flat(vectors)
    except ModuleNotFoundError:
        return exact(vectors)


def exact(vectors: Vectors) -> Nearest:
    """Every vector is compared, by torch; of equal cosines the smaller row comes first."""
    whole = torch.from_numpy(np.ascontiguousarray(vectors))

    def search(query: Vectors, k: int) -> tuple[NDArray[np.int64], Vectors]:
        cosines = whole @ torch.from_numpy(_unit(query))
        k = min(k, len(whole))
        limit = cosines.topk(k).values[-1]
        rows = (cosines >= limit).nonzero()[:, 0]
        order = cosines[rows].argsort(descending=True, stable=True)[:k]
        return rows[order].numpy(), cosines[rows[order]].numpy()

    return search


def faiss_flat(vectors: Vectors) -> Nearest:
    """Every vector is compared, by FAISS."""
    import faiss

    made = faiss.IndexFlatIP(vectors.shape[1])
    made.add(np.ascontiguousarray(vectors))
    return _asked(made)


def faiss_graph(vectors: Vectors) -> Nearest:
    """A walk over a graph of near vectors (HNSW): faster, and now and then one is missed."""
    import faiss

    made = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    made.hnsw.efSearch = EFFORT
    made.add(np.ascontiguousarray(vectors))
    return _asked(made)


def _asked(made: Any) -> Nearest:
    def search(query: Vectors, k: int) -> tuple[NDArray[np.int64], Vectors]:
        cosines, rows = made.search(_unit(query)[None], min(k, made.ntotal))
        found = rows[0] >= 0
        return rows[0][found], cosines[0][found]

    return search


def _unit(query: Vectors) -> Vectors:
    made: Vectors = (query / max(float(np.linalg.norm(query)), 1e-12)).astype(np.float32)
    return made
