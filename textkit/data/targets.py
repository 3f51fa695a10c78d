"""Labels -> targets: what the user calls the labels of a row, as the numbers that a loss wants, for
every task.

single-label: one str or int a row -> int64 (n,), indices into the sorted classes. multi-label: a
list of them a row, which may be empty -> float32 (n, n_classes) of 0 and 1. regression: a number a
row, or a list of them -> float32 (n, n_outputs).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError

Task = Literal["single-label", "multi-label", "regression"]
Label = str | int | float
Labels = Sequence[Label | Iterable[Label]]  # one a row: a Label, or several
Classes = NDArray[np.generic]
Targets = NDArray[np.int64] | NDArray[np.float32]


def find_classes(task: Task, labels: Labels, *, joining: bool = False) -> Classes:
    """Give the sorted classes of the training labels, (n_classes,).

    For regression the names of the outputs. joining: they join those of a model, so that one class
    is enough.

    >>> find_classes("multi-label", [["b"], [], ["a", "b"]]).tolist()
    ['a', 'b']
    """
    n = len(labels)
    if n == 0:
        raise DataError("no rows to train on")
    if task == "regression":
        width = _numbers(labels).shape[1]
        return np.array(["value"] if width == 1 else [f"value{i}" for i in range(width)])
    if task == "multi-label":
        names = {label for row in _label_lists(labels) for label in row}
        if not names:
            raise DataError(
                f"none of the {n:,} rows has a label; is the label column the right one?"
            )
        return _sorted(names)
    classes = _sorted(set(_one_each(labels)))
    if joining:
        return classes
    if len(classes) < 2:
        raise DataError(
            f"all {n:,} rows have the label {classes[0].item()!r}; expected at least two classes"
        )
    if len(classes) == n:
        raise DataError(f"all {n:,} labels differ; is the label column the right one?")
    return classes


def encode_labels(task: Task, labels: Labels, classes: Classes, *, what: str = "label") -> Targets:
    """Turn labels into targets; a label outside the classes is refused by name.

    >>> encode_labels("single-label", ["b", "a"], np.array(["a", "b"])).tolist()
    [1, 0]
    """
    if task == "regression":
        numbers = _numbers(labels)
        if numbers.shape[1] != len(classes):
            raise DataError(
                f"{what}s have {numbers.shape[1]} numbers a row, expected {len(classes)}"
            )
        return numbers
    index = {label: i for i, label in enumerate(classes.tolist())}
    rows = (
        _label_lists(labels) if task == "multi-label" else [[label] for label in _one_each(labels)]
    )
    unseen = sorted({label for row in rows for label in row if label not in index}, key=str)
    if unseen:
        raise DataError(f"{what} {unseen[0]!r} is not among the training labels")
    if task == "single-label":
        return np.array([index[row[0]] for row in rows], dtype=np.int64)
    targets = np.zeros((len(rows), len(classes)), dtype=np.float32)
    for i, row in enumerate(rows):
        targets[i, [index[label] for label in row]] = 1.0
    return targets


def count_classes(task: Task, classes: Classes, *parts: Targets) -> dict[str, int]:
    """Count the rows of each class in the targets of some rows, or of several parts of them; of a
    regression, whose outputs are numbers, none.

    >>> count_classes("single-label", np.array(["a", "b"]), np.array([0, 1]), np.array([1]))
    {'a': 1, 'b': 2}
    """
    if task == "regression":
        return {}
    counts = np.zeros(len(classes), dtype=np.int64)
    for targets in parts:
        if task == "single-label":
            counts += np.bincount(targets.astype(np.int64), minlength=len(classes))
        else:
            counts += (targets > 0).sum(axis=0)
    return {str(name): n for name, n in zip(classes.tolist(), counts.tolist(), strict=True)}


def known_codes(labels: Labels, classes: Classes) -> NDArray[np.int64]:
    """Give the class of each row's one label, (n,), -1 for a label that is none of the classes;
    DataError where not one is.

    >>> known_codes(["b", "new"], np.array(["a", "b"])).tolist()
    [1, -1]
    """
    index = {label: i for i, label in enumerate(classes.tolist())}
    rows = _one_each(labels)
    codes = np.array([index.get(label, -1) for label in rows], dtype=np.int64)
    if len(rows) and codes.max() < 0:
        known = classes.tolist()
        raise DataError(
            f"the model knows none of the labels, as {rows[0]!r} ({type(rows[0]).__name__}); its"
            f" classes are {type(known[0]).__name__}: {', '.join(map(repr, known[:5]))}"
        )
    return codes


def _sorted(names: set[Label]) -> Classes:
    try:
        return np.array(sorted(names))
    except TypeError:
        kinds = ", ".join(sorted({type(name).__name__ for name in names}))
        raise DataError(f"labels are of several types: {kinds}; make them all str") from None


def _one_each(labels: Labels) -> list[Label]:
    """Give the one label of each row, as it is: numpy would turn 1 beside "1" into "1"."""
    rows: list[Label] = []
    for label in labels.tolist() if isinstance(labels, np.ndarray) else labels:
        if not isinstance(label, str | int | float):
            raise DataError(f"a row's label is {label!r}; set head.task = 'multi-label' for lists")
        rows.append(label)
    return rows


def _label_lists(labels: Labels) -> list[list[Label]]:
    lists = []
    for row, label in enumerate(labels):
        if isinstance(label, str | int | float):
            raise DataError(
                f"the label of row {row} is {label!r}; multi-label wants a list of labels a row"
            )
        lists.append([item.item() if isinstance(item, np.generic) else item for item in label])
    return lists


def _numbers(labels: Labels) -> NDArray[np.float32]:
    try:
        numbers = np.asarray(labels, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise DataError(f"regression wants numbers as labels: {err}") from err
    numbers = numbers.reshape(len(numbers), -1)
    bad = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
    if len(bad):
        raise DataError(
            f"the label of row {bad[0]} is {labels[int(bad[0])]!r}; regression wants finite numbers"
        )
    return numbers.astype(np.float32)
