"""The stream that `textkit evaluate` feeds: labels and probabilities, a chunk at a time, in memory
that does not grow.

In: the classes of a model, then chunks of (truth codes, probabilities, texts). Out: an Evaluation,
and the worst mistakes. What is kept: the confusion matrix, the bounded sums of `scores`, some
mistakes, some names of unseen labels.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError, UsageError
from textkit.evaluation.areas import EXACT_SCORES
from textkit.evaluation.confusion import Evaluation
from textkit.evaluation.scores import ScoreStream

# Unseen labels that get a row of their own; a wrong label column may hold as many labels as the
# file has rows.
MAX_UNSEEN = 100
OTHER_UNSEEN = "(other unseen labels)"
MAX_TEXT = 2000  # characters of a text that a mistake keeps

Item = TypeVar("Item")


class Worst(Generic[Item]):
    """Keep the n items of the highest scores; of equal ones the earlier stay, and stand first.

    >>> worst = Worst[str](2)
    >>> worst.offer(np.array([1.0, 3.0, 2.0]), lambda i: "abc"[i])
    >>> worst.offer(np.array([2.0, 0.0]), lambda i: "de"[i])
    >>> worst.items()
    ['b', 'c']
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._kept: list[tuple[float, int, Item]] = []
        self._n_taken = 0

    def offer(self, scores: NDArray[np.float64], make: Callable[[int], Item]) -> None:
        """Take scores (n_rows,) of the next rows; make(i) is called for the rows that are kept."""
        for i in np.argsort(-scores, kind="stable")[: self.n].tolist():
            score = float(scores[i])
            full = len(self._kept) == self.n
            if full and score <= self._kept[0][0]:
                return
            self._n_taken += 1
            (heapq.heapreplace if full else heapq.heappush)(
                self._kept, (score, -self._n_taken, make(i))
            )

    def items(self) -> list[Item]:
        """Give what is kept, the highest score first."""
        return [item for _, _, item in sorted(self._kept, key=lambda kept: kept[:2], reverse=True)]


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction: how sure the model was of it, the row from 1, the text, and what it gave
    the truth.

    truth_probability is None for a label that the model does not know.
    """

    probability: float
    row: int
    text: str
    truth: str
    predicted: str
    truth_probability: float | None


class Stream:
    """Gather an evaluation chunk by chunk.

    n_mistakes: how many of the surest wrong predictions are kept. exact_scores: up to how many
    scores (rows times classes) ROC-AUC is exact (see `areas`).

    >>> stream = Stream(["neg", "pos"])
    >>> probabilities = np.array([[0.1, 0.9], [0.3, 0.7], [0.6, 0.4]])
    >>> stream.add(stream.encode(["pos", "neg", "new"]), probabilities, ["a", "b", "c"])
    >>> result = stream.result()
    >>> round(result.accuracy, 3), result.unseen
    (0.333, {'new': 1})
    >>> [(mistake.text, mistake.truth, mistake.predicted) for mistake in stream.mistakes()]
    [('b', 'neg', 'pos'), ('c', 'new', 'neg')]
    """

    def __init__(
        self, classes: Sequence[str], *, n_mistakes: int = 50, exact_scores: int = EXACT_SCORES
    ) -> None:
        if len(set(classes)) != len(classes) or not classes:
            raise UsageError(
                f"expected different classes, at least one, found {list(classes)!r:.80}"
            )
        self.classes = list(classes)
        self.n_rows = 0
        self._codes = {name: code for code, name in enumerate(classes)}
        self._unseen: list[str] = []
        self._counts = np.zeros((len(classes) + MAX_UNSEEN + 1, len(classes)), dtype=np.int64)
        self._scores = ScoreStream(len(classes), exact_scores=exact_scores)
        self._worst = Worst[Mistake](n_mistakes)

    def encode(self, labels: Sequence[str]) -> NDArray[np.int64]:
        """Turn labels into codes (n,) int64.

        Unseen ones get codes after the classes, in order of appearance.
        """
        for label in labels:
            if label not in self._codes and len(self._unseen) < MAX_UNSEEN:
                self._codes[label] = len(self._codes)
                self._unseen.append(label)
        other = len(self.classes) + MAX_UNSEEN
        return np.fromiter(
            (self._codes.get(label, other) for label in labels), np.int64, count=len(labels)
        )

    def add(
        self,
        codes: NDArray[np.int64],
        probabilities: NDArray[np.float64],
        texts: Sequence[str] | None = None,
    ) -> None:
        """Take codes (n,) from `encode`, probabilities (n, n_classes), and the texts where mistakes
        are to be listed.

        Raises UsageError for shapes that do not fit and DataError for a probability that is no
        number from 0 to 1.
        """
        probabilities = np.asarray(probabilities, dtype=np.float64)
        if probabilities.shape != (len(codes), len(self.classes)):
            raise UsageError(
                f"probabilities are {probabilities.shape}, expected ({len(codes)},"
                f" {len(self.classes)}): rows, classes"
            )
        bad = ~((probabilities >= -1e-9) & (probabilities <= 1 + 1e-6)).all(axis=1)
        if bad.any():
            row = int(bad.argmax())
            raise DataError(
                f"row {self.n_rows + row + 1}: {probabilities[row][:5]} are no probabilities"
            )
        predicted = probabilities.argmax(axis=1)
        np.add.at(self._counts, (codes, predicted), 1)
        self._scores.add(codes, probabilities)
        if texts is not None:
            self._keep_mistakes(codes, predicted, probabilities, texts)
        self.n_rows += len(codes)

    def result(self) -> Evaluation:
        """Compute the evaluation of what was added so far."""
        other = self._counts[-1].any()
        names = [*self.classes, *self._unseen, *([OTHER_UNSEEN] if other else [])]
        rows = [
            *range(len(self.classes) + len(self._unseen)),
            *([len(self._counts) - 1] if other else []),
        ]
        counts = np.zeros((len(names), len(names)), dtype=np.int64)
        counts[:, : len(self.classes)] = self._counts[rows]
        return Evaluation(
            names, counts, n_unseen=len(names) - len(self.classes), scores=self._scores.result()
        )

    def mistakes(self) -> list[Mistake]:
        """Give the wrong predictions that the model was surest of, the surest first."""
        return self._worst.items()

    def _keep_mistakes(
        self,
        codes: NDArray[np.int64],
        predicted: NDArray[np.int64],
        probabilities: NDArray[np.float64],
        texts: Sequence[str],
    ) -> None:
        wrong = np.flatnonzero(codes != predicted)

        def make(place: int) -> Mistake:
            i = int(wrong[place])
            code, guess = int(codes[i]), int(predicted[i])
            other = code == len(self._counts) - 1
            return Mistake(
                probability=float(probabilities[i, guess]),
                row=self.n_rows + i + 1,
                text=texts[i][:MAX_TEXT],
                truth=OTHER_UNSEEN if other else [*self.classes, *self._unseen][code],
                predicted=self.classes[guess],
                truth_probability=float(probabilities[i, code])
                if code < len(self.classes)
                else None,
            )

        self._worst.offer(probabilities[wrong, predicted[wrong]], make)
