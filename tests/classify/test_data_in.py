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
from textkit.errors import UsageError

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
    with pytest.raises(UsageError, match="expected labels, found a dict with the columns"):
        TextClassifier(**SMALL).fit(TEXTS, table)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", TABLES)
def test_an_embedder_takes_a_column_by_name_and_no_table(kind: str) -> None:
    embedder = TextEmbedder(open_static(Vectors(["good", "bad"], np.eye(2, dtype=np.float32))))
    table = TABLES[kind]({"body": TEXTS})
    assert (embedder.encode(table, text="body") == embedder.encode(TEXTS)).all()
    with pytest.raises(UsageError, match=r"with the column body; give one"):
        embedder.encode(table)
