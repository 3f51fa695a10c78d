"""A metric that is a ratio of sums over rows, of several models on the same rows.

In: the two parts of the ratio for each row and model, chunk by chunk. Out: for two models the
difference of the metric, with its 95 % interval and a p-value from a paired bootstrap: what is
drawn anew are rows, the same ones for both. Memory does not grow with the rows (see Blocks).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.evaluation.intervals import Blocks, Interval, resample_sums

_RESAMPLES = 2000


@dataclass(frozen=True)
class MetricDifference:
    """How far two models are apart in a metric: their values, and of drawn rows the differences.

    lower_is_better: as of an error.

    >>> metric = PairedMetric(2, "MAE", lower_is_better=True)
    >>> metric.add(np.array([[[1.0, 1.0], [2.0, 1.0]]] * 30))
    >>> found = metric.pair(0, 1)
    >>> found.difference, found.p_value < 0.01
    (-1.0, True)
    """

    metric: str
    values: tuple[float, float]
    drawn: NDArray[np.float64]
    lower_is_better: bool = False

    @property
    def difference(self) -> float:
        """The first model's value less the second's."""
        return self.values[0] - self.values[1]

    @property
    def p_value(self) -> float:
        """Twice the share of drawn differences on the other side of zero, at least 1 of all."""
        n = len(self.drawn)
        fewer = min(int((self.drawn <= 0).sum()), int((self.drawn >= 0).sum()))
        return min(1.0, 2 * (fewer + 1) / (n + 1))

    def interval(self) -> Interval:
        """Give the 95 % interval of the difference."""
        return Interval.of(self.difference, self.drawn, least=-np.inf, most=np.inf)

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values."""
        interval = self.interval()
        return {
            "metric": self.metric,
            "value": self.values[1],
            "difference": self.difference,
            "interval": [interval.low, interval.high],
            "p_value": self.p_value,
        }


class PairedMetric:
    """Gather the parts of a metric for several models: the sum of the first over the sum of the
    second, over all rows.
    """

    def __init__(self, n_models: int, metric: str, *, lower_is_better: bool = False) -> None:
        self.metric, self.lower_is_better = metric, lower_is_better
        self._blocks = Blocks(2 * n_models)

    def add(self, parts: NDArray[np.float64]) -> None:
        """Take both parts of some rows: (n_rows, n_models, 2)."""
        self._blocks.add(parts.reshape(len(parts), -1).astype(np.float64))

    def pair(self, first: int, second: int) -> MetricDifference:
        """Compare two models by their numbers."""
        columns = [2 * first, 2 * first + 1, 2 * second, 2 * second + 1]
        sums = self._blocks.sums()[:, columns]
        drawn = [_ratios(totals) for totals in resample_sums(sums, n_resamples=_RESAMPLES, seed=0)]
        one, other = _ratios(sums.sum(axis=0)[None])[0].tolist()
        differences = np.concatenate(drawn)
        return MetricDifference(
            self.metric,
            (one, other),
            differences[:, 0] - differences[:, 1],
            lower_is_better=self.lower_is_better,
        )


def _ratios(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide: (n, 4) -> (n, 2)."""
    return np.asarray(totals[:, 0::2] / np.maximum(totals[:, 1::2], 1e-12))
