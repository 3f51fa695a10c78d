"""Nearest rows by cosine: exact, in blocks, for many queries at once.

In: queries (n, dim) and Vectors. Out: the k best rows of each query and their cosines, the best first, ties by row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from textkit.embeddings.vectors import Vectors

Floats = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

# Queries taken at a time, so that their cosines with a block of rows stay within some tens of megabytes.
_QUERIES = 256
_BLOCK_ROWS = 32_768


def unit(rows: Floats) -> Floats:
    """Scale rows (n, dim) to length 1; a row of zeros stays.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), np.float32)


def row_norms(vectors: Vectors) -> Floats:
    """Give the length of every row (n_rows,), 1 for a row of zeros."""
    norms = np.empty(len(vectors.table), np.float32)
    for first, block in vectors.blocks():
        with np.errstate(over="ignore", invalid="ignore"):
            norms[first : first + len(block)] = np.sqrt(np.einsum("ij,ij->i", block, block))
    norms[norms == 0] = 1
    return norms


def nearest_rows(
    vectors: Vectors, queries: Floats, *, k: int, norms: Floats, allowed: npt.NDArray[np.bool_] | None = None
) -> tuple[Int64, Floats]:
    """Find the k rows of the largest cosine with each query: rows and cosines, both (n, min(k, n_rows)).

    norms: from `row_norms`. allowed: (n_rows,) bool, rows that may be answers; where there are fewer than k, the rest
    have cosine -inf.
    """
    k = min(k, len(vectors.table))
    rows = np.zeros((len(queries), k), np.int64)
    cosines = np.full((len(queries), k), -np.inf, np.float32)
    if not k:
        return rows, cosines
    for first in range(0, len(queries), _QUERIES):
        part = slice(first, first + _QUERIES)
        with np.errstate(over="ignore", invalid="ignore"):  # values that are not finite are no neighbours
            _search(vectors, unit(queries[part]), norms, allowed, rows[part], cosines[part])
    return rows, cosines


def _search(
    vectors: Vectors,
    queries: Floats,
    norms: Floats,
    allowed: npt.NDArray[np.bool_] | None,
    rows: Int64,
    cosines: Floats,
) -> None:
    """Fill in the best rows and cosines of some queries, going through the table once."""
    k = rows.shape[1]
    for at, large in vectors.blocks():
        for start in range(0, len(large), _BLOCK_ROWS):
            block, begin = large[start : start + _BLOCK_ROWS], at + start
            found = queries @ block.T
            found /= norms[begin : begin + len(block)]
            if allowed is not None:
                found[:, ~allowed[begin : begin + len(block)]] = -np.inf
            best = np.argpartition(-found, k - 1, axis=1)[:, :k] if k < len(block) else np.arange(len(block))[None]
            best = np.broadcast_to(best, (len(queries), best.shape[1]))
            all_rows = np.concatenate([rows, best + begin], axis=1)
            all_cosines = np.concatenate([cosines, np.take_along_axis(found, best, axis=1)], axis=1)
            order = np.lexsort((all_rows, -all_cosines), axis=1)[:, :k]
            rows[:] = np.take_along_axis(all_rows, order, axis=1)
            cosines[:] = np.take_along_axis(all_cosines, order, axis=1)
