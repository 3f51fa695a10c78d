"""Multi-label evaluation: each row has any number of labels, and any number is predicted.

In: the labels and predictions of each row, and probabilities where there are some. Out: micro and macro F1, subset
accuracy, Hamming loss, mean average precision, a table a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError, UsageError


@dataclass(frozen=True)
class MultiLabelEvaluation:
    """Counts a label: hits (rows that have it and got it), support (have it), guessed (got it), each (n_labels,).

    The last `n_unseen` labels are those that the model does not know: they can only be missed. average_precision is
    (n_labels,), NaN where a label has no rows or no probability.

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
    n_unseen: int = 0

    @property
    def unseen(self) -> dict[str, int]:
        """True labels that the model does not know, with their rows."""
        first = len(self.classes) - self.n_unseen
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

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain JSON values, None for what is not defined."""
        columns = zip(
            self.classes, self.precision, self.recall, self.f1, self.support, self.average_precision, strict=True
        )
        return {
            "n_rows": self.n_rows,
            "micro_f1": self.micro_f1,
            "macro_f1": self.macro_f1,
            "subset_accuracy": self.subset_accuracy,
            "hamming_loss": self.hamming_loss,
            "mean_average_precision": _none_if_nan(self.mean_average_precision),
            "unseen_labels": self.unseen,
            "classes": {
                name: {
                    "precision": float(p),
                    "recall": float(r),
                    "f1": float(f),
                    "support": int(n),
                    "average_precision": _none_if_nan(float(area)),
                }
                for name, p, r, f, n, area in columns
            },
        }


def evaluate_multilabel(
    truth: Sequence[Iterable[Any]],
    predicted: Sequence[Iterable[Any]],
    *,
    classes: Sequence[Any],
    probabilities: NDArray[np.floating] | None = None,
) -> MultiLabelEvaluation:
    """Count each label's hits; truth and predicted are the labels of each row, in any order.

    classes: the labels that the model knows; true labels beyond them are counted as missed and named. probabilities:
    (n_rows, n_classes) in the order of classes. Raises DataError for row counts that differ or a foreign prediction.
    """
    if len(truth) != len(predicted):
        raise DataError(f"{len(truth):,} truths but {len(predicted):,} predictions")
    wanted, got = [set(row) for row in truth], [set(row) for row in predicted]
    unseen = sorted(set().union(*wanted) - set(classes), key=str)
    foreign = sorted(set().union(*got) - set(classes), key=str)
    if foreign:
        raise DataError(f"label {foreign[0]!r} was predicted but is not among the {len(classes)} classes")
    names = [*classes, *unseen]
    code = {name: i for i, name in enumerate(names)}
    if probabilities is not None and probabilities.shape != (len(truth), len(classes)):
        raise UsageError(f"probabilities are {probabilities.shape}, expected ({len(truth)}, {len(classes)})")
    areas = np.full(len(names), np.nan)
    if probabilities is not None:
        marks = np.zeros((len(truth), len(names)), dtype=bool)
        for i, row in enumerate(wanted):
            marks[i, [code[label] for label in row]] = True
        areas[: len(classes)] = [average_precision(marks[:, i], probabilities[:, i]) for i in range(len(classes))]
    return MultiLabelEvaluation(
        [str(name) for name in names],
        hits=_count(code, (a & b for a, b in zip(wanted, got, strict=True))),
        support=_count(code, wanted),
        guessed=_count(code, got),
        n_rows=len(truth),
        n_exact=sum(a == b for a, b in zip(wanted, got, strict=True)),
        average_precision=areas,
        n_unseen=len(unseen),
    )


def average_precision(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Sum precision times the rise of recall, from the highest score down; NaN where nothing is true.

    truth: (n,) bool; scores: (n,). Equal scores are taken together.

    >>> round(average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.7])), 4)
    0.8333
    """
    if not truth.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    hits = np.cumsum(truth[order])[last_of_tie]
    return float((hits / (last_of_tie + 1) * np.diff(hits, prepend=0)).sum() / hits[-1])


def _count(code: dict[Any, int], rows: Iterable[set[Any]]) -> NDArray[np.int64]:
    return np.bincount(np.fromiter((code[label] for row in rows for label in row), np.int64), minlength=len(code))


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else value
