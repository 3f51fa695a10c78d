"""Nearest rows by cosine: exact, in blocks, for many queries at once.

In: queries (n, dim) and a table of rows. Out: the k best rows of each query and their cosines, the
best first, ties by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

# Queries taken at a time. In 400,000 x 50 with one thread, one alone takes 5 ms, 256 together take
# 1 ms each.
_QUERIES = 256
# Cosines computed at a time, 16 MB of them: 4 MB are as fast on an idle machine, but OpenBLAS waits
# for its second thread in every product, which on a busy one took 15 ms each.
_CELLS = 1 << 22
# The first block is ranked whole; those after it give only what beats the k-th best so far, a
# handful of rows.
_FIRST_ROWS = 1024
# Below this length the squares of a float32 row lose digits.
_SMALL = 1e-15


class RowTable(Protocol):
    """A table of vectors, as a WordTable is, or the rows of a search index.

    table: (n_rows, dim) as it is stored. row_words: (n_rows,) int64, below 0 for a row that is no
    neighbour of any. blocks: (first row, float32 rows), one after the other. source: where it is
    from, for errors.
    """

    @property
    def table(self) -> npt.NDArray[Any]: ...
    @property
    def source(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def row_words(self) -> Int64: ...
    def __len__(self) -> int: ...
    def blocks(self) -> Iterable[tuple[int, Floats]]: ...
    def read_rows(self, rows: Int64, /) -> Floats: ...


def unit(rows: Floats) -> Floats:
    """Scale rows (n, dim) to length 1; a row of zeros stays, and one that is not finite too.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0], [3e-30, 4e-30]], np.float32)).round(3).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0], [0.6000000238418579, 0.800000011920929]]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        scaled = np.asarray(rows / np.where(norms > 0, norms, 1), np.float32)
        # Squares of float32 overflow and underflow: float64 holds the length of such rows.
        odd = np.flatnonzero(~((norms[:, 0] > _SMALL) & (norms[:, 0] < np.inf)))
        if len(odd):
            wide = rows[odd].astype(np.float64)
            lengths = np.linalg.norm(wide, axis=1, keepdims=True)
            scaled[odd] = wide / np.where(lengths > 0, lengths, 1)
    return scaled


def row_norms(vectors: RowTable) -> Floats:
    """Give the length of every row (n_rows,), 1 for a row of zeros."""
    norms = np.empty(len(vectors.table), np.float32)
    for first, block in vectors.blocks():
        with np.errstate(over="ignore", invalid="ignore"):
            norms[first : first + len(block)] = np.sqrt(np.einsum("ij,ij->i", block, block))
    norms[norms == 0] = 1
    return norms


def nearest_rows(
    vectors: RowTable,
    queries: Floats,
    *,
    k: int,
    norms: Floats,
    allowed: npt.NDArray[np.bool_] | None = None,
) -> tuple[Int64, Floats]:
    """Find the k rows of the largest cosine with each query: rows and cosines, both (n, min(k,
    n_rows)).

    norms: from `row_norms`. allowed: (n_rows,) bool, rows that may be answers; where there are
    fewer than k, the rest have cosine -inf.
    """
    k = min(k, len(vectors.table))
    rows = np.zeros((len(queries), k), np.int64)
    cosines = np.full((len(queries), k), -np.inf, np.float32)
    if not k:
        return rows, cosines
    for first in range(0, len(queries), _QUERIES):
        part = slice(first, first + _QUERIES)
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # values that are not finite are no neighbours
            _search(vectors, unit(queries[part]), norms, allowed, rows[part], cosines[part])
    return rows, cosines


def _search(
    vectors: RowTable,
    queries: Floats,
    norms: Floats,
    allowed: npt.NDArray[np.bool_] | None,
    rows: Int64,
    cosines: Floats,
) -> None:
    """Fill in the best rows and cosines (n, k) of some queries, going through the table once."""
    n, k = rows.shape
    for begin, block in _blocks(vectors, n, first_rows=max(_FIRST_ROWS, 2 * k)):
        found = queries @ block.T
        found /= norms[begin : begin + len(block)]
        if allowed is not None:
            found[:, ~allowed[begin : begin + len(block)]] = -np.inf
        owners, at = np.divmod(np.flatnonzero(found > cosines[:, -1:]), len(block))
        if not len(owners):
            continue
        # The better ones of each query, side by side after its best so far: stable sorting leaves
        # ties by row.
        counts = np.bincount(owners, minlength=n)
        place = k + np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        all_cosines = np.full((n, k + int(counts.max())), -np.inf, np.float32)
        all_rows = np.zeros(all_cosines.shape, np.int64)
        all_cosines[:, :k], all_rows[:, :k] = cosines, rows
        all_cosines[owners, place], all_rows[owners, place] = found[owners, at], begin + at
        order = np.argsort(-all_cosines, axis=1, kind="stable")[:, :k]
        rows[:] = np.take_along_axis(all_rows, order, axis=1)
        cosines[:] = np.take_along_axis(all_cosines, order, axis=1)


def _blocks(vectors: RowTable, n_queries: int, *, first_rows: int) -> Iterator[tuple[int, Floats]]:
    """Cut the table into blocks of as many rows as so many queries allow, the first ones small."""
    size, most = first_rows, max(first_rows, _CELLS // n_queries)
    for at, large in vectors.blocks():
        start = 0
        while start < len(large):
            yield at + start, large[start : start + size]
            start += size
            size = min(8 * size, most)
