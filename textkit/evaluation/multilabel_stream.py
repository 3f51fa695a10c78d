"""The stream of a multi-label evaluation: labels, predictions and probabilities, a chunk at a time.

In: the classes of a model, then chunks of (true labels, predicted labels, probabilities, texts).
Out: a MultiLabelEvaluation, and the rows with the largest loss, in memory that does not grow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError, UsageError
from textkit.evaluation.areas import EXACT_SCORES, AreaStream
from textkit.evaluation.intervals import Blocks
from textkit.evaluation.multilabel import MultiLabelEvaluation
from textkit.evaluation.scores import SMALLEST, Bins, count_bins
from textkit.evaluation.stream import MAX_TEXT, MAX_UNSEEN, OTHER_UNSEEN, Worst

# What a label is called: any value that can be told from others and sorted by its text.
Label = Hashable


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
        classes: Sequence[Label],
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
        truth: Sequence[Iterable[Label]],
        predicted: Sequence[Iterable[Label]],
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
        self, truths: list[set[Label]], guesses: list[set[Label]]
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
        truths: list[set[Label]],
        guesses: list[set[Label]],
        marks: NDArray[np.bool_],
        probabilities: NDArray[np.float64],
        texts: Sequence[str],
    ) -> None:
        of_truth = np.where(marks[wrong], probabilities[wrong], 1 - probabilities[wrong])
        losses = -np.log(np.clip(of_truth, SMALLEST, None)).mean(axis=1)

        def make(place: int) -> LabelMistake:
            i = int(wrong[place])

            def show(labels: set[Label]) -> dict[str, float | None]:
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
    truth: Sequence[Iterable[Label]],
    predicted: Sequence[Iterable[Label]],
    *,
    classes: Sequence[Label],
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
