"""Counts that pictures of a regression are drawn from: their size does not depend on the rows.

In: numbers of each row. Out: a Histogram of one number, or a Field of two: counts, edges, and how
many rows lie outside (a few far ones would press all others into one bin).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_BINS = 41  # odd: 0, and the middle of whole numbers, are the middle of a bin


@dataclass(frozen=True)
class Histogram:
    """Rows by a number, around 0: counts (n_bins,), edges (n_bins + 1,), rows outside.

    >>> histogram = Histogram.of(np.array([-1.0, 0.5, 1.0]))
    >>> int(histogram.counts.sum()), histogram.edges[[0, -1]].round(4).tolist(), histogram.n_outside
    (3, [-1.025, 1.025], 0)
    """

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    n_outside: int

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Histogram:
        """Count numbers (n,) in bins of equal width, as far to the left of 0 as to the right."""
        _, high = _limits(np.abs(values))
        edges = _edges(-high, high)
        counts, _ = np.histogram(values, bins=edges)
        return cls(counts.astype(np.int64), edges, len(values) - int(counts.sum()))

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values."""
        return {
            "edges": self.edges.tolist(),
            "rows": self.counts.tolist(),
            "outside": self.n_outside,
        }


@dataclass(frozen=True)
class Field:
    """Rows by truth and prediction: counts[i, j] = truth in bin i, prediction in bin j.

    The edges are those of both.

    >>> field = Field.of(np.array([0.0, 1.0]), np.array([0.0, 0.0]))
    >>> np.argwhere(field.counts).tolist(), field.edges[[0, -1]].round(4).tolist()
    ([[0, 0], [40, 0]], [-0.0125, 1.0125])
    """

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    n_outside: int

    @classmethod
    def of(cls, truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> Field:
        """Count pairs of numbers (n,) and (n,)."""
        (a, b), (c, d) = _limits(truth), _limits(predicted)
        edges = _edges(min(a, c), max(b, d))
        counts, _, _ = np.histogram2d(truth, predicted, bins=[edges, edges])
        return cls(counts.astype(np.int64), edges, len(truth) - int(counts.sum()))


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Give the least and the largest number, but those that lie far out: beyond the middle 99 % by
    half their width.

    >>> _limits(np.arange(11.0)), _limits(np.append(np.arange(1000.0), 1e9))
    ((0.0, 10.0), (0.0, 1490.0))
    """
    low, high = np.percentile(values, [0.5, 99.5])
    reach = (high - low) / 2
    return max(float(values.min()), float(low - reach)), min(
        float(values.max()), float(high + reach)
    )


def _edges(low: float, high: float) -> NDArray[np.float64]:
    """Give the edges of N_BINS bins, the first with its middle at low, the last at high: (N_BINS
    + 1,).
    """
    if low == high:
        low, high = low - (abs(low) or 1.0), high + (abs(high) or 1.0)
    half = (high - low) / (2 * (N_BINS - 1))
    return np.linspace(low - half, high + half, N_BINS + 1)
