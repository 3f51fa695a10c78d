"""What a model says of texts, as the columns of a table: labels, probabilities, numbers.

In: a classifier, texts, and how much is told. Out: the names of the columns, which no text changes,
and for each batch of texts their values, a value a row. Numbers keep all their digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from textkit.data.targets import Label
from textkit.errors import UsageError

if TYPE_CHECKING:
    from textkit.classify.classifier import TextClassifier

Kind = Literal["label", "labels", "number", "numbers"]


@dataclass(frozen=True)
class AnswerColumn:
    """A column of answers: its name, and whether a cell holds a label, a number, or a list."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Answers:
    """The answers for some texts: `columns` are lists of a value a row, in the order of the names;
    n_without: rows that got no label.
    """

    columns: list[list[object]]
    n_without: int = 0


@dataclass(frozen=True, kw_only=True)
class Answering:
    """How a classifier answers; it can be pickled.

    - proba: None tells the probability of what is answered, "all" those of every label, "topN" the
      N most probable labels with theirs.
    - threshold: with one label a text, the answer must be at least so probable, else the row has
      no label; in a multi-label task every label that is at least so probable is given, in the
      place of those above the model's own thresholds.
    - abstain: what stands in the place of no label; by default nothing.

    >>> from textkit import TextClassifier
    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> small = {"encoder__dim": 4, "embedding__dim": 4, "training__epochs": 1, "seed": 1}
    >>> model = TextClassifier(**small).fit(texts, labels)
    >>> unsure = Answering(classifier=model, threshold=1.0, abstain="?", proba="all")
    >>> [column.name for column in unsure.columns]
    ['label', 'probability', 'probability_neg', 'probability_pos']
    >>> unsure.answer(["a film"]).columns[0]
    ['?']
    """

    classifier: TextClassifier
    proba: str | None = None
    threshold: float | None = None
    abstain: str | None = None

    def __post_init__(self) -> None:
        task = self.classifier.task_
        asked = ("proba", "threshold", "abstain")
        given = [name for name in asked if getattr(self, name) is not None]
        if task == "regression" and given:
            raise UsageError(
                f"--{given[0]} is for labels; this model is a regression, which predicts numbers"
            )
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UsageError(f"--threshold is {self.threshold}, expected a number from 0 to 1")
        if self.abstain is not None and self.threshold is None and task == "single-label":
            raise UsageError(
                "--abstain needs --threshold: how probable an answer must be, as --threshold .7"
            )
        if self.abstain and self.abstain in {str(name) for name in self._classes()}:
            raise UsageError(
                f"--abstain {self.abstain}: the model has a label of that name; take another word"
            )
        self._n_top()

    @property
    def columns(self) -> list[AnswerColumn]:
        """The columns of every batch of answers."""
        task, names = self.classifier.task_, self._classes()
        if task == "regression":
            return [AnswerColumn(str(name), "number") for name in names]
        columns = [AnswerColumn("label", "label"), AnswerColumn("probability", "number")]
        if task == "multi-label":
            columns = [AnswerColumn("labels", "labels"), AnswerColumn("probabilities", "numbers")]
        if self.proba == "all":
            columns += [AnswerColumn(f"probability_{name}", "number") for name in names]
        for rank in range(1, self._n_top() + 1):
            columns.append(AnswerColumn(f"label_{rank}", "label"))
            columns.append(AnswerColumn(f"probability_{rank}", "number"))
        return columns

    def answer(self, texts: Sequence[str]) -> Answers:
        """Predict texts: a value a row for each of the columns."""
        if self.classifier.task_ == "regression":
            numbers = self.classifier.predict_logits(texts).astype(np.float64)
            return Answers([list(column) for column in numbers.T.tolist()])
        probabilities = self.classifier.predict_proba(texts)
        one = self.classifier.task_ == "single-label"
        first = self._one(probabilities) if one else self._several(probabilities)
        return Answers(first.columns + self._further(probabilities), first.n_without)

    def _one(self, probabilities: NDArray[np.float64]) -> Answers:
        names = self._labels()
        best = probabilities.argmax(axis=1)
        shares = probabilities[np.arange(len(best)), best]
        labels: list[object] = [names[i] for i in best.tolist()]
        unsure = np.flatnonzero(shares < (self.threshold or 0.0)).tolist()
        for row in unsure:
            labels[row] = self.abstain or None
        return Answers([labels, shares.tolist()], len(unsure))

    def _several(self, probabilities: NDArray[np.float64]) -> Answers:
        """Give the labels that are probable enough, the most probable first."""
        names, labels, shares = self._labels(), list[object](), list[object]()
        if self.threshold is None:
            enough = probabilities > self.classifier.thresholds_
        else:
            enough = probabilities >= self.threshold
        order = (-probabilities).argsort(axis=1, kind="stable")
        for row, chosen, ranked in zip(probabilities, enough, order, strict=True):
            places = ranked[chosen[ranked]].tolist()
            labels.append([names[i] for i in places] or ([self.abstain] if self.abstain else []))
            shares.append(row[places].tolist())
        return Answers([labels, shares], int((~enough.any(axis=1)).sum()))

    def _further(self, probabilities: NDArray[np.float64]) -> list[list[object]]:
        """Give the columns that --proba asks for."""
        if self.proba == "all":
            return [list(column) for column in probabilities.T.tolist()]
        names, columns = self._labels(), list[list[object]]()
        n_top = self._n_top()
        if n_top:
            order = (-probabilities).argsort(axis=1, kind="stable")[:, :n_top]
            shares = np.take_along_axis(probabilities, order, axis=1)
            for rank in range(n_top):
                columns.append([names[i] for i in order[:, rank].tolist()])
                columns.append(shares[:, rank].tolist())
        return columns

    def _n_top(self) -> int:
        if self.proba in (None, "all"):
            return 0
        found = re.fullmatch(r"top[-_ ]?([1-9][0-9]*)", str(self.proba))
        if found is None:
            raise UsageError(f"--proba is '{self.proba}', expected all, or top3 or another number")
        return min(int(found[1]), len(self.classifier.classes_))

    def _classes(self) -> list[Label]:
        classes: list[Label] = self.classifier.classes_.tolist()
        return classes

    def _labels(self) -> list[Label]:
        """Give the classes as they are answered: with a word for none among them, as text."""
        return [str(name) for name in self._classes()] if self.abstain else self._classes()
