"""ROC-AUC and average precision of every class, streamed: exact up to a number of scores, a fine
histogram beyond it.

In: chunks of (which classes are true, probabilities). Out: the area a class, their mean, its
standard error. While there are at most `EXACT_SCORES` scores (rows times classes) they are kept and
the areas are exact. Then they go into a histogram of fixed size on the log-odds scale, 16,384 bins
a class where the classes are few: two scores in one bin count as a tie, and the largest error that
this can make is computed from the counts and reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EXACT_SCORES = 4_000_000  # 32 MB
_COUNTERS = 4_000_000  # 32 MB, positives and negatives of all classes together
_BINS = (256, 16_384)
# Probabilities nearer to 0 or 1 than e^-30 share the outermost bins.
_LOGIT_LIMIT = 30.0


@dataclass(frozen=True)
class Areas:
    """ROC-AUC of each class (n_classes,), NaN where a class has no positives or no negatives.

    mean: of the defined ones; of two classes the second's alone, the usual binary area. error:
    standard error of the mean, NaN once the histogram is in use. bound: how far the mean may be
    from the exact one.
    """

    classes: NDArray[np.float64]
    mean: float
    error: float
    bound: float


class AreaStream:
    """Gather scores in bounded memory.

    >>> stream = AreaStream(n_classes=2)
    >>> positive = np.array([[True, False], [False, True], [False, True]])
    >>> stream.add(positive, np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]))
    >>> stream.result().mean
    1.0
    """

    def __init__(self, n_classes: int, *, exact_scores: int = EXACT_SCORES) -> None:
        self.n_classes, self.exact_scores = n_classes, exact_scores
        self.n_bins = int(np.clip(_COUNTERS // (2 * max(n_classes, 1)), *_BINS))
        self._held: list[tuple[NDArray[np.bool_], NDArray[np.float64]]] = []
        self._n_held = 0
        self._counts: NDArray[np.int64] | None = (
            None  # (2, n_classes, n_bins): negatives, positives
        )

    def add(self, positive: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> None:
        """Take which classes are true of each row, (n, n_classes) bool, and probabilities of the
        same shape.
        """
        if self._counts is not None:
            self._count(positive, probabilities)
            return
        self._held.append((positive, probabilities))
        self._n_held += probabilities.size
        if self._n_held > self.exact_scores:
            self._counts = np.zeros((2, self.n_classes, self.n_bins), dtype=np.int64)
            for chunk in self._held:
                self._count(*chunk)
            self._held.clear()

    def result(self) -> Areas:
        """Compute the areas of what was added so far."""
        if self._counts is not None:
            negatives, positives = self._counts
            found = [_area(negatives[c], positives[c]) for c in range(self.n_classes)]
            return _mean(
                np.array([area for area, _ in found]),
                np.array([bound for _, bound in found]),
                float("nan"),
            )
        if not self._held:
            return _mean(np.full(self.n_classes, np.nan), np.zeros(self.n_classes), float("nan"))
        return _exact_areas(*self._join())

    def average_precisions(self) -> NDArray[np.float64]:
        """Compute the average precision of each class: (n_classes,), NaN where a class has no
        positives.
        """
        if self._counts is not None:
            return np.array([_precision(*self._counts[:, c]) for c in range(self.n_classes)])
        if not self._held:
            return np.full(self.n_classes, np.nan)
        positive, probabilities = self._join()
        return np.array(
            [average_precision(positive[:, c], probabilities[:, c]) for c in range(self.n_classes)]
        )

    def _join(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        return np.concatenate([chunk[0] for chunk in self._held]), np.concatenate(
            [chunk[1] for chunk in self._held]
        )

    def _count(self, positive: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> None:
        assert self._counts is not None
        edge = np.exp(-_LOGIT_LIMIT)
        inner = np.clip(probabilities, edge, 1 - edge)
        logits = np.log(inner) - np.log1p(-inner)
        bins = ((logits + _LOGIT_LIMIT) * (self.n_bins / (2 * _LOGIT_LIMIT))).astype(np.int64)
        bins = np.clip(bins, 0, self.n_bins - 1)
        columns = np.arange(self.n_classes)
        np.add.at(
            self._counts, (positive.astype(np.int64), np.broadcast_to(columns, bins.shape), bins), 1
        )


def _area(negatives: NDArray[np.int64], positives: NDArray[np.int64]) -> tuple[float, float]:
    """Give the area of counts a score, in rising order, ties as halves, and half the share of
    tied pairs.
    """
    pairs = float(negatives.sum()) * float(positives.sum())
    if not pairs:
        return float("nan"), 0.0
    below = np.cumsum(negatives) - negatives
    tied = negatives.astype(np.float64) @ positives
    return float((positives.astype(np.float64) @ below + 0.5 * tied) / pairs), float(
        0.5 * tied / pairs
    )


def average_precision(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Sum precision times the rise of recall, from the highest score down.

    NaN where nothing is true.

    truth: (n,) bool; scores: (n,). Equal scores are taken together.

    >>> round(average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.7])), 4)
    0.8333
    """
    _, place, total = np.unique(scores, return_inverse=True, return_counts=True)
    positives = np.bincount(place[truth], minlength=len(total))
    return _precision(total - positives, positives)


