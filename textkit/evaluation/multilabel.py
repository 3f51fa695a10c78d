"""Multi-label evaluation: each row has any number of labels, and any number is predicted.

In: the labels and predictions of each row, and probabilities where there are some. Out: micro and
macro F1, subset accuracy, Hamming loss, each with its interval, mean average precision,
calibration, a table a label, the worst rows.
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
from textkit.evaluation.intervals import Blocks, Interval, resample_sums
from textkit.evaluation.scores import SMALLEST, Bins, count_bins
from textkit.evaluation.stream import MAX_UNSEEN, OTHER_UNSEEN
from textkit.evaluation.worst import MAX_TEXT, Worst


@dataclass(frozen=True)
class LabelMistake:
    """A row whose labels were not all right: its mean log loss over the labels, its number from 1,
    its text.

    missed, extra: the labels that it has and did not get, and the other way round, with their
    probabilities, None for a label that the model does not know. found: the right ones.
    """

    loss: float
    row: int
    text: str
    missed: dict[str, float | None]
    extra: dict[str, float | None]
    found: tuple[str, ...]


@dataclass(frozen=True)
class MultiLabelEvaluation:
    """Counts a label: hits (rows that have it and got it), support (have it), guessed (got it),
    each (n_labels,).

    The last `n_unseen` labels are those that the model does not know: they can only be missed.
    average_precision is (n_labels,), NaN where a label has no rows or no probability. sums: what
    `intervals` draws from, by blocks of rows: hits, support, guessed of each known label, unseen
    labels, rows all right, rows. bins: all (row, known label) pairs by probability, where there are
    some. thresholds: what each known label's probability must exceed, where said.

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

    def to_dict(self) -> dict[str, Any]:
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
        classes: dict[str, dict[str, Any]] = {
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


class MultiLabelStream:
    """Gather a multi-label evaluation chunk by chunk; memory as in `stream` and `areas`.

    thresholds: what each label's probability must exceed (n_classes,), to be shown beside the
    numbers. n_mistakes: how many of the rows with the largest loss are kept.

    >>> stream = MultiLabelStream(["a", "b"])
    >>> stream.add([("a", "b")], [("a",)], np.array([[0.9, 0.2]]), ["both"])
    >>> stream.add([("a", "new")], [("a",)], np.array([[0.8, 0.3]]), ["one"])
    >>> result = stream.result()
    >>> result.unseen, result.hits.tolist(), result.mean_average_precision
    ({'new': 1}, [2, 0, 0], 0.75)
    >>> [(mistake.text, mistake.missed, mistake.found) for mistake in stream.mistakes()]
    [('both', {'b': 0.2}, ('a',)), ('one', {'new': None}, ('a',))]
    """

    def __init__(
        self,
        classes: Sequence[Any],
        *,
        thresholds: NDArray[np.float64] | None = None,
        n_mistakes: int = 50,
        exact_scores: int = EXACT_SCORES,
    ) -> None:
        self.classes = list(classes)
        self.thresholds = thresholds
        self.n_rows = self._n_exact = 0
        self._code = {name: i for i, name in enumerate(classes)}
        self._unseen: Counter[str] = Counter()
        self._counts = np.zeros((3, len(self.classes)), dtype=np.int64)  # hits, support, guessed
        self._areas = AreaStream(len(self.classes), exact_scores=exact_scores)
        self._blocks = Blocks(3 * len(self.classes) + 3)
        self._bins: NDArray[np.float64] | None = None
        self._worst = Worst[LabelMistake](n_mistakes)

    def add(
        self,
        truth: Sequence[Iterable[Any]],
        predicted: Sequence[Iterable[Any]],
        probabilities: NDArray[np.floating] | None = None,
        texts: Sequence[str] | None = None,
    ) -> None:
        """Take the labels of each row, what was predicted, probabilities (n, n_classes), and texts.

        Without probabilities there is neither average precision nor calibration; mistakes are kept
        where both are given. Raises DataError for row counts that differ, or a predicted label that
        is not among the classes.
        """
        if len(truth) != len(predicted):
            raise DataError(f"{len(truth):,} truths but {len(predicted):,} predictions")
        shape = (len(truth), len(self.classes))
        if probabilities is not None and probabilities.shape != shape:
            raise UsageError(f"probabilities are {probabilities.shape}, expected {shape}")
        truths, guesses = [set(labels) for labels in truth], [set(labels) for labels in predicted]
        marks, n_unseen = self._mark(truths, guesses)
        hits = marks.all(axis=0)
        exact = np.fromiter(
            (a == b for a, b in zip(truths, guesses, strict=True)), bool, len(truths)
        )
        self._counts += np.stack([hits, *marks]).sum(axis=1)
        self._n_exact += int(exact.sum())
        self._blocks.add(
            np.column_stack([hits, *marks, n_unseen, exact, np.ones(len(truths))]).astype(
                np.float64
            )
        )
        if probabilities is not None:
            values = np.asarray(probabilities, dtype=np.float64)
            self._areas.add(marks[0], values)
            bins = count_bins(values.ravel(), marks[0].ravel())
            self._bins = bins if self._bins is None else self._bins + bins
            if texts is not None:
                self._keep_mistakes(
                    np.flatnonzero(~exact), truths, guesses, marks[0], values, texts
                )
        self.n_rows += len(truth)

    def mistakes(self) -> list[LabelMistake]:
        """Give the rows whose labels were not all right, the largest loss first."""
        return self._worst.items()

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
            average_precision=np.pad(
                self._areas.average_precisions(), (0, len(unseen)), constant_values=float("nan")
            ),
            sums=self._blocks.sums(),
            bins=None if self._bins is None else Bins.of(self._bins),
            thresholds=self.thresholds,
            n_unseen=len(unseen),
        )

    def _mark(
        self, truths: list[set[Any]], guesses: list[set[Any]]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Give which known labels each row has and got, (2, n, n_classes), and how many unknown
        ones it has, (n,).
        """
        marks = np.zeros((2, len(truths), len(self.classes)), dtype=bool)
        n_unseen = np.zeros(len(truths), dtype=np.int64)
        for i, (labels, guessed) in enumerate(zip(truths, guesses, strict=True)):
            for label in labels:
                if label in self._code:
                    marks[0, i, self._code[label]] = True
                else:
                    self._count_unseen(str(label))
                    n_unseen[i] += 1
            for label in guessed:
                if label not in self._code:
                    raise DataError(
                        f"label {label!r} was predicted but is not among the {len(self.classes)}"
                        f" classes"
                    )
                marks[1, i, self._code[label]] = True
        return marks, n_unseen

    def _keep_mistakes(
        self,
        wrong: NDArray[np.intp],
        truths: list[set[Any]],
        guesses: list[set[Any]],
        marks: NDArray[np.bool_],
        probabilities: NDArray[np.float64],
        texts: Sequence[str],
    ) -> None:
        of_truth = np.where(marks[wrong], probabilities[wrong], 1 - probabilities[wrong])
        losses = -np.log(np.clip(of_truth, SMALLEST, None)).mean(axis=1)

        def make(place: int) -> LabelMistake:
            i = int(wrong[place])

            def show(labels: set[Any]) -> dict[str, float | None]:
                codes = {str(label): self._code.get(label) for label in sorted(labels, key=str)}
                return {
                    name: None if code is None else float(probabilities[i, code])
                    for name, code in codes.items()
                }

            return LabelMistake(
                loss=float(losses[place]),
                row=self.n_rows + i + 1,
                text=texts[i][:MAX_TEXT],
                missed=show(truths[i] - guesses[i]),
                extra=show(guesses[i] - truths[i]),
                found=tuple(show(truths[i] & guesses[i])),
            )

        self._worst.offer(losses, make)

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

    classes: the labels that the model knows; true labels beyond them are counted as missed and
    named. probabilities: (n_rows, n_classes) in the order of classes. Raises DataError for row
    counts that differ or a foreign prediction.
    """
    stream = MultiLabelStream(classes)
    stream.add(truth, predicted, probabilities)
    return stream.result()


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else value
