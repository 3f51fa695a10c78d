"""Multi-label evaluation: each row has any number of labels, and any number is predicted.

In: the labels and predictions of each row, and probabilities where there are some. Out: micro and macro F1, subset
accuracy, Hamming loss, mean average precision, a table a label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError, UsageError
from textkit.evaluation.areas import EXACT_SCORES, AreaStream
from textkit.evaluation.stream import MAX_UNSEEN, OTHER_UNSEEN


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


class MultiLabelStream:
    """Gather a multi-label evaluation chunk by chunk; memory as in `stream` and `areas`.

    >>> stream = MultiLabelStream(["a", "b"])
    >>> stream.add([("a", "b")], [("a",)], np.array([[0.9, 0.2]]))
    >>> stream.add([("a", "new")], [("a",)], np.array([[0.8, 0.3]]))
    >>> result = stream.result()
    >>> result.unseen, result.hits.tolist(), result.mean_average_precision
    ({'new': 1}, [2, 0, 0], 0.75)
    """

    def __init__(self, classes: Sequence[Any], *, exact_scores: int = EXACT_SCORES) -> None:
        self.classes = list(classes)
        self.n_rows = self._n_exact = 0
        self._code = {name: i for i, name in enumerate(classes)}
        self._unseen: Counter[str] = Counter()
        self._counts = np.zeros((3, len(self.classes)), dtype=np.int64)  # hits, support, guessed
        self._areas = AreaStream(len(self.classes), exact_scores=exact_scores)

    def add(
        self,
        truth: Sequence[Iterable[Any]],
        predicted: Sequence[Iterable[Any]],
        probabilities: NDArray[np.floating] | None = None,
    ) -> None:
        """Take the labels of each row, what was predicted, and probabilities (n, n_classes) where there are some.

        Raises DataError for row counts that differ, or a predicted label that is not among the classes.
        """
        if len(truth) != len(predicted):
            raise DataError(f"{len(truth):,} truths but {len(predicted):,} predictions")
        shape = (len(truth), len(self.classes))
        if probabilities is not None and probabilities.shape != shape:
            raise UsageError(f"probabilities are {probabilities.shape}, expected {shape}")
        marks = np.zeros((2, *shape), dtype=bool)
        for i, (labels, guesses) in enumerate(zip(map(set, truth), map(set, predicted), strict=True)):
            self._n_exact += labels == guesses
            for label in labels:
                if label in self._code:
                    marks[0, i, self._code[label]] = True
                else:
                    self._count_unseen(str(label))
            for label in guesses:
                if label not in self._code:
                    raise DataError(f"label {label!r} was predicted but is not among the {len(self.classes)} classes")
                marks[1, i, self._code[label]] = True
        self._counts += np.stack([marks.all(axis=0), *marks]).sum(axis=1)
        self.n_rows += len(truth)
        if probabilities is not None:
            self._areas.add(marks[0], np.asarray(probabilities, dtype=np.float64))

    def result(self) -> MultiLabelEvaluation:
        """Compute the evaluation of what was added so far; unseen labels stand last, sorted."""
        unseen = sorted(self._unseen)
        hits, support, guessed = np.pad(self._counts, ((0, 0), (0, len(unseen))))
        support[len(self.classes) :] = [self._unseen[name] for name in unseen]
        return MultiLabelEvaluation(
            [*map(str, self.classes), *unseen],
            hits=hits,
            support=support,
            guessed=guessed,
            n_rows=self.n_rows,
            n_exact=self._n_exact,
            average_precision=np.pad(self._areas.average_precisions(), (0, len(unseen)), constant_values=float("nan")),
            n_unseen=len(unseen),
        )

    def _count_unseen(self, label: str) -> None:
        known = label in self._unseen or len(self._unseen) < MAX_UNSEEN
        self._unseen[label if known else OTHER_UNSEEN] += 1


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
    stream = MultiLabelStream(classes)
    stream.add(truth, predicted, probabilities)
    return stream.result()


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else value
