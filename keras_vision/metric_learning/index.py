"""Which vectors of a gallery are nearest to others: exact, or approximate for millions."""

import os
import zlib
from collections.abc import Iterable
from functools import cached_property
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from keras_vision import _writing

BLOCK = 2**23  # distances at a time: 32 MB
# Of files that are none, or broken, or packed in a way that Python cannot read.
UNREADABLE = BadZipFile, EOFError, KeyError, RuntimeError, TypeError, ValueError, zlib.error
LINKS, BUILDING, SEARCHING = 32, 100, 128  # of the graph; more find more, but slower


class Index:
    """A gallery to search: the nearest by Euclidean distance, ties in the gallery's order.

    vectors: (N, D), of any length; they are kept, not copied, so do not change them.
    names: N of them, of any kind, by which results tell the vectors; by default 0 to N - 1. Bytes,
        as `Rows` have them, become strings.
    approximate: looks along a graph of neighbours (HNSW: Malkov, Yashunin 2016), by faiss, and not
        at all of the gallery: for millions of vectors. A search then takes less than a
        millisecond instead of one for every 100,000 vectors, finds nearly all of the nearest, and
        gives their distances exactly; of ties it may find any. Making the graph takes minutes and
        another copy of the vectors, and 270 bytes each. It has 32 links a vector (M), and keeps
        100 candidates as it is made (efConstruction), 128 or twice `top` as it is searched.
    Raises ValueError where vectors are none, not (N, D), or not finite, or names are not N, and
    ImportError where `approximate` lacks faiss.
    """

    def __init__(self, vectors, names=None, approximate=False):
        self.vectors = matrix(vectors, "vectors")
        if not self.vectors.size:
            raise ValueError(f"expected a vector at least, got vectors of {self.vectors.shape}")
        self.names = listed(names, len(self.vectors))
        self.graph = graph(self.around_centre(self.vectors)) if approximate else None

    def __len__(self):
        return len(self.vectors)

    def search(self, queries, top=5):
        """The gallery's `top` nearest, or all of a smaller one, to each of queries (M, D) or (D,).

        Returns a table with a row for each, nearest first: `query`, its number; `rank`, from 1 on;
        `name`; and `distance`.
        Raises ValueError where queries are not finite, or not (M, D) for the gallery's D, or top
        is no whole number above 0.
        """
        queries = np.asarray(queries)
        queries = matrix(queries[None] if queries.ndim == 1 else queries, "queries")
        if not isinstance(top, (int, np.integer)) or isinstance(top, bool) or top < 1:
            raise ValueError(f"top must be a whole number, 1 at least, not {top!r}")
        top = min(top, len(self))
        search = self.nearest if self.graph is None else self.probably_nearest
        found = list(search(queries, np.full(len(queries), top)))
        places = np.array([places for places, _ in found], int).ravel()
        return pd.DataFrame(
            {
                "query": np.repeat(np.arange(len(queries)), top),
                "rank": np.tile(np.arange(1, top + 1), len(queries)),
                "name": self.names[places],
                "distance": np.array([distances for _, distances in found], float).ravel(),
            }
        )

    def nearest(self, queries, tops, itself=None):
        """Yields for each of queries (M, D) the places and distances of the nearest, exactly.

        tops: (M,), how many each gets.
        itself: (M,), the place in the gallery that each does not get; by default it gets all.

        float32 decides who may be among them, float64 who is.
        """
        self.check(queries)
        gallery, squares = self.prepared
        # Rounding moves a square distance of vectors a, b by at most this times a² + b² (Higham
        # 2002, section 3.1).
        error = (self.vectors.shape[1] + 8) * np.finfo("float32").eps
        highest = squares * (1 + error) + np.finfo("float32").tiny
        spread = 2 * error * squares + 2 * np.finfo("float32").tiny
        rows = max(1, BLOCK // len(self))
        for start in range(0, len(queries), rows):
            block = self.around_centre(queries[start : start + rows])
            # What overflows is NaN or infinite, and goes to float64: it is not known to be far.
            with np.errstate(all="ignore"):
                above = (-2 * block) @ gallery.T  # (rows, N), each less the query's a²
                above += highest
                slack = 2 * error * (block**2).sum(1)
            for number, row in enumerate(above, start):
                own = -1 if itself is None else itself[number]
                if own >= 0:
                    row[own] = np.inf
                with np.errstate(all="ignore"):
                    limit = reached(row, tops[number]) + slack[number - start]
                    places = np.flatnonzero(~(row - spread > limit))
                yield self.ordered(queries[number], places[places != own], tops[number])

    def probably_nearest(self, queries, tops):
        """As `nearest` without `itself`, by the graph."""
        self.check(queries)
        if not len(queries):
            return
        top = int(max(tops))
        settings = faiss().SearchParametersHNSW(efSearch=max(SEARCHING, 2 * top))
        _, found = self.graph.search(self.around_centre(queries), top, params=settings)
        for query, places in zip(queries, found, strict=True):
            if places.min() < 0:  # fewer were within reach of the graph
                yield from self.nearest(query[None], [top])
            else:
                yield self.ordered(query, np.sort(places), top)

    def ordered(self, query, places, top):
        """The `top` nearest of these places, which ascend: places (top,), distances (top,)."""
        with np.errstate(over="ignore"):
            distances = lengths(self.vectors[places].astype("float64") - query)
        order = np.argsort(distances, kind="stable")[:top]
        return places[order], distances[order]

    @cached_property
    def centre(self):
        """About the median: a mean would go with a single vector that is far out."""
        some = self.vectors[:: len(self) // 1000 + 1]
        return np.partition(some, len(some) // 2, axis=0)[len(some) // 2]

    @cached_property
    def exponent(self):
        """Of the power of 2 that the gallery around its centre is below, number by number."""
        with np.errstate(over="ignore"):
            low, high = (of(self.vectors, axis=0) - self.centre for of in (np.min, np.max))
        return np.frexp(np.max([-low, high]))[1]

    @cached_property
    def prepared(self):
        """The gallery around its centre (N, D), and its vectors' square lengths (N,)."""
        vectors = self.around_centre(self.vectors)
        with np.errstate(all="ignore"):
            return vectors, (vectors**2).sum(1)

    def around_centre(self, vectors):
        """float32 (M, D), of which the gallery's are from -1 to 1: less is lost where vectors are
        close together but far from 0, and squares are neither too large nor too small.
        """
        with np.errstate(all="ignore"):
            return np.ldexp(vectors - self.centre, -self.exponent).astype("float32")

    def check(self, queries):
        if queries.shape[1] != self.vectors.shape[1]:
            raise ValueError(
                f"expected queries of {self.vectors.shape[1]} numbers, as the gallery's vectors, "
                f"got queries of {queries.shape[1]}"
            )

    def save(self, path, overwrite=False):
        """Writes all to a `.npz`: the whole file, or nothing.

        Names are written as strings, unless they are the default's numbers.
        Raises FileExistsError unless `overwrite`, OSError if it cannot be written, and ValueError
        for another suffix.
        """
        suffix = Path(path).suffix
        if suffix.lower() != ".npz":
            raise ValueError(f"{os.fspath(path)!r}: expected the suffix .npz, got {suffix!r}")
        arrays = {"vectors": self.vectors}
        if self.names.dtype == object:
            arrays["names"] = np.array(list(map(str, self.names)))
        if self.graph is not None:
            arrays["graph"] = faiss().serialize_index(self.graph)
        file = BytesIO()
        np.savez(file, **arrays)
        _writing.write(path, file.getbuffer(), overwrite)

    @classmethod
    def load(cls, path):
        """What `save` wrote; ValueError for another file."""
        try:
            with open(path, "rb") as file, np.load(file) as archive:
                arrays = dict(archive)
            index = cls(arrays["vectors"], arrays.get("names"))
            if "graph" in arrays:
                index.graph = faiss().deserialize_index(arrays["graph"])
                sides = index.graph.ntotal, index.graph.d
                if sides != index.vectors.shape:
                    raise ValueError(f"a graph of {sides}, vectors of {index.vectors.shape}")
            return index
        except UNREADABLE as error:
            raise ValueError(f"{os.fspath(path)!r} is no index that was saved: {error}") from error


def matrix(vectors, what):
    """Finite vectors (N, D) as an array of float32 or float64; ValueError for others."""
    vectors = np.asarray(vectors)
    if vectors.ndim != 2:
        raise ValueError(f"expected {what} (N, D), got the shape {vectors.shape}")
    if not np.can_cast(vectors.dtype, "float64"):
        raise ValueError(f"expected {what} of real numbers, got {vectors.dtype}")
    vectors = vectors.astype(np.result_type(vectors.dtype, "float32"), copy=False)
    wrong = np.flatnonzero(~np.isfinite(vectors).all(1))
    if len(wrong):
        raise ValueError(
            f"expected finite {what}, but {len(wrong)} of {len(vectors)} have NaN or infinity, "
            f"the first is number {wrong[0]}"
        )
    return vectors


def lengths(vectors):
    """(N,) of float64 (N, D), though their squares may be too large or too small for it."""
    exponents = np.frexp(np.abs(vectors).max(1, keepdims=True, initial=0))[1]
    squares = np.ldexp(vectors, -exponents) ** 2
    return np.ldexp(np.sqrt(squares.sum(1)), exponents[:, 0])


def reached(row, count):
    """A number that `count` of the row (N,) are at most, and few others."""
    if len(row) >= 512 * count:  # of every 64 the least: 1 % of the time
        row = row[: len(row) // 64 * 64].reshape(64, -1).min(0)
    return np.partition(row, count - 1)[count - 1]


def listed(names, count):
    if names is None:
        return np.arange(count)
    names = names.numpy() if hasattr(names, "numpy") else names  # a column of `Rows`
    if not isinstance(names, Iterable):
        raise ValueError(f"expected names, one for each of {count} vectors, got {names!r}")
    named = (os.fsdecode(name) if isinstance(name, bytes) else name for name in names)
    names = np.fromiter(named, object)  # one by one, as np.array would take tuples apart
    if len(names) != count:
        raise ValueError(f"expected names of {count} vectors, got {len(names)}")
    return names


def graph(vectors):
    """faiss' HNSW of vectors (N, D), float32."""
    found = faiss().IndexHNSWFlat(vectors.shape[1], LINKS)
    found.hnsw.efConstruction = BUILDING
    found.add(vectors)
    return found


def faiss():
    try:
        import faiss
    except ImportError as error:
        fix = 'pip install "keras_vision[search]"'
        raise ImportError(f"An approximate index needs faiss-cpu: {fix} ({error})") from error
    return faiss
