"""Regression evaluation: how far predicted numbers are from the true ones, and whether they rank alike.

In: true and predicted numbers. Out: mean absolute error, root mean squared error, R2, Pearson's and Spearman's
correlation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError


@dataclass(frozen=True)
class RegressionEvaluation:
    """The numbers of a regression; r2 and the correlations are NaN where the truths or predictions are all the same."""

    n_rows: int
    mae: float
    rmse: float
    r2: float
    pearson: float
    spearman: float

    def to_dict(self) -> dict[str, float | None]:
        """Give everything as plain JSON values, None for what is not defined."""
        return {name: None if math.isnan(value) else value for name, value in asdict(self).items()}


def evaluate_regression(truth: Sequence[float], predicted: Sequence[float]) -> RegressionEvaluation:
    """Compare numbers (n,) with numbers (n,).

    Raises DataError for no rows, row counts that differ, or a value that is not finite.

    >>> result = evaluate_regression([1.0, 2.0, 3.0], [1.0, 2.0, 6.0])
    >>> result.mae, round(result.rmse, 3), result.r2, round(result.pearson, 3), round(result.spearman, 3)
    (1.0, 1.732, -3.5, 0.945, 1.0)
    """
    a, b = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise DataError(f"truths are {a.shape} and predictions {b.shape}; expected (n,) of both")
    if not len(a):
        raise DataError("no rows to evaluate")
    for name, values in (("truth", a), ("prediction", b)):
        if not np.isfinite(values).all():
            row = int((~np.isfinite(values)).argmax())
            raise DataError(f"row {row + 1}: the {name} is {values[row]}, expected a finite number")
    wrong = a - b
    spread = float(((a - a.mean()) ** 2).sum())
    return RegressionEvaluation(
        n_rows=len(a),
        mae=float(np.abs(wrong).mean()),
        rmse=float(np.sqrt((wrong**2).mean())),
        r2=1 - float((wrong**2).sum()) / spread if spread else float("nan"),
        pearson=_correlation(a, b),
        spearman=_correlation(_ranks(a), _ranks(b)),
    )


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if (a == a[0]).all() or (b == b[0]).all():
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip(a @ b / math.sqrt((a @ a) * (b @ b)), -1, 1))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank from 1; equal values share the mean of their ranks."""
    _, place, total = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(total) - (total - 1) / 2)[place])
