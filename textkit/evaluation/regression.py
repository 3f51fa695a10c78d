"""Regression evaluation: how far predicted numbers are from the true ones, and whether they rank
alike.

In: true and predicted numbers, all at once or chunk by chunk. Out: mean absolute error, root mean
squared error, R2, Pearson's correlation, each with its interval, Spearman's, counts for two
pictures, the largest errors. A stream keeps two numbers a row, 16 bytes, which Spearman's ranks
need.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError
from textkit.evaluation.areas import rank
from textkit.evaluation.histograms import Field, Histogram
from textkit.evaluation.intervals import Blocks, Interval, resample_sums
from textkit.evaluation.stream import MAX_TEXT, Worst


@dataclass(frozen=True)
class NumberMistake:
    """A row and how far off it is: truth less prediction, its number from 1, its text."""

    residual: float
    row: int
    text: str
    truth: float
    predicted: float


@dataclass(frozen=True)
class RegressionEvaluation:
    """The numbers of a regression.

    R2 and the correlations are NaN where the truths or predictions are all the same.

    bias: the mean residual, which is truth less prediction. sums: what `intervals` draws from, by
    blocks of rows (see `_sum_blocks`). field: rows by truth and prediction. residuals: rows by
    residual.
    """

    n_rows: int
    mae: float
    rmse: float
    r2: float
    pearson: float
    spearman: float
    bias: float
    sums: NDArray[np.float64]
    field: Field
    residuals: Histogram

    @property
    def scores(self) -> dict[str, float]:
        """The numbers by name."""
        names = ("mae", "rmse", "r2", "pearson", "spearman", "bias")
        return {name: getattr(self, name) for name in names}

    def intervals(self, *, n_resamples: int = 1000, seed: int = 0) -> dict[str, Interval]:
        """Give 95 % intervals by name: mae, rmse, r2, pearson, bias; rows are bootstrapped.

        What is NaN has none.

        Spearman's has none: its ranks are not sums over rows.

        >>> interval = evaluate_regression([0.0, 1.0] * 50, [0.5] * 100).intervals()["r2"]
        >>> interval.low < 0 <= interval.high
        True
        """
        drawn = np.concatenate(
            [
                _scores(totals)
                for totals in resample_sums(self.sums, n_resamples=n_resamples, seed=seed)
            ],
            axis=1,
        )
        found = {}
        for name, values, (least, most) in zip(_BOUNDS, drawn, _BOUNDS.values(), strict=True):
            values, estimate = values[np.isfinite(values)], getattr(self, name)
            if len(values) and math.isfinite(estimate):
                # Of a few rows a resample may hold almost equal truths, and its R2 be -1e6: it
                # would be all the mean.
                values = np.clip(values, *np.percentile(values, [1, 99]))
                found[name] = Interval.of(estimate, values, least=least, most=most)
        return found

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values, None for what is not defined."""
        return {
            "n_rows": self.n_rows,
            **{name: None if math.isnan(value) else value for name, value in self.scores.items()},
            "intervals": {
                name: [interval.low, interval.high] for name, interval in self.intervals().items()
            },
            "residuals": self.residuals.to_dict(),
        }


_BOUNDS = {
    "mae": (0.0, math.inf),
    "rmse": (0.0, math.inf),
    "r2": (-math.inf, 1.0),
    "pearson": (-1.0, 1.0),
    "bias": (-math.inf, math.inf),
}


