"""Labels that the caller gives in memory: beside the texts, or as columns of the same table.

One rule for `fit`, `score`, their validation rows and the rows of TokenShards:

1. A label is a str, int, float or bool, all of one type, as a model folder keeps them: 1 and "1",
   True and 1 never merge. Bytes, dates, members of an enum and the like are refused before any
   training, with what to make of them.
2. A missing value (None, NaN, NaT, pandas' NA, nothing but white space) is never a class: its row
   is named, or left out with missing="skip".
3. multi-label: a list, tuple or set of labels a row; or a matrix of 0 and 1 as scikit-learn has
   it, dense, sparse or a frame, whose columns are the classes 0 to k - 1, or the frame's names.
4. A column vector (n, 1) is its one column, with a warning.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from textkit.data.label_spelling import ClassSpelling, unify_labels
from textkit.data.plain_labels import (
    OneLabel,
    check_one_type,
    list_items,
    plain_label,
    plain_numbers,
)
from textkit.data.targets import Classes, Label, Labels, Task
from textkit.errors import DataError, UsageError
from textkit.io.composed import is_missing
from textkit.io.tables import (
    Table,
    TextData,
    find_columns,
    take_column,
    take_texts,
    take_values,
)

Missing = Literal["error", "skip"]
LabelData = Labels | Table
Read = TypeVar("Read")


@dataclass(frozen=True)
class GivenLabels:
    """Labels in one form: plain Python values, by the task one a row, or a list of them.

    rows: (n_labelled,) the numbers of the caller's rows that they belong to, of `n_rows`. classes:
    of an indicator matrix its columns, else None.
    """

    labels: Labels
    rows: NDArray[np.int64]
    n_rows: int
    classes: Classes | None = None

    def keep(self, places: NDArray[np.int64]) -> GivenLabels:
        """Keep some of the labelled rows, by their place among them."""
        labels = list(self.labels)
        chosen: Labels = [labels[place] for place in places.tolist()]
        return replace(self, labels=chosen, rows=self.rows[places])

    def take(self, texts: list[str]) -> list[str]:
        """Give the texts of the labelled rows; DataError where texts and labels do not match."""
        if len(texts) != self.n_rows:
            raise DataError(f"{len(texts):,} texts but {self.n_rows:,} labels")
        return texts if len(self.rows) == len(texts) else [texts[row] for row in self.rows]


def take_labelled(
    texts: TextData,
    labels: LabelData | None,
    *,
    text: str | None,
    label: str | Sequence[str] | None,
) -> tuple[TextData, LabelData]:
    """Give the texts and the labels of what holds both; several label columns are a table.

    >>> take_labelled({"body": ["good"], "topic": ["pos"]}, None, text="body", label="topic")
    (['good'], ['pos'])
    """
    if (labels is None) == (label is None):
        both = "" if labels is None else " not both:"
        raise UsageError(
            f"give the labels,{both} as a list beside the texts, or as a column of the table:"
            ' label="topic"'
        )
    rows = take_texts(texts, column=text)
    if label is None:
        assert labels is not None
        return rows, labels
    if isinstance(label, str):
        return rows, take_column(texts, label)  # type: ignore[return-value]
    return rows, {name: take_column(texts, name) for name in label}


def read_labels(
    task: Task,
    labels: LabelData,
    *,
    missing: Missing = "error",
    classes: Classes | None = None,
    what: str = "label",
) -> GivenLabels:
    """Read labels by the rule above; DataError names the first row that does not fit it.

    classes: those of a model, which the columns of a nameless matrix then stand for.

    >>> read_labels("multi-label", np.array([[1, 0, 1], [0, 0, 0]])).labels
    [[0, 2], []]
    >>> read_labels("single-label", ["a", None, "b"], missing="skip").rows.tolist()
    [0, 2]
    """
    if missing not in ("error", "skip"):
        raise UsageError(f"missing is {missing!r}, expected 'error' or 'skip'")
    values, columns = _take_rows(labels, task)
    gaps = [_lacks_label(value) for value in values]
    rows = _keep_rows(values, gaps, missing, what)
    if len(rows) < len(values):
        values = [values[row] for row in rows.tolist()]
    if columns is not None:
        names, sets = _read_indicators(values, columns, classes, rows, what)
        return GivenLabels(sets, rows, len(gaps), names)
    if task == "regression":
        numbers = _read_each(values, rows, what, plain_numbers)
        _check_widths(numbers, rows, what)
        return GivenLabels(numbers, rows, len(gaps))
    if task == "single-label":
        found = _read_each(values, rows, what, OneLabel())
        check_one_type(found)
        return GivenLabels(found, rows, len(gaps))
    _refuse_ambiguous(values)
    lists = _read_each(values, rows, what, _label_list)
    check_one_type([item for items in lists for item in items])
    return GivenLabels(lists, rows, len(gaps))


def _read_each(
    values: list[object],
    rows: NDArray[np.int64],
    what: str,
    read: Callable[[object], Read],
) -> list[Read]:
    """Read the value of each row; DataError with the row's number for one that cannot be read."""
    found = []
    for row, value in zip(rows.tolist(), values, strict=True):
        try:
            found.append(read(value))
        except ValueError as err:
            raise DataError(f"the {what} of row {row} {err}") from None
    return found


