"""Labels in memory: one rule, whatever library and type they come in; nothing merges in silence."""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import polars
import pyarrow
import pytest
import scipy.sparse

from textkit.data.given_labels import read_labels
from textkit.data.labels import LabelReader
from textkit.data.targets import Task, encode_labels, find_classes, known_codes
from textkit.errors import DataError, TextkitError, UsageError
from textkit.evaluation.regression import evaluate_regression
from textkit.evaluation.task_scores import score


class Side(enum.Enum):
    LEFT = 1


class Grade(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    ONE = "one"


MATRIX = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
SETS = [[0], [1], [0, 1]]


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (["a", "b"], ["a", "b"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array(["a", "b"], dtype=object), ["a", "b"]),
        ([np.int8(3), 4], [3, 4]),
        (np.array([True, False]), [True, False]),
        (np.array([1.5, 2.0], np.float32), [1.5, 2.0]),
        (pyarrow.chunked_array([[1], [2]]), [1, 2]),
        (polars.Series(["a", "b"], dtype=polars.Categorical), ["a", "b"]),
        ((label for label in "ab"), ["a", "b"]),
        (["nan", "None"], ["nan", "None"]),
    ],
)
def test_labels_keep_their_type(given: Any, plain: list[Any]) -> None:
    found = read_labels("single-label", given).labels
    assert found == plain
    assert [type(label) for label in found] == [type(label) for label in plain]
    assert find_classes("single-label", [*found, *found]).tolist() == sorted(plain)


@pytest.mark.parametrize(
    "given",
    [
        [1, "1"],
        ["1", 1],
        [True, 1],
        [0, False],
        [1, 1.0],
        [True, "True"],
        np.array([1, "x"], dtype=object),
        [np.int64(1), np.str_("1")],
    ],
)
@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_labels_of_several_types_never_merge(given: Any, task: Task) -> None:
    labels = given if task == "single-label" else [(label,) for label in given]
    with pytest.raises(DataError, match=r"labels are of several types: \w+ \(.*\), \w+ \("):
        read_labels(task, labels)
    reader = LabelReader("single-label")
    first, second = given
    reader.read(first)
    with pytest.raises(ValueError, match="the first a"):
        reader.read(second)


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (b"a", r"is b'a', a bytes, .*label\.decode\(\)"),
        (bytearray(b"a"), "a bytearray"),
        (date(2020, 1, 2), r"a date, .*str\(label\)"),
        (datetime(2020, 1, 2), "a datetime"),
        (np.datetime64("2020-01-02"), "a datetime64"),
        (Side.LEFT, r"a Side, .*label\.value"),
        (Grade.ONE, r"a Grade, .*label\.value"),
        (Word.ONE, r"a Word, .*label\.value"),
        (Decimal("1.5"), "a Decimal"),
        (2 + 1j, "a complex"),
        (float("inf"), "expected a finite number"),
        (2**63, "beyond the 64 bits"),
        ("a\ud800", "a lone surrogate"),
        ("a\0", "ends in a NUL"),
        ({"a": 1}, "a dict"),
        (object, "a type"),
    ],
)
@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_what_a_folder_cannot_keep_is_refused_with_its_row(
    label: Any, reason: str, task: Task
) -> None:
    rows = ["a", label] if task == "single-label" else [("a",), (label,)]
    with pytest.raises(DataError, match=rf"the label of row 1 .*{reason}"):
        read_labels(task, rows)


