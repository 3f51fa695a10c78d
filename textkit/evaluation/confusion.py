"""The confusion matrix of a single-label task, and every number that follows from it.

In: true and predicted labels, or their counts. Out: an Evaluation: accuracy, F1s, a table a class,
95 % intervals, JSON. What the probabilities say beside that is in its `scores`; `figures` draws it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.evaluation.intervals import Interval, resample_counts
from textkit.evaluation.scores import Bins, Scores

# So many classes stay in their order in a picture; behind how many others one is placed.
_IN_ORDER, _FEW = 12, 4


@dataclass(frozen=True)
class Evaluation:
    """The counts of a confusion matrix: counts[i, j] = rows of class i predicted as class j, (n, n)
    int64.

    The last `n_unseen` classes are true labels that the model does not know: every row of theirs
    counts as wrong. scores: what the probabilities say, where they were given.

    >>> result = evaluate(["a", "a", "b"], ["a", "b", "b"], classes=["a", "b"])
    >>> round(result.accuracy, 3), round(result.macro_f1, 3)
    (0.667, 0.667)
    """

    classes: list[str]
    counts: NDArray[np.int64]
    n_unseen: int = 0
    scores: Scores | None = None

    @property
    def n_rows(self) -> int:
        return int(self.counts.sum())

    @property
    def unseen(self) -> dict[str, int]:
        """True labels that the model does not know, with their rows."""
        first = len(self.classes) - self.n_unseen
        return dict(zip(self.classes[first:], self.support[first:].tolist(), strict=True))

    @property
    def bins(self) -> Bins | None:
        """Rows by the probability of their prediction, where there are probabilities."""
        return None if self.scores is None else self.scores.bins

    @property
    def support(self) -> NDArray[np.int64]:
        """Rows of each true class: (n_classes,)."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def accuracy(self) -> float:
        """Share of right rows.

        Also the micro F1, since every row has one truth and one prediction.
        """
        return float(np.trace(self.counts) / max(self.n_rows, 1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of each class's predictions that are right; 0 where it was never predicted."""
        return np.asarray(np.diag(self.counts) / np.maximum(self.counts.sum(axis=0), 1))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of each class's rows that were found; 0 where there are none."""
        return np.asarray(np.diag(self.counts) / np.maximum(self.support, 1))

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall of each class."""
        return np.asarray(
            2 * np.diag(self.counts) / np.maximum(self.counts.sum(axis=0) + self.support, 1)
        )

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that occur as truth or prediction, as scikit-learn counts
        them.
        """
        seen = (self.support + self.counts.sum(axis=0)) > 0
        return float(self.f1[seen].mean()) if seen.any() else 0.0

    @property
    def weighted_f1(self) -> float:
        """Mean F1 of the classes, each weighted by its rows."""
        return float(self.f1 @ self.support / max(self.n_rows, 1))

    def intervals(self, *, n_resamples: int = 1000, seed: int = 0) -> dict[str, Interval]:
        """Give 95 % intervals by name: accuracy, macro_f1, weighted_f1, and those of the scores.

        The first three are bootstrapped: n_resamples sets of rows, which is to draw the cells of
        the matrix anew (a multinomial), and the percentiles of each number, moved by their bias. An
        evaluation without rows has none.

        >>> result = evaluate(["a", "b"] * 50, ["a"] * 20 + ["b"] * 80, classes=["a", "b"])
        >>> interval = result.intervals()["accuracy"]
        >>> 0.4 <= interval.low < 0.5 < interval.high <= 0.6
        True
        """
        if self.n_rows == 0:
            return {}
        drawn = resample_counts(self.counts, n_resamples=n_resamples, seed=seed)
        found = {name: Interval.of(getattr(self, name), values) for name, values in drawn.items()}
        return found | (self.scores.intervals() if self.scores is not None else {})

    def confusions(self, n: int) -> list[tuple[str, str, int]]:
        """Give the n most frequent errors as (truth, prediction, rows)."""
        wrong = self.counts - np.diag(np.diag(self.counts))
        order = np.argsort(-wrong, axis=None, kind="stable")[:n]
        cells = (divmod(int(cell), len(self.classes)) for cell in order)
        return [
            (self.classes[i], self.classes[j], int(wrong[i, j])) for i, j in cells if wrong[i, j]
        ]

    def arrange(self, n: int) -> tuple[list[int], list[int]]:
        """Choose the rows and the columns of a picture, as numbers of classes.

        Of more than n classes the n with the most errors, as truth or prediction; of more than a
        dozen those that are confused stand side by side. Labels that the model does not know are
        rows at the end.

        >>> result = evaluate(["a", "b", "c", "c"], ["a", "c", "c", "b"], classes=["a", "b", "c"])
        >>> result.arrange(2)
        ([1, 2], [1, 2])
        """
        n_known = len(self.classes) - self.n_unseen
        known = self.counts[:n_known, :n_known]
        wrong = known + known.T
        np.fill_diagonal(wrong, 0)
        worst = np.argsort(-wrong.sum(axis=1), kind="stable")[:n]
        chosen = sorted(worst.tolist())
        if len(chosen) > _IN_ORDER:
            size = np.maximum(np.add.outer(self.support, self.support), 1)[:n_known, :n_known]
            chosen = _side_by_side(wrong / size, chosen, first=int(worst[0]))
        return [*chosen, *range(n_known, min(len(self.classes), n_known + n))], chosen

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values.

        What is not defined, as the ROC-AUC of one class, is None.
        """
        columns = zip(self.classes, self.precision, self.recall, self.f1, self.support, strict=True)
        classes: dict[str, dict[str, object]] = {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
            for name, p, r, f, n in columns
        }
        numbers: dict[str, object] = {
            "n_rows": self.n_rows,
            "accuracy": self.accuracy,
            "micro_f1": self.accuracy,
            "macro_f1": self.macro_f1,
            "weighted_f1": self.weighted_f1,
        }
        if self.scores is not None:
            numbers |= self.scores.to_dict()
            for name, area in zip(self.classes, self.scores.class_roc_auc.tolist(), strict=False):
                classes[name]["roc_auc"] = None if np.isnan(area) else area
        return {
            **numbers,
            "intervals": {
                name: [interval.low, interval.high] for name, interval in self.intervals().items()
            },
            "unseen_labels": self.unseen,
            "classes": classes,
            "confusion": {"labels": self.classes, "counts": self.counts.tolist()},
        }


def evaluate(
    truth: Sequence[Hashable], predicted: Sequence[Hashable], *, classes: Sequence[Hashable]
) -> Evaluation:
    """Count a confusion matrix.

    A true label that the classes lack gets a row of its own at the end.
    """
    unseen = sorted(set(truth) - set(classes), key=str)
    names = [*classes, *unseen]
    index = {label: i for i, label in enumerate(names)}
    pairs = np.fromiter(
        (index[t] * len(names) + index[p] for t, p in zip(truth, predicted, strict=True)), np.int64
    )
    counts = np.bincount(pairs, minlength=len(names) ** 2).reshape(len(names), len(names))
    return Evaluation([str(name) for name in names], counts, n_unseen=len(unseen))


def _side_by_side(likeness: NDArray[np.float64], chosen: list[int], *, first: int) -> list[int]:
    """Order classes: each is followed by the one that is most confused with the last few."""
    order, left = [first], [place for place in chosen if place != first]
    while left:
        near = likeness[np.ix_(order[-_FEW:], left)].sum(axis=0)
        order.append(left.pop(int(near.argmax())))
    return order


def shorten(text: str, width: int) -> str:
    """Cut a text to a width, ending in an ellipsis where something was cut.

    >>> shorten("concurrency", 8)
    'concurr…'
    """
    return text if len(text) <= width else text[: width - 1] + "…"
