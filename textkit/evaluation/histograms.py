"""Counts that pictures of a regression are drawn from: their size does not depend on the rows.

In: numbers of each row. Out: a Histogram of one number, or a Field of two: counts, edges, and how many rows lie outside
(a few far ones would press all others into one bin).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_BINS = 40


@dataclass(frozen=True)
class Histogram:
    """Rows by a number, around 0: counts (n_bins,), edges (n_bins + 1,), rows outside.

    >>> histogram = Histogram.of(np.array([-1.0, 0.5, 1.0]))
    >>> int(histogram.counts.sum()), histogram.edges[[0, -1]].tolist(), histogram.n_outside
    (3, [-1.0, 1.0], 0)
    """

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    n_outside: int

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Histogram:
        """Count numbers (n,) in bins of equal width, as far to the left of 0 as to the right."""
        _, high = _limits(np.abs(values))
        counts, edges = np.histogram(values, bins=N_BINS, range=(-high or -1.0, high or 1.0))
        return cls(counts.astype(np.int64), edges, len(values) - int(counts.sum()))

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain JSON values."""
        return {"edges": self.edges.tolist(), "rows": self.counts.tolist(), "outside": self.n_outside}


@dataclass(frozen=True)
class Field:
    """Rows by truth and prediction: counts[i, j] = truth in bin i, prediction in bin j; the edges are those of both.

    >>> field = Field.of(np.array([0.0, 1.0]), np.array([0.0, 0.0]))
    >>> np.argwhere(field.counts).tolist(), field.edges[[0, -1]].tolist()
    ([[0, 0], [39, 0]], [0.0, 1.0])
    """

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    n_outside: int

    @classmethod
    def of(cls, truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> Field:
        """Count pairs of numbers (n,) and (n,)."""
        (a, b), (c, d) = _limits(truth), _limits(predicted)
        low, high = min(a, c), max(b, d)
        if low == high:
            low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
        counts, edges, _ = np.histogram2d(truth, predicted, bins=N_BINS, range=[(low, high), (low, high)])
        return cls(counts.astype(np.int64), edges, len(truth) - int(counts.sum()))


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Give the least and the largest number; but the 0.5 or 99.5 percentile where they lie half as far out again.

    >>> _limits(np.arange(11.0)), _limits(np.append(np.arange(1000.0), 1e9))
    ((0.0, 10.0), (0.0, 995.0))
    """
    low, high = np.percentile(values, [0.5, 99.5])
    reach = (high - low) / 2
    least, largest = float(values.min()), float(values.max())
    return (
        least if least >= low - reach else float(low),
        largest if largest <= high + reach else float(high),
    )
