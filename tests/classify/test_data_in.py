"""Texts and labels of any library: one adapter for every method of a classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow
import pytest

from tests.io.test_tables import COLUMNS, TABLES
from textkit import TextClassifier, TextEmbedder, Vectors
from textkit.embedders.static import open_static
from textkit.errors import DataError, UsageError
from textkit.watch import Watch

TEXTS = ["good film", "fine plot", "bad film", "poor plot"] * 4
LABELS = ["pos", "pos", "neg", "neg"] * 4
SMALL: dict[str, Any] = {
    "encoder": "bag",
    "embedding__dim": 4,
    "training": {"epochs": 1, "device": "cpu", "calibrate": False},
    "seed": 1,
}
PAIRED = {"pandas": lambda rows: pytest.importorskip("pandas").Series(rows)}


@pytest.fixture(scope="module")
def model() -> TextClassifier:
    return TextClassifier(**SMALL).fit(TEXTS, LABELS)


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_fitted_predicted_and_scored_by_the_names_of_its_columns(
    kind: str, model: TextClassifier
) -> None:
    table = TABLES[kind]({"body": TEXTS, "topic": LABELS})
    fitted = TextClassifier(**SMALL).fit(table, text="body", label="topic")
    assert (fitted.predict_logits(TEXTS) == model.predict_logits(TEXTS)).all()
    assert fitted.score(table, text="body", label="topic") == model.score(TEXTS, LABELS)
    assert (fitted.predict(table, text="body") == model.predict(TEXTS)).all()
    assert (fitted.predict_proba(table, text="body") == model.predict_proba(TEXTS)).all()
    assert (fitted.encode(table, text="body").ids == model.encode(TEXTS).ids).all()


@pytest.mark.parametrize("kind", sorted({*COLUMNS, *PAIRED}))
def test_columns_of_any_library_are_fitted(kind: str, model: TextClassifier) -> None:
    make = {**COLUMNS, **PAIRED}[kind]
    fitted = TextClassifier(**SMALL).fit(make(TEXTS), make(LABELS))
    assert (fitted.predict_logits(make(TEXTS)) == model.predict_logits(TEXTS)).all()


def test_validation_is_a_table_too() -> None:
    table = {"body": TEXTS, "topic": LABELS}
    fitted = TextClassifier(**SMALL).fit(table, text="body", label="topic", validation=table)
    assert fitted.n_rows_ == 2 * len(TEXTS)


@pytest.mark.parametrize("columns", [["body"], ["body", "topic"]])
@pytest.mark.parametrize(
    "use",
    [
        lambda model, table: model.predict(table),
        lambda model, table: model.predict_proba(table),
        lambda model, table: model.predict_logits(table),
        lambda model, table: model.score(table, LABELS),
        lambda model, table: TextClassifier(**SMALL).fit(table, LABELS),
        lambda model, table: TextClassifier(**SMALL).fit(TEXTS, LABELS, validation=(table, LABELS)),
        lambda model, table: model.encode(table),
    ],
)
def test_a_table_without_the_name_of_its_column_is_refused(
    model: TextClassifier, use: Callable[[Any, Any], object], columns: list[str]
) -> None:
    table = pyarrow.table(dict.fromkeys(columns, TEXTS))
    with pytest.raises(UsageError, match=r"a Table with the columns? body.*give one of them"):
        use(model, table)


def test_labels_are_given_once() -> None:
    table = {"body": TEXTS, "topic": LABELS}
    for labels, label in ((None, None), (LABELS, "topic")):
        with pytest.raises(UsageError, match="give the labels"):
            TextClassifier(**SMALL).fit(table, labels, text="body", label=label)
    with pytest.raises(DataError, match=r"a dict of 16 x 2 \(body, topic\), and a single-label"):
        TextClassifier(**SMALL).fit(TEXTS, table)


@pytest.mark.parametrize("kind", TABLES)
def test_an_embedder_takes_a_column_by_name_and_no_table(kind: str) -> None:
    embedder = TextEmbedder(open_static(Vectors(["good", "bad"], np.eye(2, dtype=np.float32))))
    table = TABLES[kind]({"body": TEXTS})
    assert (embedder.encode(table, text="body") == embedder.encode(TEXTS)).all()
    with pytest.raises(UsageError, match=r"with the column body; give one"):
        embedder.encode(table)


@pytest.mark.parametrize("labels", [[3, -1], [True, False], ["b", "a"], [0.5, 2.0]])
def test_classes_keep_their_type_in_a_folder(labels: list[Any]) -> None:
    fitted = TextClassifier(**SMALL).fit(TEXTS, labels * 8)
    fitted.save("model")
    loaded = TextClassifier.load("model")
    assert loaded.classes_.dtype == fitted.classes_.dtype
    assert loaded.classes_.tolist() == sorted(labels)
    assert {type(label) for label in loaded.predict(TEXTS).tolist()} <= {type(labels[0])}
    assert loaded.score(TEXTS, labels * 8) == fitted.score(TEXTS, labels * 8)


@pytest.mark.parametrize(("fitted_on", "scored_on"), [([1, 0], ["1", "0"]), (["a", "b"], [1, 0])])
def test_a_score_by_labels_of_another_type_is_refused(
    fitted_on: list[Any], scored_on: list[Any]
) -> None:
    fitted = TextClassifier(**SMALL).fit(TEXTS, fitted_on * 8)
    with pytest.raises(DataError, match="the model knows none of the labels"):
        fitted.score(TEXTS, scored_on * 8)
    with pytest.raises(DataError, match="no rows to score"):
        fitted.score([], [])


def test_rows_without_a_label_are_named_or_left_out() -> None:
    gaps = [None if row in (2, 5) else label for row, label in enumerate(LABELS)]
    with pytest.raises(DataError, match=r"row 2 is missing \(None\), as in 2 of 16 rows"):
        TextClassifier(**SMALL).fit(TEXTS, gaps)
    notes: list[str] = []
    fitted = TextClassifier(**SMALL).fit(
        TEXTS, gaps, missing="skip", watch=Watch(note=notes.append)
    )
    assert "2 of 16 rows have no label and are left out" in notes
    assert fitted.n_rows_ == 14
    kept = [row for row in range(16) if row not in (2, 5)]
    alone = TextClassifier(**SMALL).fit([TEXTS[row] for row in kept], [LABELS[row] for row in kept])
    assert (alone.predict_logits(TEXTS) == fitted.predict_logits(TEXTS)).all()
    with pytest.raises(DataError, match="row 2 is missing"):
        fitted.score(TEXTS, gaps)
    assert fitted.score(TEXTS, gaps, missing="skip") == fitted.score(
        [TEXTS[row] for row in kept], [LABELS[row] for row in kept]
    )


def test_an_indicator_matrix_is_fitted_and_scored() -> None:
    matrix = np.array([[1, 0, 1], [0, 1, 0]] * 8)
    options = {**SMALL, "head__task": "multi-label"}
    fitted = TextClassifier(**options).fit(TEXTS, matrix)
    assert fitted.classes_.tolist() == [0, 1, 2]
    sets = [tuple(np.flatnonzero(row).tolist()) for row in matrix]
    assert (
        fitted.predict_logits(TEXTS)
        == TextClassifier(**options).fit(TEXTS, sets).predict_logits(TEXTS)
    ).all()
    assert fitted.score(TEXTS, matrix) == fitted.score(TEXTS, sets)
    table = {"body": TEXTS, "x": matrix[:, 0], "y": matrix[:, 1]}
    named = TextClassifier(**options).fit(table, text="body", label=["x", "y"])
    assert named.classes_.tolist() == ["x", "y"]


def test_bytes_are_refused_before_a_training() -> None:
    steps: list[object] = []
    with pytest.raises(DataError, match=r"row 0 is b'p', a bytes, which a model folder cannot"):
        TextClassifier(**SMALL).fit(TEXTS, [b"p", b"n"] * 8, watch=Watch(step=steps.append))
    assert not steps
