"""Temperature scaling: one number that makes a model's probabilities mean what they say (Guo et al.
2017).

In: the logits of validation rows and their labels. Out: the temperature T by which logits are to be
divided; predictions stay as they are, since dividing changes no order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError, UsageError

# A validation set without a mistake would ask for T = 0; one without a signal for T without end.
LOWEST, HIGHEST = 0.1, 10.0
_STEPS = 60  # halvings of the interval: 4.6 / 2^60 is below the last digit of a float


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Find the temperature, 0.1 to 10, of the least log loss: logits (n, n_classes), labels (n,)
    codes.

    The log loss is convex in 1/T, so the sign of its derivative says on which side of a T the best
    one lies: bisection on log T, which no size of logits can mislead. Logits that are all equal
    have no best one and give 1. Raises DataError for no rows or a logit that is no finite number.

    >>> logits = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    >>> # three of four right: 1 / (1 + e^(-4/T)) = 3/4
    >>> round(fit_temperature(logits, np.array([0, 0, 1, 1])), 3)
    3.641
    """
    scores: NDArray[np.float64] = np.asarray(logits, dtype=np.float64)
    labels = np.asarray(labels)
    if scores.ndim != 2 or labels.shape != (len(scores),):
        raise UsageError(
            f"logits are {scores.shape} and labels {labels.shape}, expected (n, n_classes) and (n,)"
        )
    if not len(scores):
        raise DataError("no rows to fit a temperature on")
    if not np.isfinite(scores).all():
        raise DataError("a logit is not a finite number; no temperature can be fitted")
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise UsageError(
            f"labels go from {labels.min()} to {labels.max()}, expected 0 to {scores.shape[1] - 1}"
        )
    with np.errstate(over="ignore"):
        scores = np.maximum(scores - scores.max(axis=1, keepdims=True), -1e300)
    if not scores.any():
        return 1.0  # every class is as probable as the others at any temperature
    of_truth = scores[np.arange(len(labels)), labels]
    low, high = np.log(LOWEST), np.log(HIGHEST)
    if _slope(scores, of_truth, HIGHEST) >= 0:
        return HIGHEST
    if _slope(scores, of_truth, LOWEST) <= 0:
        return LOWEST
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (
            (low, middle) if _slope(scores, of_truth, float(np.exp(middle))) < 0 else (middle, high)
        )
    return float(np.exp((low + high) / 2))


def _slope(logits: NDArray[np.float64], of_truth: NDArray[np.float64], temperature: float) -> float:
    """Differentiate the log loss by 1/T: the mean logit that the model expects, less the mean
    logit of the truth.
    """
    powers = np.exp(logits / temperature)
    expected = (powers * logits).sum(axis=1) / powers.sum(axis=1)
    return float((expected - of_truth).mean())
