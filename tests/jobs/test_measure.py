"""Measuring a classifier on the rows of a file: chunks, every task, rivals, bad input."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit.errors import DataError
from textkit.evaluation.text import render_label_sets, render_numbers
from textkit.io import corpus
from textkit.jobs import measure


def write_rows(name: str, rows: list[tuple[str, str]]) -> Path:
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return Path(name)


class Fake:
    """A classifier whose probabilities follow from the text, `P text`.

    It remembers the size of its chunks.
    """

    task_ = "single-label"

    def __init__(self, *classes: str) -> None:
        self.classes_ = np.array(classes)
        self.chunks: list[int] = []

    def predict_proba(self, texts: list[str]) -> Any:
        self.chunks.append(len(texts))
        first = np.array([float(text.split()[0]) for text in texts])
        return np.column_stack([first, 1 - first])


class FakeNumbers:
    task_ = "regression"
    classes_ = np.array(["value"])

    def predict(self, texts: list[str]) -> Any:
        return np.array([float(text) + 1 for text in texts])


def test_the_file_is_read_and_predicted_in_chunks() -> None:
    rows = [(f"{(i % 90 + 5) / 100} text", "ab"[i % 3 == 0]) for i in range(2500)]
    fake, other = Fake("a", "b"), Fake("b", "a")
    rival = measure.Rival(
        "other",
        lambda texts: other.classes_[other.predict_proba(list(texts)).argmax(axis=1)].tolist(),
    )
    reader = corpus.RowReader(write_rows("test.csv", rows), labelled=True)
    stream, comparisons = measure.measure_labels(fake, reader, [rival], n_mistakes=5)
    assert fake.chunks == other.chunks == [1024, 1024, 452]
    right = [(label == "a") == (float(text.split()[0]) >= 0.5) for text, label in rows]
    assert stream.result().accuracy == pytest.approx(np.mean(right))
    assert comparisons["other"].n_rows == 2500
    assert comparisons["other"].both == 0
    assert stream.mistakes()[0].probability == pytest.approx(0.94)


def test_numbers_are_measured_as_numbers() -> None:
    path = write_rows("test.csv", [(str(i), str(i * 1.0)) for i in range(1500)])
    streams = measure.measure_numbers(
        FakeNumbers(), corpus.RowReader(path, labelled=True), n_mistakes=2
    )
    result = streams["value"].result()
    assert (result.n_rows, result.mae, result.spearman) == (1500, 1.0, pytest.approx(1.0))
    assert [mistake.row for mistake in streams["value"].mistakes()] == [1, 2]
    text = render_numbers({"value": result})
    assert "mean absolute error              1   95 %: 1 to 1" in text
    path = write_rows("words.csv", [("1", "2"), ("3", "good")])
    with pytest.raises(
        DataError,
        match=r"words\.csv:3: the label is 'good'; regression wants a finite number",
    ):
        measure.measure_numbers(FakeNumbers(), corpus.RowReader(path, labelled=True), n_mistakes=2)


class FakeSets(Fake):
    """Both labels get their probability; those above one half are predicted."""

    task_ = "multi-label"
    thresholds_ = np.array([0.5, 0.5])


def test_sets_of_labels_are_measured_as_sets() -> None:
    rows = [("0.9 x", "a"), ("0.2 y", "a|b"), ("0.3 z", ""), ("0.1 v", "b|new")] * 400
    reader = corpus.RowReader(write_rows("test.csv", rows), labelled=True)
    stream = measure.measure_label_sets(FakeSets("a", "b"), reader, separator="|", n_mistakes=2)
    result = stream.result()
    assert result.support.tolist() == [800, 800, 400]
    assert result.hits.tolist() == [400, 800, 0]
    assert result.guessed.tolist() == [400, 1200, 0]
    assert result.unseen == {"new": 400}
    assert result.subset_accuracy == 0.25
    assert result.bins is not None and result.bins.rows.sum() == 2 * 1600
    assert [(mistake.row, mistake.missed) for mistake in stream.mistakes()] == [
        (2, {"a": 0.2}),
        (6, {"a": 0.2}),
    ]
    text = render_label_sets(result)
    assert "micro F1" in text and "new" in text and "1,600" in text
    Path("test.jsonl").write_text('{"text": "0.9 x", "label": ["a", "b"]}\n', encoding="utf-8")
    reader = corpus.RowReader("test.jsonl", labelled=True)
    stream = measure.measure_label_sets(FakeSets("a", "b"), reader, separator="|", n_mistakes=2)
    assert stream.result().hits.tolist() == [1, 0]
    reader = corpus.RowReader(write_rows("other.csv", [("0.1 x", "c|d")]), labelled=True)
    with pytest.raises(
        DataError, match=r"^other\.csv: the model knows none of the labels, as 'c'; it knows a, b;"
    ):
        measure.measure_label_sets(FakeSets("a", "b"), reader, separator="|", n_mistakes=2)
    with pytest.raises(
        DataError, match=r"^test\.jsonl:1: the row has several labels, and the model gives one"
    ):
        measure.measure_labels(
            Fake("a", "b"), corpus.RowReader("test.jsonl", labelled=True), [], n_mistakes=1
        )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "test.csv:1: no rows after the header; expected texts and labels"),
        ([("0.5 x", "a"), ("0.5 y", "")], "test.csv:3: the label is empty"),
        (
            [("0.5 x", "u"), ("0.5 y", "v")],
            "test.csv: the model knows none of the labels, as 'u'; it knows a, b; is 'label' the"
            " right column?",
        ),
    ],
)
def test_bad_test_files_are_refused(rows: list[tuple[str, str]], message: str) -> None:
    reader = corpus.RowReader(write_rows("test.csv", rows), labelled=True)
    with pytest.raises(DataError) as caught:
        measure.measure_labels(Fake("a", "b"), reader, [], n_mistakes=5)
    assert str(caught.value).startswith(message)


def test_an_empty_file_is_refused() -> None:
    Path("empty.csv").touch()
    with pytest.raises(DataError, match=r"^empty\.csv: file is empty"):
        measure.measure_labels(
            Fake("a", "b"), corpus.RowReader("empty.csv", labelled=True), [], n_mistakes=5
        )


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ("neg\npos x\n", ["neg", "pos x"]),
        ("neg\t0.9\tpos x\t0.1\r\npos x\t1\n", ["neg", "pos x"]),
        (
            '{"labels": [{"label": "neg", "probability": 1}]}\n{"labels": [{"label": 3}, {"label":'
            " 1}]}\n",
            ["neg", "3"],
        ),
    ],
)
def test_predictions_are_read_as_predict_writes_them(content: str, labels: list[str]) -> None:
    Path("p").write_text(content, encoding="utf-8")
    rival = measure.open_rival(Path("p"))
    assert [*rival.predict(["x"]), *rival.predict(["y"])] == labels
    rival.finish()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\nb\nc\n", "^p: has more than 2 predictions"),
        ('{"labels": []}\n', "^p:1: not a line of `textkit predict --json`"),
        ('a\n{"oops\n', "^p:2: not a line of `textkit predict --json`"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(content: str, message: str) -> None:
    Path("p").write_text(content, encoding="utf-8")
    rival = measure.open_rival(Path("p"))
    with pytest.raises(DataError, match=message):
        rival.predict(["x", "y"])
        rival.finish()