def _precision(negatives: NDArray[np.int64], positives: NDArray[np.int64]) -> float:
    """Compute the average precision of counts a score, in rising order."""
    if not positives.any():
        return float("nan")
    hits = np.cumsum(positives[::-1])
    guessed = hits + np.cumsum(negatives[::-1])
    return float((hits / np.maximum(guessed, 1) * positives[::-1]).sum() / hits[-1])


def _exact_areas(positives: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> Areas:
    """Compute all areas, and the error of their mean by its influence function, which sees that
    classes share rows.

    The influence of a row on the area of one class is, for a positive, its share of negatives
    ranked below it, less the area, over the share of positives; for a negative the same with the
    sides changed (DeLong's placements).
    """
    n_rows, n_classes = probabilities.shape
    areas = np.full(n_classes, np.nan)
    influence = np.zeros(n_rows)
    averaged = _averaged(n_classes)
    for c in range(n_classes):
        positive = positives[:, c]
        n_positive = int(positive.sum())
        if n_positive in (0, n_rows):
            continue
        _, place, total = np.unique(probabilities[:, c], return_inverse=True, return_counts=True)
        ones = np.bincount(place[positive], minlength=len(total))
        zeros = total - ones
        areas[c], _ = _area(zeros, ones)
        below = (np.cumsum(zeros) - 0.5 * zeros) / (n_rows - n_positive)
        above = 1 - (np.cumsum(ones) - 0.5 * ones) / n_positive
        influence += averaged[c] * np.where(
            positive,
            (below[place] - areas[c]) * (n_rows / n_positive),
            (above[place] - areas[c]) * (n_rows / (n_rows - n_positive)),
        )
    n_defined = int((averaged & ~np.isnan(areas)).sum())
    error = (
        float(np.sqrt(influence @ influence) / n_rows / n_defined) if n_defined else float("nan")
    )
    return _mean(areas, np.zeros(n_classes), error)


def _mean(areas: NDArray[np.float64], bounds: NDArray[np.float64], error: float) -> Areas:
    defined = _averaged(len(areas)) & ~np.isnan(areas)
    if not defined.any():
        return Areas(areas, float("nan"), float("nan"), 0.0)
    return Areas(areas, float(areas[defined].mean()), error, float(bounds[defined].mean()))


def _averaged(n_classes: int) -> NDArray[np.bool_]:
    """Tell which classes make the mean: all, but only the second of two, whose areas differ by
    roundings of ties.
    """
    return np.arange(n_classes) >= (1 if n_classes == 2 else 0)


def rank(values: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float64]:
    """Rank numbers (n,) from 1; equal ones share the mean of their ranks.

    >>> rank(np.array([10, 30, 10])).tolist()
    [1.5, 3.0, 1.5]
    """
    _, place, total = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(total) - (total - 1) / 2)[place])
