"""Rows of encoded texts, seen otherwise than they lie: some of them, or with buckets of n-grams
numbered anew.

Nothing is copied before it is taken, so the texts may lie on disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.features.ngrams import HashedNgrams

# Rows that are gone through at a time.
_BLOCK_ROWS = 4096


class Rows(Protocol):
    """What training and prediction ask of encoded rows: a TokenBatch, TokenShards or a RowView.

    Ids are had by taking rows: what lies elsewhere has no column of its own rows' ids.
    """

    @property
    def lengths(self) -> NDArray[np.int64]: ...

    @property
    def truncated(self) -> NDArray[np.int32]: ...

    def take(self, rows: NDArray[np.int64]) -> TokenBatch: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class RowView:
    """The rows `chosen` (n_rows,) of others.

    >>> view = RowView(TokenBatch.from_rows([[1], [2, 2], [3]]), np.array([2, 1]))
    >>> view.lengths.tolist(), view.take(np.array([1])).ids.tolist()
    ([1, 2], [2, 2])
    """

    whole: Rows
    chosen: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens in each row: (n_rows,)."""
        return self.whole.lengths[self.chosen]

    @property
    def truncated(self) -> NDArray[np.int32]:
        """Tokens cut from each row: (n_rows,)."""
        return self.whole.truncated[self.chosen]

    def take(self, rows: NDArray[np.int64]) -> TokenBatch:
        """Copy rows of the view, by their number in it."""
        return self.whole.take(self.chosen[rows])

    def __len__(self) -> int:
        return len(self.chosen)


@dataclass(frozen=True)
class RenumberedRows:
    """Rows with the buckets of hashed n-grams numbered as `ngrams` keeps them.

    lengths: (n_rows,) ids kept in each.
    """

    whole: Rows
    ngrams: HashedNgrams
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, whole: Rows, ngrams: HashedNgrams) -> RenumberedRows:
        """Count what is kept of each row, and give the rows so."""
        lengths = [ngrams.renumber(batch).lengths for batch in in_blocks(whole)]
        return cls(whole, ngrams, np.concatenate([np.zeros(0, np.int64), *lengths]))

    @property
    def truncated(self) -> NDArray[np.int32]:
        """Tokens cut from each row: (n_rows,)."""
        return self.whole.truncated

    def take(self, rows: NDArray[np.int64]) -> TokenBatch:
        """Copy rows, in the new numbers."""
        return self.ngrams.renumber(self.whole.take(rows))

    def __len__(self) -> int:
        return len(self.whole)


def in_blocks(rows: Rows) -> Iterator[TokenBatch]:
    """Take all rows in order, some thousands at a time, so that few are in memory.

    >>> [batch.ids.tolist() for batch in in_blocks(TokenBatch.from_rows([[1], [2, 2]]))]
    [[1, 2, 2]]
    """
    for start in range(0, len(rows), _BLOCK_ROWS):
        yield rows.take(np.arange(start, min(start + _BLOCK_ROWS, len(rows))))


def count_ids(rows: Rows, *, n_ids: int) -> NDArray[np.int64]:
    """Count how often each id occurs: (n_ids,)."""
    counts = np.zeros(n_ids, dtype=np.int64)
    for batch in in_blocks(rows):
        np.add.at(counts, batch.ids, 1)
    return counts