@pytest.mark.parametrize("gap", [None, float("nan"), np.nan, np.datetime64("NaT"), "", " \t"])
@pytest.mark.parametrize("task", ["single-label", "multi-label", "regression"])
def test_a_missing_label_is_named_or_left_out(gap: Any, task: Task) -> None:
    whole: dict[str, list[Any]] = {
        "single-label": ["a", "b"],
        "multi-label": [["a"], []],
        "regression": [1, 2],
    }
    for missing in (gap, [gap]) if task != "single-label" else (gap,):
        labels = [whole[task][0], missing, whole[task][1], missing]
        with pytest.raises(DataError, match=r"the label of row 1 is missing .*2 of 4 rows"):
            read_labels(task, labels)
        given = read_labels(task, labels, missing="skip")
        assert given.rows.tolist() == [0, 2]
        assert given.labels == read_labels(task, whole[task]).labels
        assert given.take(["one", "two", "three", "four"]) == ["one", "three"]


def test_missing_values_of_frames_are_missing() -> None:
    columns = [
        polars.Series(["a", None, "b"]),
        pyarrow.array([1, None, 2]),
        np.ma.masked_array([1, 2, 3], mask=[0, 1, 0]),
    ]
    for column in columns:
        with pytest.raises(DataError, match="the label of row 1 is missing"):
            read_labels("single-label", column)


def test_missing_values_of_pandas_are_missing() -> None:
    pandas = pytest.importorskip("pandas")
    for dtype in ("object", "string", "category", "Int64", "boolean"):
        values = [1, None, 0] if dtype in ("Int64", "boolean") else ["1", None, "0"]
        given = read_labels("single-label", pandas.Series(values, dtype=dtype), missing="skip")
        assert given.rows.tolist() == [0, 2], dtype
    with pytest.raises(DataError, match=r"row 0 is Timestamp\(.*a Timestamp"):
        read_labels("single-label", pandas.to_datetime(pandas.Series(["2020-01-01"])))


@pytest.mark.parametrize("make", [np.array, np.asfortranarray, scipy.sparse.csr_array])
@pytest.mark.parametrize("kind", [int, bool, float])
def test_a_matrix_of_0_and_1_is_an_indicator_matrix(make: Callable[[Any], Any], kind: type) -> None:
    given = read_labels("multi-label", make(MATRIX.astype(kind)))
    assert given.labels == SETS
    assert given.classes is not None and given.classes.tolist() == [0, 1, 2]
    targets = encode_labels("multi-label", given.labels, given.classes)
    assert targets.tolist() == MATRIX.tolist()


def test_a_frame_of_indicators_names_its_classes() -> None:
    columns = {"b": [1, 0], "a": [1, 1]}
    for frame in (columns, polars.DataFrame(columns), pyarrow.table(columns)):
        given = read_labels("multi-label", frame)
        assert given.labels == [["b", "a"], ["a"]]
        assert given.classes is not None and given.classes.tolist() == ["a", "b"]


