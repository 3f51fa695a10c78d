"""Predictions as a Python call: one a row, in order, while the file is read."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.golden.observations import GOLDEN
from textkit import TextClassifier
from textkit.errors import ArtifactError, DataError
from textkit.jobs import PredictOptions, predict_file, predict_texts
from textkit.watch import Watch

SINGLE, SEVERAL = GOLDEN / "model-2-lstm", GOLDEN / "model-2-multi-label"
NUMBERS = GOLDEN / "model-2-regression"
TEXTS = ["good film", "", "bad walk"]


def test_a_file_is_predicted_in_order_and_nothing_is_printed(capfd: Any) -> None:
    Path("a.csv").write_text("id,review\n1,good film\n2,\n3,bad walk\n", encoding="utf-8")
    notes: list[str] = []
    options = PredictOptions(model=SINGLE, data="a.csv", top=2, chunk_rows=2)
    found = list(predict_file(options, watch=Watch(note=notes.append)))
    model = TextClassifier.load(SINGLE)
    assert [row.labels[0][0] for row in found] == model.predict(TEXTS).tolist()
    for row, probabilities in zip(found, model.predict_proba(TEXTS), strict=True):
        assert [p for _, p in row.labels] == pytest.approx(sorted(probabilities, reverse=True)[:2])
    assert notes == ["a.csv: text = 'review' (guessed; --text-column)"]
    assert capfd.readouterr() == ("", "")


def test_a_folder_is_predicted_a_text_a_file_in_the_order_that_training_reads_it() -> None:
    for name, text in (("pos/2.txt", "good\nfilm\n"), ("neg/1.txt", "bad walk"), ("a.md", "x")):
        Path("films", name).parent.mkdir(parents=True, exist_ok=True)
        Path("films", name).write_text(text, encoding="utf-8")
    notes: list[str] = []
    options = PredictOptions(model=SINGLE, data="films", top=2)
    found = list(predict_file(options, watch=Watch(note=notes.append)))
    assert found == list(
        predict_texts(TextClassifier.load(SINGLE), ["bad walk", "good\nfilm"], top=2)
    )
    assert notes == [
        "films: 1 file beside the folders of texts passed over, the first: a.md",
        "films: 2 texts, a file each",
    ]
    Path("films/neg/1.txt").write_bytes(b"\xff")
    assert len(list(predict_file(replace(options, on_bad="skip")))) == 1
    with pytest.raises(DataError, match=r"^films/neg/1\.txt: not UTF-8"):
        list(predict_file(options))


def test_rows_are_read_as_they_are_predicted() -> None:
    Path("a.csv").write_text("text,n\ngood,1\nbad,2\ntorn\n", encoding="utf-8")
    rows = predict_file(PredictOptions(model=SINGLE, data="a.csv", chunk_rows=1))
    assert len(list(islice(rows, 2))) == 2


def test_labels_above_their_thresholds_unless_top_is_given() -> None:
    model = TextClassifier.load(SEVERAL)
    found = list(predict_texts(model, TEXTS))
    for row, labels in zip(found, model.predict(TEXTS), strict=True):
        assert {label for label, _ in row.labels} == set(labels)
    assert [len(row.labels) for row in predict_texts(model, TEXTS, top=1)] == [1, 1, 1]


def test_numbers_are_values() -> None:
    model = TextClassifier.load(NUMBERS)
    for row, value in zip(predict_texts(model, TEXTS), model.predict(TEXTS).tolist(), strict=True):
        assert row.values == (value,)
        assert row.to_dict() == {"values": [value]} and row.to_text() == f"{value:.6g}"


def test_a_folder_that_is_no_model_is_named() -> None:
    Path("folder").mkdir()
    with pytest.raises(ArtifactError, match=r"^folder: no manifest\.json"):
        next(predict_file(PredictOptions(model=Path("folder"), data="a.csv")))
