"""What a compressed model loses: its score on check rows, label agreement, and the time of a text.

In: the Fitted before and after, texts and perhaps labels. Out: plain numbers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from textkit.classify.board import Judge
from textkit.classify.fitted import Fitted
from textkit.data.targets import Labels, Targets, encode_labels
from textkit.evaluation.intervals import Interval
from textkit.evaluation.task_scores import KNOWN, r_squared

_TIMED_TEXTS = 50


@dataclass(frozen=True)
class CheckRows:
    """Texts and their labels, as `encode_labels` takes them."""

    texts: list[str]
    labels: Labels

    def __len__(self) -> int:
        return len(self.texts)


class LossJudge:
    """The score of models on the check rows; None without any."""

    def __init__(self, original: Fitted, check: CheckRows) -> None:
        task = original.task
        self.metric = "r2" if task == "regression" else KNOWN[task][0]
        self.check, self.original = check, original
        self._judge: Judge | None = None
        if len(check):
            targets: Targets = encode_labels(task, check.labels, original.classes)
            self._judge = Judge(task, self.metric, targets)

    def score(self, fitted: Fitted) -> float | None:
        """Score a model."""
        return self._measure(fitted)[0]

    def both(self, fitted: Fitted) -> tuple[tuple[float | None, Interval | None], ...]:
        """Score the original and another, with 95 % intervals."""
        return self._measure(self.original), self._measure(fitted)

    def _measure(self, fitted: Fitted) -> tuple[float | None, Interval | None]:
        if self._judge is None:
            return None, None
        outputs = fitted.logits(self.check.texts)
        if fitted.task == "multi-label":  # above 0 where the probability is above the threshold
            shares = np.clip(fitted.thresholds, 1e-12, 1 - 1e-12)
            moved = outputs / fitted.temperature - np.log(shares / (1 - shares))
            outputs = moved.astype(np.float32)
        value, interval = self._judge.score(outputs)
        return value, Interval(interval.low, min(interval.high, 1.0))


def label_agreement(original: Fitted, other: Fitted, texts: Sequence[str]) -> float:
    """Give the share of texts with the same labels, or R squared to the original's numbers."""
    if original.task == "regression":
        numbers = [fitted.logits(texts).astype(np.float64) for fitted in (original, other)]
        return r_squared(*numbers)
    if original.task == "multi-label":
        one, two = original.has_label(texts), other.has_label(texts)
        return float((one == two).all(axis=1).mean())
    same: NDArray[np.bool_] = original.logits(texts).argmax(1) == other.logits(texts).argmax(1)
    return float(same.mean())


def text_latency(fitted: Fitted, texts: Sequence[str]) -> float:
    """Give the median milliseconds of one text."""
    spent = []
    for text in texts[:_TIMED_TEXTS]:
        started = time.perf_counter()
        fitted.logits([text])
        spent.append(time.perf_counter() - started)
    return 1000 * median(spent)