def test_the_columns_of_a_matrix_are_a_models_classes() -> None:
    names = np.array(["a", "b", "c"])
    assert read_labels("multi-label", MATRIX, classes=names).labels[2] == ["a", "b"]
    with pytest.raises(DataError, match="a matrix of 3 columns, and there are 2 classes"):
        read_labels("multi-label", MATRIX, classes=names[:2])


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        ("multi-label", np.array([[1, 2]]), "row 0 has 2 in column 1; an indicator matrix holds"),
        ("multi-label", np.array([[1, np.nan]]), "row 0 is missing"),
        ("multi-label", [[1, 0], [0, 1]], r"lists of 2 times 0 or 1: give np\.array"),
        ("multi-label", ["a"], "row 0 is 'a'; multi-label wants a list"),
        ("multi-label", [b"ab"], "row 0 is b'ab'; multi-label wants a list"),
        ("multi-label", {"body": ["a"], "tags": ["b"]}, r"\(body, tags\).*wants a matrix of 0"),
        ("single-label", MATRIX, "a ndarray of 3 x 3, and a single-label task wants one label"),
        ("single-label", [["a"], ["b"]], r"row 0 is \['a'\], not one label"),
        ("single-label", np.zeros((2, 2, 2)), "3 dimensions"),
        ("single-label", np.zeros((2, 0)), "no column"),
        ("regression", ["1"], "row 0 is '1', a str; expected a number"),
        ("regression", [date(2020, 1, 2)], "a date; expected a number"),
        ("regression", [1e300], "a finite number of 32 bits"),
        ("regression", [10**400], "a finite number of 32 bits"),
        ("regression", [1.0, Decimal("sNaN")], "row 1 is missing"),
        ("single-label", ["a", Decimal("sNaN")], "row 1 is missing"),
        ("multi-label", np.ma.array(MATRIX, mask=np.eye(3, dtype=bool)), "row 0 is missing"),
        ("regression", np.ma.array(np.eye(2), mask=np.eye(2)), "row 0 is missing"),
        ("regression", [[1, 2], [3]], "row 1 has 1 numbers, that of row 0 has 2"),
    ],
)
def test_labels_that_do_not_fit_the_task_are_named(task: Task, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_labels(task, labels)


def test_tuples_and_sets_of_0_and_1_are_labels() -> None:
    assert read_labels("multi-label", [(0, 1), (0, 1)]).labels == [[0, 1], [0, 1]]
    assert read_labels("multi-label", [[1], [0, 1]]).labels == [[1], [0, 1]]
    assert read_labels("multi-label", [{0}, frozenset()]).labels == [[0], []]


@pytest.mark.parametrize("shape", ["array", "frame"])
def test_a_column_vector_is_its_column_and_a_warning(shape: str) -> None:
    column = np.array([["a"], ["b"]]) if shape == "array" else {"topic": ["a", "b"]}
    with pytest.warns(UserWarning, match=r"a column of 2 x 1 \(\w+\), taken as one a row"):
        assert read_labels("single-label", column).labels == ["a", "b"]
    assert read_labels("regression", np.array([[1], [2]])).labels == [[1.0], [2.0]]


def test_numbers_of_several_outputs_are_rows_or_columns() -> None:
    for labels in ([[1, 2.5]], np.array([[1, 2.5]]), {"x": [1], "y": [2.5]}, [(1, Decimal("2.5"))]):
        assert read_labels("regression", labels).labels == [[1.0, 2.5]]


def test_a_policy_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="missing is 'drop', expected"):
        read_labels("single-label", ["a"], missing="drop")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "classes"), [(["0", "1"], [0, 1]), ([0, 1], ["0", "1"]), ([True], ["True"])]
)
def test_labels_of_another_type_are_never_wrong_in_silence(
    labels: list[Any], classes: list[Any]
) -> None:
    with pytest.raises(DataError, match=r"knows none of the labels, as .*its classes are \w+:"):
        known_codes(labels, np.array(classes))
    assert known_codes([1.0, 0.0, 7.0], np.array([0, 1])).tolist() == [1, 0, -1]


@pytest.mark.parametrize("value", [0.1, 3.0, -1e-3])
def test_r_squared_of_a_constant_truth_is_scikit_learns(value: float) -> None:
    """The mean of ten times 0.1 is not 0.1: their spread is not 0 either, but next to it."""
    from sklearn.metrics import r2_score

    truth = np.full((10, 1), value, np.float32)
    for predicted in (truth, truth + 1):
        found = score("regression", predicted, truth)["r2"]
        assert found == r2_score(truth, predicted) == float((predicted == truth).all())
    assert np.isnan(evaluate_regression([value] * 10, [value + 1] * 10).r2)


def test_r_squared_of_several_outputs_is_scikit_learns() -> None:
    from sklearn.metrics import r2_score

    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(size=(2, 20, 3)).astype(np.float32)
    truth[:, 1] *= 100
    found = score("regression", predicted, truth)["r2"]
    np.testing.assert_allclose(found, r2_score(truth, predicted), rtol=1e-5)


def test_texts_and_labels_of_other_lengths_are_refused() -> None:
    with pytest.raises(TextkitError, match="1 texts but 2 labels"):
        read_labels("single-label", ["a", "b"]).take(["one"])
