"""Pool the vectors of texts' rows: the mean, the weighted mean or the maximum, by rectangles.

In: the rows of a table that texts' tokens have, text after text. Out: one vector a text; a text
without rows gives zeros.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from textkit.batch import TokenBatch, offsets_of
from textkit.vectors.table import Floats
from textkit.vectors.words import Int64

_GATHER_FLOATS = 1 << 19


Reader = Callable[[Int64], Floats]


@dataclass(frozen=True)
class Found:
    """The rows of texts' tokens that have vectors.

    rows: (n,) int64, none negative, as `read` understands them; offsets: (n_texts + 1,); truncated:
    (n_texts,); weights: by row, or None; table_rows: by row, the row in the whole table or -1, or
    None where they are the same.
    """

    rows: Int64
    offsets: Int64
    truncated: npt.NDArray[np.int32]
    read: Reader
    weights: Floats | None
    table_rows: Int64 | None


def leave_out_unknown(
    rows: Int64, batch: TokenBatch, read: Reader, weights: Floats | None, table_rows: Int64 | None
) -> Found:
    """Leave out the tokens without a row."""
    known = rows >= 0
    offsets = batch.offsets
    if not known.all():
        offsets = offsets_of(known.astype(np.int64))[offsets]
        rows = rows[known]
    return Found(rows, offsets, batch.truncated, read, weights, table_rows)


def pool_rows(found: Found, how: Literal["mean", "max"], *, dim: int) -> Floats:
    """Pool the vectors of each text's rows: (n_texts, dim) float32, zeros for a text without rows.

    Texts of one length are a rectangle (texts, length) of rows, gathered and reduced at once, some
    megabytes at a time.
    """
    lengths = np.diff(found.offsets)
    pooled = np.zeros((len(lengths), dim), np.float32)
    order = np.argsort(lengths, kind="stable")
    sizes = lengths[order]
    starts = np.flatnonzero(np.diff(sizes, prepend=0)).tolist()  # the first of each length but 0
    for first, last in itertools.pairwise([*starts, len(order)]):
        length = int(sizes[first])
        step = max(1, _GATHER_FLOATS // (length * dim))
        for at in range(first, last, step):
            texts = order[at : min(at + step, last)]
            rows = found.rows[found.offsets[texts][:, None] + np.arange(length)]
            pooled[texts] = _reduce(rows, found, how)
    return pooled


def _reduce(rows: Int64, found: Found, how: Literal["mean", "max"]) -> Floats:
    """Reduce rectangles of rows (texts, length) to (texts, dim)."""
    gathered = found.read(rows.reshape(-1)).reshape(*rows.shape, -1)
    if how == "max":
        return np.asarray(gathered.max(axis=1))
    if found.weights is None:
        return np.asarray(gathered.mean(axis=1))
    weights = found.weights[rows][:, None, :]
    return np.asarray((weights @ gathered)[:, 0] / np.float32(rows.shape[1]))
