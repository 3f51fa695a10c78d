"""Some rows of encoded texts, seen as if they were all; nothing is copied, so the texts may lie on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch


class Rows(Protocol):
    """What training and prediction ask of encoded rows: a TokenBatch, TokenShards or a RowView."""

    @property
    def lengths(self) -> NDArray[np.int64]: ...

    @property
    def truncated(self) -> NDArray[np.int32]: ...

    @property
    def ids(self) -> NDArray[np.int32]: ...

    def take(self, rows: NDArray[np.int64]) -> TokenBatch: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class RowView:
    """The rows `chosen` (n_rows,) of others.

    >>> view = RowView(TokenBatch.from_rows([[1], [2, 2], [3]]), np.array([2, 1]))
    >>> view.lengths.tolist(), view.take(np.array([1])).ids.tolist()
    ([1, 2], [2, 2])
    """

    whole: Any
    chosen: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens in each row: (n_rows,)."""
        return np.asarray(self.whole.lengths[self.chosen])

    @property
    def truncated(self) -> NDArray[np.int32]:
        """Tokens cut from each row: (n_rows,)."""
        return np.asarray(self.whole.truncated[self.chosen])

    @property
    def ids(self) -> NDArray[np.int32]:
        """The ids of all rows that this is a view of."""
        return np.asarray(self.whole.ids)

    def take(self, rows: NDArray[np.int64]) -> TokenBatch:
        """Copy rows of the view, by their number in it."""
        batch: TokenBatch = self.whole.take(self.chosen[rows])
        return batch

    def __len__(self) -> int:
        return len(self.chosen)
