"""What the probabilities of a single-label task say: ROC-AUC, log loss, Brier score, calibration.

In: chunks of (truth codes, probabilities). Out: Scores, in memory that does not grow with the rows:
sums, fifteen bins, and the bounded scores of `areas`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.evaluation.areas import EXACT_SCORES, Areas, AreaStream
from textkit.evaluation.intervals import NORMAL_95, Interval

N_BINS = 15  # Guo et al. 2017, On Calibration of Modern Neural Networks
FEW_ROWS = 10  # a bin with fewer is marked
# A probability of 0 for the truth costs -log of this, 36.04, as in scikit-learn.
SMALLEST = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Bins:
    """Rows by the probability of their prediction, in bins of equal width, open on the left: each
    (n_bins,).

    rows: how many; confidence: the sum of their probabilities; right: how many predictions were
    right.
    """

    rows: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: NDArray[np.int64]

    @classmethod
    def of(cls, sums: NDArray[np.float64]) -> Bins:
        """Take (3, n_bins) sums of `count_bins`."""
        rows, confidence, right = sums
        return cls(rows.astype(np.int64), confidence.copy(), right.astype(np.int64))

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: the mean over the rows of |share right - mean probability|
        of their bin.
        """
        return float(np.abs(self.right - self.confidence).sum() / max(int(self.rows.sum()), 1))

    @property
    def few(self) -> NDArray[np.bool_]:
        """Which bins have too few rows to be trusted: (n_bins,)."""
        return self.rows < FEW_ROWS

    def intervals(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give the ends of Wilson's 95 % interval of the share right of each bin: two (n_bins,).

        >>> bins = Bins(np.array([0, 10]), np.array([0.0, 9.0]), np.array([0, 10]))
        >>> [ends.round(3).tolist() for ends in bins.intervals()]
        [[0.0, 0.722], [1.0, 1.0]]
        """
        z2 = NORMAL_95**2
        n = self.rows.astype(np.float64)
        share = self.right / np.maximum(n, 1)
        half = np.sqrt(z2 * (n * share * (1 - share) + z2 / 4))
        middle = n * share + z2 / 2
        low, high = (middle - half) / (n + z2), (middle + half) / (n + z2)
        return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)

    def to_dict(self) -> dict[str, object]:
        """Give the rows, mean probability and share right of each bin, None where it is empty."""
        return {
            "rows": self.rows.tolist(),
            "confidence": _mean(self.confidence, self.rows),
            "accuracy": _mean(self.right, self.rows),
        }


def count_bins(probabilities: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sum rows, probabilities and right ones by bins of probability: (n,) and (n,) -> (3, N_BINS).

    >>> count_bins(np.array([0.0, 1.0]), np.array([False, True]))[:, [0, 14]].tolist()
    [[1.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    """
    bins = np.clip(np.ceil(probabilities * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    weights = (np.ones(len(bins)), probabilities, right.astype(np.float64))
    return np.stack([np.bincount(bins, weights=each, minlength=N_BINS) for each in weights])


@dataclass(frozen=True)
class Scores:
    """Numbers of the probabilities; NaN where one is not defined.

    log_loss is the mean over the `n_known` rows whose label the model knows (an unseen label has
    probability 0 and would cost whatever one clips it to). brier is the mean squared distance from
    the truth, over all rows; for two classes half of that, as scikit-learn gives it. roc_auc is the
    mean over the classes, each against the rest; for two classes it is the second's. The `*_error`s
    are standard errors.
    """

    n_known: int
    log_loss: float
    log_loss_error: float
    brier: float
    brier_error: float
    areas: Areas
    bins: Bins

    @property
    def roc_auc(self) -> float:
        return self.areas.mean

    @property
    def class_roc_auc(self) -> NDArray[np.float64]:
        """The area of each class against the rest: (n_classes,), NaN for a class without rows."""
        return self.areas.classes

    @property
    def calibration_error(self) -> float:
        return self.bins.calibration_error

    def intervals(self) -> dict[str, Interval]:
        """Give 95 % intervals of the means: 1.96 standard errors on both sides.

        Log loss and Brier score end at 0.
        """
        found = {
            "log_loss": Interval.around(self.log_loss, self.log_loss_error),
            "brier": Interval.around(self.brier, self.brier_error),
            "roc_auc": Interval.around(self.roc_auc, self.areas.error),
        }
        top = {"roc_auc": 1.0}
        return {
            name: Interval(max(interval.low, 0.0), min(interval.high, top.get(name, math.inf)))
            for name, interval in found.items()
            if math.isfinite(interval.low)
        }

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values, None for what is not defined."""
        numbers = {
            "roc_auc": self.roc_auc,
            "roc_auc_bound": self.areas.bound,
            "log_loss": self.log_loss,
            "brier": self.brier,
            "calibration_error": self.calibration_error,
        }
        return {
            **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
            "reliability": self.bins.to_dict(),
        }


class ScoreStream:
    """Gather what Scores need, chunk by chunk.

    >>> stream = ScoreStream(n_classes=2)
    >>> stream.add(np.array([0, 1]), np.array([[0.8, 0.2], [0.4, 0.6]]))
    >>> scores = stream.result()
    >>> shown = (scores.log_loss, scores.brier, scores.roc_auc, scores.calibration_error)
    >>> tuple(round(value, 3) for value in shown)
    (0.367, 0.1, 1.0, 0.3)
    """

    def __init__(self, n_classes: int, *, exact_scores: int = EXACT_SCORES) -> None:
        self.n_classes = n_classes
        self._areas = AreaStream(n_classes, exact_scores=exact_scores)
        self._losses, self._distances = _Mean(), _Mean()
        self._bins = np.zeros((3, N_BINS))

    def add(self, codes: NDArray[np.int64], probabilities: NDArray[np.float64]) -> None:
        """Take codes (n,), those of unseen labels at n_classes or above, and probabilities (n,
        n_classes).
        """
        self._areas.add(codes[:, None] == np.arange(self.n_classes), probabilities)
        known = codes < self.n_classes
        of_truth = np.where(
            known, probabilities[np.arange(len(codes)), np.where(known, codes, 0)], 0.0
        )
        self._losses.add(-np.log(np.clip(of_truth[known], SMALLEST, None)))
        distances = (
            (probabilities**2).sum(axis=1) - 2 * of_truth + 1
        )  # sum over classes of (p - truth)^2
        self._distances.add(distances / 2 if self.n_classes == 2 else distances)
        self._bins += count_bins(probabilities.max(axis=1), codes == probabilities.argmax(axis=1))

    def result(self) -> Scores:
        """Compute the scores of what was added so far."""
        return Scores(
            n_known=self._losses.n,
            log_loss=self._losses.mean,
            log_loss_error=self._losses.error,
            brier=self._distances.mean,
            brier_error=self._distances.error,
            areas=self._areas.result(),
            bins=Bins.of(self._bins),
        )


class _Mean:
    """A running mean and its standard error, merged chunk by chunk (Chan et al.
    1979), so that no digits are lost.
    """

    def __init__(self) -> None:
        self.n = 0
        self._mean = self._squares = 0.0

    def add(self, values: NDArray[np.float64]) -> None:
        if not len(values):
            return
        mean, n = float(values.mean()), len(values)
        shift, total = mean - self._mean, self.n + n
        self._squares += float(((values - mean) ** 2).sum()) + shift**2 * self.n * n / total
        self._mean += shift * n / total
        self.n = total

    @property
    def mean(self) -> float:
        return self._mean if self.n else math.nan

    @property
    def error(self) -> float:
        return math.sqrt(self._squares / (self.n - 1) / self.n) if self.n > 1 else math.nan


def _mean(
    sums: NDArray[np.float64] | NDArray[np.int64], rows: NDArray[np.int64]
) -> list[float | None]:
    return [float(value / n) if n else None for value, n in zip(sums, rows, strict=True)]