def normalize_given(
    task: Task, labels: LabelData, others: LabelData | None = None
) -> tuple[LabelData, LabelData | None, list[str]]:
    """Give labels, and those of the validation rows, with one spelling for strings of one key, and
    lines that say which became which; the rule is `unify_labels`'.

    Numbers, missing values, the columns of a matrix and the targets of a regression stay.

    >>> normalize_given("single-label", ["pos", "Pos ", "pos", None], ["POS"])
    (['pos', 'pos', 'pos', None], ['pos'], ["'POS', 'Pos ' became 'pos' (2 rows)"])
    """
    if task == "regression":
        return labels, others, []
    rows, columns = _take_rows(labels, task)
    more, more_columns = ([], None) if others is None else _take_rows(others, task)
    if columns is not None or more_columns is not None:
        return labels, others, []
    spelling, said = unify_labels(_strings(rows), _strings(more))
    spelt = [[_respell(value, spelling) for value in values] for values in (rows, more)]
    return spelt[0], None if others is None else spelt[1], said  # type: ignore[return-value]


def spell_as_classes(task: Task, labels: LabelData, classes: Sequence[Label]) -> LabelData:
    """Give labels spelt as the classes of a model that have their key, as `normalize_given` does.

    >>> spell_as_classes("single-label", ["Pos ", "odd"], ["neg", "pos"])
    ['pos', 'odd']
    """
    rows, columns = ([], None) if task == "regression" else _take_rows(labels, task)
    if not rows or columns is not None:
        return labels
    known = ClassSpelling(classes, normalize=True)
    spelling = {name: known.spell(name) for name in _strings(rows)}
    return [_respell(value, spelling) for value in rows]  # type: ignore[misc]


def _strings(values: list[object]) -> list[str]:
    """Give the labels that are strings, one after the other."""
    listed = [list_items(value) for value in values]
    items = [
        item
        for value, several in zip(values, listed, strict=True)
        for item in ([value] if several is None else several)
    ]
    return [str(item) for item in items if isinstance(item, str) and not is_missing(item)]


def _respell(value: object, spelling: Mapping[str, str]) -> object:
    """Give a row's value in the spelling of its labels; a row has each label once."""
    items = list_items(value)
    if items is not None:
        return [*dict.fromkeys(_respell(item, spelling) for item in items)]
    return spelling.get(value, value) if isinstance(value, str) else value


def _take_rows(labels: LabelData, task: Task) -> tuple[list[object], list[object] | None]:
    """Give a value a row; of an indicator matrix also its columns' names, None for those without
    one.
    """
    columns = find_columns(labels)
    if columns is not None:
        taken = [take_column(labels, name) for name in columns]  # type: ignore[arg-type]
        if len({len(column) for column in taken}) > 1:
            sizes = ", ".join(f"{len(column):,}" for column in taken)
            raise DataError(f"the columns of the labels differ in length: {sizes} rows")
        rows = [list(row) for row in zip(*taken, strict=True)]
        numeric = all(isinstance(item, Real) or is_missing(item) for row in rows for item in row)
        return _shape_matrix(labels, rows, columns, task, numeric=numeric)
    dense = labels.toarray() if hasattr(labels, "toarray") else labels  # scipy's sparse ones
    n_dimensions = getattr(dense, "ndim", 1)
    if n_dimensions == 1:
        return take_values(dense, what="labels"), None
    if n_dimensions != 2:
        raise DataError(f"labels have {n_dimensions} dimensions, expected one label or row a text")
    # A masked array gives None where a value is masked; NumPy's own would forget the mask.
    matrix = dense if isinstance(dense, np.ma.MaskedArray) else np.asarray(dense)
    numeric = matrix.dtype.kind in "biuf"
    return _shape_matrix(labels, matrix.tolist(), [None] * matrix.shape[1], task, numeric=numeric)


