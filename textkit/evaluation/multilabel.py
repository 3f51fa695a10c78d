"""Multi-label evaluation: each row has any number of labels, and any number is predicted.

In: the labels and predictions of each row, and probabilities where there are some. Out: micro and
macro F1, subset accuracy, Hamming loss, each with its interval, mean average precision,
calibration, a table a label, the worst rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.evaluation.intervals import Interval, resample_sums
from textkit.evaluation.scores import Bins


@dataclass(frozen=True)
class MultiLabelEvaluation:
    """Counts a label: hits (rows that have it and got it), support (have it), guessed (got it),
    each (n_labels,).

    The last `n_unseen` labels are those that the model does not know: they can only be missed.
    average_precision is (n_labels,), NaN where a label has no rows or no probability. sums: what
    `intervals` draws from, by blocks of rows: hits, support, guessed of each known label, unseen
    labels, rows all right, rows. bins: all (row, known label) pairs by probability, where there are
    some. thresholds: what each known label's probability must exceed, where said.

    >>> from textkit.evaluation import evaluate_multilabel
    >>> result = evaluate_multilabel([("a", "b"), ("a",)], [("a",), ("a",)], classes=["a", "b"])
    >>> round(result.micro_f1, 3), result.macro_f1, result.subset_accuracy, result.hamming_loss
    (0.8, 0.5, 0.5, 0.25)
    """

    classes: list[str]
    hits: NDArray[np.int64]
    support: NDArray[np.int64]
    guessed: NDArray[np.int64]
    n_rows: int
    n_exact: int
    average_precision: NDArray[np.float64]
    sums: NDArray[np.float64]
    bins: Bins | None
    thresholds: NDArray[np.float64] | None = None
    n_unseen: int = 0

    @property
    def n_known(self) -> int:
        return len(self.classes) - self.n_unseen

    @property
    def unseen(self) -> dict[str, int]:
        """True labels that the model does not know, with their rows."""
        first = self.n_known
        return dict(zip(self.classes[first:], self.support[first:].tolist(), strict=True))

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of each label's predictions that are right; 0 where it was never predicted."""
        return np.asarray(self.hits / np.maximum(self.guessed, 1))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of each label's rows that were found; 0 where there are none."""
        return np.asarray(self.hits / np.maximum(self.support, 1))

    @property
    def f1(self) -> NDArray[np.float64]:
        return np.asarray(2 * self.hits / np.maximum(self.guessed + self.support, 1))

    @property
    def micro_f1(self) -> float:
        """F1 of all (row, label) pairs together."""
        return float(2 * self.hits.sum() / max(int(self.guessed.sum() + self.support.sum()), 1))

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the labels that occur as truth or prediction."""
        seen = (self.support + self.guessed) > 0
        return float(self.f1[seen].mean()) if seen.any() else 0.0

    @property
    def subset_accuracy(self) -> float:
        """Share of rows whose labels are all right."""
        return self.n_exact / max(self.n_rows, 1)

    @property
    def hamming_loss(self) -> float:
        """Share of (row, label) pairs that are wrong."""
        wrong = int(self.support.sum() + self.guessed.sum() - 2 * self.hits.sum())
        return wrong / max(self.n_rows * len(self.classes), 1)

    @property
    def mean_average_precision(self) -> float:
        """Mean of the average precisions that are defined; NaN where none is."""
        defined = ~np.isnan(self.average_precision)
        return float(self.average_precision[defined].mean()) if defined.any() else float("nan")

    def intervals(self, *, n_resamples: int = 1000, seed: int = 0) -> dict[str, Interval]:
        """Give 95 % intervals by name: micro_f1, macro_f1, subset_accuracy, hamming_loss.

        Rows are bootstrapped.

        macro_f1 is the mean over the labels that occur in all rows, in every resample. No rows have
        no intervals.

        >>> from textkit.evaluation import evaluate_multilabel
        >>> rows = [("a",), ("b",)] * 50
        >>> result = evaluate_multilabel(rows, [("a",)] * 100, classes=["a", "b"])
        >>> interval = result.intervals()["subset_accuracy"]
        >>> 0.35 < interval.low < 0.5 < interval.high < 0.65
        True
        """
        if self.n_rows == 0:
            return {}
        n_occurring = max(int(((self.support + self.guessed) > 0).sum()), 1)
        parts: dict[str, list[NDArray[np.float64]]] = {}
        for totals in resample_sums(self.sums, n_resamples=n_resamples, seed=seed):
            hits, support, guessed = np.split(totals[:, :-3], 3, axis=1)
            unseen, exact, rows = totals[:, -3:].T
            hit, marked = hits.sum(axis=1), (support + guessed).sum(axis=1) + unseen
            f1 = 2 * hits / np.maximum(support + guessed, 1)
            drawn = {
                "micro_f1": 2 * hit / np.maximum(marked, 1),
                "macro_f1": f1.sum(axis=1) / n_occurring,
                "subset_accuracy": exact / rows,
                "hamming_loss": (marked - 2 * hit) / (rows * len(self.classes)),
            }
            for name, values in drawn.items():
                parts.setdefault(name, []).append(values)
        return {
            name: Interval.of(getattr(self, name), np.concatenate(values))
            for name, values in parts.items()
        }

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values, None for what is not defined."""
        columns = zip(
            self.classes,
            self.precision,
            self.recall,
            self.f1,
            self.support,
            self.average_precision,
            strict=True,
        )
        classes: dict[str, dict[str, object]] = {
            name: {
                "precision": float(p),
                "recall": float(r),
                "f1": float(f),
                "support": int(n),
                "average_precision": _none_if_nan(float(area)),
            }
            for name, p, r, f, n, area in columns
        }
        if self.thresholds is not None:
            for name, threshold in zip(self.classes, self.thresholds.tolist(), strict=False):
                classes[name]["threshold"] = threshold
        return {
            "n_rows": self.n_rows,
            "micro_f1": self.micro_f1,
            "macro_f1": self.macro_f1,
            "subset_accuracy": self.subset_accuracy,
            "hamming_loss": self.hamming_loss,
            "mean_average_precision": _none_if_nan(self.mean_average_precision),
            "calibration_error": None if self.bins is None else self.bins.calibration_error,
            "intervals": {
                name: [interval.low, interval.high] for name, interval in self.intervals().items()
            },
            "unseen_labels": self.unseen,
            "reliability": None if self.bins is None else self.bins.to_dict(),
            "classes": classes,
        }


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else value