class RegressionStream:
    """Gather the evaluation of one number a row, chunk by chunk.

    n_mistakes: how many of the largest errors are kept.

    >>> stream = RegressionStream()
    >>> stream.add([1.0, 2.0], [1.0, 2.0], ["one", "two"])
    >>> stream.add([3.0], [6.0], ["three"])
    >>> stream.result().mae, stream.mistakes()[0].text, stream.mistakes()[0].residual
    (1.0, 'three', -3.0)
    """

    def __init__(self, *, n_mistakes: int = 50) -> None:
        self._truth, self._predicted = array("d"), array("d")
        self._worst = Worst[NumberMistake](n_mistakes)

    @property
    def n_rows(self) -> int:
        return len(self._truth)

    def add(
        self, truth: Sequence[float], predicted: Sequence[float], texts: Sequence[str] | None = None
    ) -> None:
        """Take numbers (n,) and numbers (n,), and the texts where the largest errors are to be
        listed.

        Raises DataError for row counts that differ or a value that is not finite.
        """
        a, b = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
        if a.shape != b.shape or a.ndim != 1:
            raise DataError(
                f"truths are {a.shape} and predictions {b.shape}; expected (n,) of both"
            )
        for name, values in (("truth", a), ("prediction", b)):
            if not np.isfinite(values).all():
                row = int((~np.isfinite(values)).argmax())
                raise DataError(
                    f"row {self.n_rows + row + 1}: the {name} is {values[row]}, expected a finite"
                    f" number"
                )
        if texts is not None:
            wrong, first = np.flatnonzero(a != b), self.n_rows + 1

            def make(place: int) -> NumberMistake:
                i = int(wrong[place])
                return NumberMistake(
                    float(a[i] - b[i]), first + i, texts[i][:MAX_TEXT], float(a[i]), float(b[i])
                )

            self._worst.offer(np.abs(a - b)[wrong], make)
        self._truth.frombytes(a.tobytes())
        self._predicted.frombytes(b.tobytes())

    def mistakes(self) -> list[NumberMistake]:
        """Give the rows whose number was not right, the largest error first."""
        return self._worst.items()

    def result(self) -> RegressionEvaluation:
        """Compute the evaluation of what was added so far; DataError where there are no rows."""
        if not self.n_rows:
            raise DataError("no rows to evaluate")
        a, b = np.array(self._truth), np.array(self._predicted)
        residuals = a - b
        spread = float(((a - a.mean()) ** 2).sum())
        return RegressionEvaluation(
            n_rows=len(a),
            mae=float(np.abs(residuals).mean()),
            rmse=float(np.sqrt((residuals**2).mean())),
            r2=1 - float((residuals**2).sum()) / spread if a.max() > a.min() else float("nan"),
            pearson=_correlation(a, b),
            spearman=_correlation(rank(a), rank(b)),
            bias=float(residuals.mean()),
            sums=_sum_blocks(a, b),
            field=Field.of(a, b),
            residuals=Histogram.of(residuals),
        )


def evaluate_regression(truth: Sequence[float], predicted: Sequence[float]) -> RegressionEvaluation:
    """Compare numbers (n,) with numbers (n,).

    Raises DataError for no rows, row counts that differ, or a value that is not finite.

    >>> result = evaluate_regression([1.0, 2.0, 3.0], [1.0, 2.0, 6.0])
    >>> result.mae, result.r2, [round(x, 3) for x in (result.rmse, result.pearson, result.spearman)]
    (1.0, -3.5, [1.732, 0.945, 1.0])
    """
    stream = RegressionStream(n_mistakes=0)
    stream.add(truth, predicted)
    return stream.result()


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if (a == a[0]).all() or (b == b[0]).all():
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip(a @ b / math.sqrt((a @ a) * (b @ b)), -1, 1))


def _sum_blocks(truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum by blocks of rows: (n_blocks, 9).

    1, |residual|, residual, residual^2, then t, p, t^2, p^2 and t p of the centred truths and
    predictions.
    """
    residuals, t, p = truth - predicted, truth - truth.mean(), predicted - predicted.mean()
    blocks = Blocks(9)
    columns = (
        np.ones(len(t)),
        np.abs(residuals),
        residuals,
        residuals**2,
        t,
        p,
        t * t,
        p * p,
        t * p,
    )
    blocks.add(np.column_stack(columns))
    return blocks.sums()


def _scores(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the scores of _BOUNDS from totals (n, 9): (5, n), NaN where one is not defined."""
    rows, absolute, residual, squared, t, p, tt, pp, tp = totals.T
    spread, other = tt - t * t / rows, pp - p * p / rows
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(spread > 1e-12 * tt, 1 - squared / spread, np.nan)
        pearson = (tp - t * p / rows) / np.sqrt(spread * other)
    return np.stack([absolute / rows, np.sqrt(squared / rows), r2, pearson, residual / rows])
