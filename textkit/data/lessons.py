"""Lessons: what a teacher says of training rows, beside the labels that some of them have.

In: the outputs of a teacher for rows, and which of these have a label. Out: for each row what the
teacher says and how much of the loss that is, in memory as float32; mixed with the targets for
those who learn from one number a class. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.data.targets import Targets, Task


@dataclass(frozen=True)
class Lesson:
    """What a teacher says of rows.

    said: (n_rows, n_classes) float32, its probabilities, or the numbers of a regression. share:
    (n_rows,) float32, its part of each row's loss; the rest is the label's. is_labelled: (n_rows,)
    bool; a row without a label has a share of 1.
    """

    said: NDArray[np.float32]
    share: NDArray[np.float32]
    is_labelled: NDArray[np.bool_]

    def take(self, rows: NDArray[np.int64]) -> Lesson:
        """Give what is said of some rows."""
        return Lesson(self.said[rows], self.share[rows], self.is_labelled[rows])

    def add_labelled(self, n_rows: int) -> Lesson:
        """Give the lesson with further rows behind, of which the teacher says nothing."""
        nothing = np.zeros((n_rows, self.said.shape[1]), np.float32)
        return Lesson(
            np.concatenate([self.said, nothing]),
            np.concatenate([self.share, np.zeros(n_rows, np.float32)]),
            np.concatenate([self.is_labelled, np.ones(n_rows, np.bool_)]),
        )

    def mix(self, task: Task, targets: Targets) -> NDArray[np.float32]:
        """Mix targets, as textkit.data.targets makes them, with what the teacher says of their
        rows: (n_rows, n_classes) float32.

        >>> said = np.array([[0.5, 0.5], [0.25, 0.75]], np.float32)
        >>> lesson = Lesson(said, np.array([0.5, 1], np.float32), np.array([True, False]))
        >>> lesson.mix("single-label", np.array([0, 1])).tolist()
        [[0.75, 0.25], [0.25, 0.75]]
        """
        known = targets.astype(np.float32)
        if task == "single-label":
            known = np.zeros_like(self.said)
            known[np.arange(len(targets)), targets.astype(np.int64)] = 1.0
        share = self.share[:, None]
        return np.asarray((1 - share) * known + share * self.said, dtype=np.float32)

    def to_targets(self, task: Task) -> Targets:
        """Give as targets what the teacher would decide: classes, 0 and 1 a label, or numbers."""
        if task == "regression":
            return self.said
        if task == "multi-label":
            return (self.said > 0.5).astype(np.float32)
        return np.asarray(self.said.argmax(axis=1), dtype=np.int64)