def _shape_matrix(
    labels: object, rows: list[list[object]], columns: list[object], task: Task, *, numeric: bool
) -> tuple[list[object], list[object] | None]:
    """Give the rows of a matrix as the task wants them."""
    if not columns:
        raise DataError("the labels have no column")
    if task == "regression":
        return [*rows], None
    if task == "multi-label" and numeric:
        return [*rows], columns
    if len(columns) == 1:
        _warn_of_column(labels, len(rows))
        return [row[0] for row in rows], None
    named = ", ".join(map(str, columns[:10])) if columns[0] is not None else ""
    if task == "multi-label" and not named:
        return [*rows], None
    what = "a matrix of 0 and 1" if task == "multi-label" else "one label"
    raise DataError(
        f"the labels are a {type(labels).__name__} of {len(rows):,} x {len(columns)}"
        f"{f' ({named})' if named else ''}, and a {task} task wants {what}; give one column, or set"
        " head.task"
    )


def _warn_of_column(labels: object, n_rows: int) -> None:
    """Warn as scikit-learn does, with its own category where the caller has it."""
    known = sys.modules.get("sklearn.exceptions")
    category = UserWarning if known is None else known.DataConversionWarning
    warnings.warn(
        f"the labels are a column of {n_rows:,} x 1 ({type(labels).__name__}), taken as one a row",
        category,
        stacklevel=2,
    )


def _lacks_label(value: object) -> bool:
    items = list_items(value)
    return is_missing(value) if items is None else any(map(is_missing, items))


def _keep_rows(
    values: list[object], gaps: list[bool], missing: Missing, what: str
) -> NDArray[np.int64]:
    """Give the rows that have a label; DataError for the first without, unless it is skipped."""
    empty = np.flatnonzero(gaps)
    if len(empty) and missing == "error":
        row = int(empty[0])
        raise DataError(
            f"the {what} of row {row} is missing ({values[row]!r}), as in {len(empty):,} of"
            f" {len(values):,} rows; label them, or leave them out with missing='skip'"
        )
    return np.flatnonzero(~np.array(gaps, dtype=bool)).astype(np.int64)


def _label_list(value: object) -> list[Label]:
    items = list_items(value)
    if items is None:
        raise ValueError(f"is {value!r}; multi-label wants a list of labels a row")
    return [plain_label(item) for item in items]


def _refuse_ambiguous(values: list[object]) -> None:
    """Refuse lists of 0 and 1 of one length, which may be labels or a matrix."""
    rows = [value for value in values if isinstance(value, list)]
    if len(rows) < len(values) or len({len(row) for row in rows}) != 1 or len(rows[0]) < 2:
        return
    if all(isinstance(item, Real) and item in (0, 1) for row in rows for item in row):
        raise DataError(
            f"the labels are lists of {len(rows[0])} times 0 or 1: give np.array(labels) where they"
            " are an indicator matrix, and tuples or sets where 0 and 1 are the labels"
        )


def _read_indicators(
    values: list[object],
    columns: list[object],
    classes: Classes | None,
    rows: NDArray[np.int64],
    what: str,
) -> tuple[Classes, list[list[Label]]]:
    """Read a matrix of 0 and 1: its classes, and of each row those whose column holds 1."""
    matrix = np.array(values, dtype=np.float64).reshape(len(values), len(columns))
    odd = np.argwhere((matrix != 0) & (matrix != 1))
    if len(odd):
        row, column = odd[0].tolist()
        raise DataError(
            f"the {what} of row {rows[row]} has {matrix[row, column]:g} in column {column}; an"
            " indicator matrix holds 0 and 1"
        )
    names: list[Label]
    if columns[0] is not None:
        names = _read_each(columns, np.arange(len(columns)), "name of the column", plain_label)
        check_one_type(names)
    elif classes is None:
        names = list(range(len(columns)))
    elif len(classes) != len(columns):
        raise DataError(
            f"the {what}s are a matrix of {len(columns)} columns, and there are {len(classes)}"
            " classes"
        )
    else:
        names = classes.tolist()
    sets = [[names[place] for place in np.flatnonzero(row).tolist()] for row in matrix]
    return np.array(sorted(names)), sets


def _check_widths(rows_of_numbers: list[list[float]], rows: NDArray[np.int64], what: str) -> None:
    for row, numbers in zip(rows.tolist(), rows_of_numbers, strict=True):
        if len(numbers) != len(rows_of_numbers[0]):
            raise DataError(
                f"the {what} of row {row} has {len(numbers)} numbers, that of row {rows[0]} has"
                f" {len(rows_of_numbers[0])}"
            )
