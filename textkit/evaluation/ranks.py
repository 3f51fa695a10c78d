"""Ranks of numbers, which rank correlations compare.

In: numbers. Out: their ranks from 1. numpy only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rank(values: NDArray[Any]) -> NDArray[np.float64]:
    """Rank numbers (n,) from 1; equal ones share the mean of their ranks.

    >>> rank(np.array([10, 30, 10])).tolist()
    [1.5, 3.0, 1.5]
    """
    _, place, total = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(total) - (total - 1) / 2)[place])
