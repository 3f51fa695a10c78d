"""The vectors of an index: unit rows on disk, mapped, searched exactly or by a graph (usearch).

In: vectors, a block at a time. Out: the nearest rows of queries by cosine. A row whose vector is
all zeros is no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.errors import UsageError
from textkit.io.columns import map_column
from textkit.threads import computed_once
from textkit.vectors import neighbours
from textkit.vectors.index import NeighbourIndex, build_index

VECTORS, EMPTY, GRAPH = "vectors.npy", "empty_rows.npy", "graph"
# Bytes of the table that are gone through at a time.
_BLOCK_BYTES = 64 << 20
# Under a filter that leaves at most this share of the rows, only those are read.
_FEW = 8
# Rows of the index that are searched for again to measure what the graph finds.
MEASURED_QUERIES, MEASURED_K = 256, 10

Floats = NDArray[np.float32]
Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class DenseRows:
    """The mapped rows of an index, of length 1 or 0.

    table: (n_rows, dim) float32 or float16. empty: rows of zeros, ascending.
    """

    table: NDArray[Any]
    empty: Int64
    source: str

    @classmethod
    def open(cls, folder: Path) -> DenseRows:
        """Map the vectors of an index."""
        return cls(map_column(folder / VECTORS), map_column(folder / EMPTY), str(folder))

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return int(self.table.shape[1])

    def __len__(self) -> int:
        return len(self.table)

    @computed_once
    def filled(self) -> Mask:
        """Tell which rows have a vector: (n_rows,) bool."""
        mask = np.ones(len(self.table), bool)
        mask[self.empty] = False
        return mask

    @computed_once
    def _norms(self) -> Floats:
        """The lengths to divide by: all rows have length 1 but those that are no answer."""
        return np.ones(len(self.table), np.float32)

    @property
    def row_words(self) -> Int64:
        """The number of each row, -1 for one without a vector: what a graph is built of."""
        return np.where(self.filled, np.arange(len(self.table)), -1)

    def read_rows(self, rows: Int64) -> Floats:
        """Copy rows as float32: (n, dim)."""
        return np.asarray(self.table[rows], np.float32)

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Go through the table: (first row, float32 rows), a block at a time."""
        step = max(1, _BLOCK_BYTES // (4 * max(self.dim, 1)))
        for first in range(0, len(self.table), step):
            yield first, np.asarray(self.table[first : first + step], np.float32)

    def search(self, queries: Floats, *, k: int, allowed: Mask | None) -> tuple[Int64, Floats]:
        """Find the k rows of the largest cosine, exactly: rows and cosines (n, at most k), -inf
        where there are fewer.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise UsageError(
                f"the query has shape {queries.shape}, expected (n, {self.dim}): the vectors of"
                f" {self.source} are {self.dim} wide"
            )
        good = self.filled if allowed is None else self.filled & allowed
        if allowed is not None and int(good.sum()) * _FEW <= len(good):
            return self._search_few(neighbours.unit(queries), np.flatnonzero(good), k)
        every = None if not len(self.empty) and allowed is None else good
        return neighbours.nearest_rows(self, queries, k=k, norms=self._norms, allowed=every)

    def _search_few(self, units: Floats, rows: Int64, k: int) -> tuple[Int64, Floats]:
        """Search some rows alone, read a block at a time."""
        cosines = np.empty((len(units), len(rows)), np.float32)
        step = max(1, _BLOCK_BYTES // (4 * max(self.dim, 1)))
        for first in range(0, len(rows), step):
            block = slice(first, first + step)
            cosines[:, block] = units @ self.read_rows(rows[block]).T
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        return rows[order], np.take_along_axis(cosines, order, axis=1)


def build_graph(
    rows: DenseRows,
    folder: Path,
    *,
    connectivity: int,
    effort: int,
    progress: Callable[[int, int | None], None] | None = None,
) -> float:
    """Write the graph of an index, and give the share of the true nearest rows that it finds.

    Rows of the index, evenly spread, are searched for by both; each finds itself, which does not
    count. One thread adds the rows: the order decides the graph.
    """
    graph = build_index(
        rows, folder, connectivity=connectivity, effort=effort, threads=1, progress=progress
    )
    return measure_recall(rows, graph)


def measure_recall(rows: DenseRows, graph: NeighbourIndex) -> float:
    """Give the mean share of the 10 nearest rows that a graph finds."""
    filled = np.flatnonzero(rows.filled)
    n = min(MEASURED_QUERIES, len(filled))
    chosen = filled[np.linspace(0, len(filled) - 1, n).astype(np.int64)]
    queries = rows.read_rows(chosen)
    k = MEASURED_K + 1
    true, cosines = rows.search(queries, k=k, allowed=None)
    found, near = graph.search(rows, queries, k=k)
    shares = []
    for i, row in enumerate(chosen.tolist()):
        wanted = [r for r in true[i][cosines[i] > -np.inf].tolist() if r != row][:MEASURED_K]
        given = [r for r in found[i][near[i] > -np.inf].tolist() if r != row][:MEASURED_K]
        if wanted:
            shares.append(len({*wanted} & {*given}) / len(wanted))
    return float(np.mean(shares)) if shares else 1.0
