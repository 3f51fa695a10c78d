"""The worst errors of a stream: a few items by their score, in memory that does not grow with the
rows.

In: the scores of a chunk of rows, and how to make an item of one. Out: the items of the highest
scores, in order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

MAX_TEXT = 2000  # characters of a text that an item keeps

Item = TypeVar("Item")


class Worst(Generic[Item]):
    """Keep the n items of the highest scores; of equal ones the earlier stay, and stand first.

    >>> worst = Worst[str](2)
    >>> worst.offer(np.array([1.0, 3.0, 2.0]), lambda i: "abc"[i])
    >>> worst.offer(np.array([2.0, 0.0]), lambda i: "de"[i])
    >>> worst.items()
    ['b', 'c']
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._kept: list[tuple[float, int, Item]] = []
        self._n_taken = 0

    def offer(self, scores: NDArray[np.float64], make: Callable[[int], Item]) -> None:
        """Take scores (n_rows,) of the next rows; make(i) is called for the rows that are kept."""
        for i in np.argsort(-scores, kind="stable")[: self.n].tolist():
            score = float(scores[i])
            full = len(self._kept) == self.n
            if full and score <= self._kept[0][0]:
                return
            self._n_taken += 1
            (heapq.heapreplace if full else heapq.heappush)(
                self._kept, (score, -self._n_taken, make(i))
            )

    def items(self) -> list[Item]:
        """Give what is kept, the highest score first."""
        return [item for _, _, item in sorted(self._kept, key=lambda kept: kept[:2], reverse=True)]
