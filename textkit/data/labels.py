"""Labels of a stream of rows -> numbers, before the classes are known: what TokenShards writes
while it reads.

In: the label of one row after the other. Out: a number a row at once, and at the end the classes
and a table that turns those numbers into the targets of textkit.data.targets. Memory grows with the
different labels alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.data.targets import Task
from textkit.errors import UsageError
from textkit.io.corpus import LABEL_SEPARATOR

Label = str | int | float


class LabelReader:
    """Number labels as they come; ValueError says what is wrong with one.

    task: as of a recipe, or None for texts without labels. classes: the only ones allowed, in their
    order. separator: what stands between the labels of a row of text, besides LABEL_SEPARATOR.

    >>> reader = LabelReader("single-label")
    >>> [reader.read(label) for label in ("b", "a", "b")]
    [0, 1, 0]
    >>> reader.classes(), reader.table().tolist()
    (['a', 'b'], [1, 0])
    """

    def __init__(
        self,
        task: Task | None,
        *,
        classes: Sequence[Label] | None = None,
        separator: str | None = None,
    ) -> None:
        if task not in ("single-label", "multi-label", "regression", None):
            raise UsageError(
                f"task is '{task}', expected 'single-label', 'multi-label', 'regression' or None"
            )
        if classes is not None and len(set(classes)) < len(classes):
            raise UsageError("classes has the same class twice")
        self.task = task
        self.separator = separator
        self.given = None if classes is None else list(classes)
        self.known: dict[Label, int] = {}
        self.sets: dict[
            tuple[int, ...], int
        ] = {}  # multi-label: the different sets of classes, numbered
        self.width = len(classes) if task == "regression" and classes is not None else 0
        for label in classes or ():
            self.known[label] = len(self.known)

    def read(self, label: Any) -> int | list[float]:
        """Give the number of a row's label, or its list of numbers for regression."""
        if self.task is None:
            return 0
        if self.task == "single-label":
            if isinstance(label, str) and LABEL_SEPARATOR in label:
                raise ValueError(
                    "the row has several labels; expected one, or task = 'multi-label'"
                )
            return self._class(label)
        if isinstance(label, str):
            text = label.replace(self.separator, LABEL_SEPARATOR) if self.separator else label
            items: list[Any] = text.split(LABEL_SEPARATOR)
        else:
            items = list(label) if isinstance(label, list | tuple) else [label]
        if self.task == "regression":
            return self._numbers(items, label)
        codes = tuple(sorted({self._class(item) for item in items if item not in ("", None)}))
        return self.sets.setdefault(codes, len(self.sets))

    def _class(self, label: Any) -> int:
        code = self.known.get(label)
        if code is not None:
            return code
        if label is None or label == "":
            raise ValueError("the label is empty")
        if self.given is not None:
            raise ValueError(f"label {label!r} is not among the {len(self.given)} known classes")
        first = next(iter(self.known), label)
        if type(label) is not type(first):
            raise ValueError(
                f"label {label!r} is a {type(label).__name__}, the first a {type(first).__name__}"
            )
        return self.known.setdefault(label, len(self.known))

    def _numbers(self, items: list[Any], label: Any) -> list[float]:
        try:
            numbers = [float(item) for item in items]
        except (TypeError, ValueError):
            numbers = [math.nan]
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"the label is {label!r}, expected a finite number")
        self.width = self.width or len(numbers)
        if len(numbers) != self.width:
            raise ValueError(f"the label has {len(numbers)} numbers, expected {self.width}")
        return numbers

    def classes(self) -> list[Label]:
        """Give the classes, as given or sorted; for regression the names of the outputs."""
        if self.given is not None:
            return self.given
        if self.task == "regression":
            return ["value"] if self.width <= 1 else [f"value{i}" for i in range(self.width)]
        return sorted(self.known)

    def table(self) -> NDArray[Any]:
        """Give the target of each number that `read` gave: (n,) int64, or (n_sets, n_classes)
        float32.
        """
        place = {label: i for i, label in enumerate(self.classes())}
        codes = np.array([place[label] for label in self.known], dtype=np.int64)
        if self.task != "multi-label":
            return codes
        targets = np.zeros((len(self.sets), len(codes)), dtype=np.float32)
        for members, row in self.sets.items():
            targets[row, codes[list(members)]] = 1
        return targets
