"""`textkit evaluate` as a shell sees it: chunks, comparisons, the report, bad input."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit.cli import evaluate as verb
from textkit.cli import measure
from textkit.errors import DataError
from textkit.io import corpus

ROOT = Path(__file__).parents[2]
NOUNS = ["film", "plot", "cast", "song", "book", "meal", "walk", "game", "talk", "room"]
ROWS = [
    (f"{word} {noun}", label)
    for word, label in (("good", "pos x"), ("bad", "neg"))
    for noun in NOUNS
]


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    command = [sys.executable, "-m", "textkit", *arguments]
    return subprocess.run(command, capture_output=True, env=environment, timeout=120)


def fails(code: int, *arguments: str) -> str:
    done = run(*arguments)
    assert done.returncode == code, done.stderr.decode()
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in done.stderr.decode()
    return lines[0]


def write_rows(name: str, rows: list[tuple[str, str]]) -> Path:
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return Path(name)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    from textkit import TextClassifier

    folder = tmp_path_factory.mktemp("run") / "model"
    options: dict[str, Any] = {
        "encoder__dim": 8,
        "embedding__dim": 8,
        "training__device": "cpu",
        "seed": 1,
    }
    texts, labels = zip(*ROWS * 4, strict=True)
    TextClassifier(**options, training__epochs=3).fit(texts, labels).save(folder)
    return str(folder)


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


def test_a_model_is_measured_compared_and_reported(model: str) -> None:
    write_rows("train.csv", ROWS * 3)
    write_rows("test.csv", [*ROWS, ("odd", "new <b>")])
    Path("other.tsv").write_text("pos x\t0.9\n" * 20 + "neg\t0.8\n", encoding="utf-8")
    arguments = [
        "evaluate",
        model,
        "test.csv",
        "--compare",
        "other.tsv",
        "--compare",
        model,
        "--baseline",
        "train.csv",
    ]
    done = run(*arguments, "--json", "--html", "report.html", "--png", "c.png")
    assert done.returncode == 0, done.stderr.decode()
    report = json.loads(done.stdout)
    assert set(report["comparisons"]) == {"other.tsv", model, "TF-IDF + LinearSVC"}
    assert report["comparisons"]["other.tsv"]["accuracy"] == pytest.approx(10 / 21)
    assert report["comparisons"][model]["p_value"] == 1
    assert report["baseline_accuracy"] == pytest.approx(20 / 21)
    assert report["unseen_labels"] == {"new <b>": 1}
    low, high = report["intervals"]["accuracy"]
    assert low <= report["accuracy"] <= high
    assert sum(report["reliability"]["rows"]) == 21
    said = done.stderr.decode()
    assert (
        "test.csv: 1 labels are unknown to the model and count as wrong: new <b> (1 of 21 rows)"
        in said
    )
    assert (
        "picture: c.png" in said
        and "picture: c-reliability.png" in said
        and "report: report.html" in said
    )
    for name in ("c.png", "c-reliability.png"):
        assert Path(name).read_bytes().startswith(b"\x89PNG")
    page = Path("report.html").read_text(encoding="utf-8")
    assert "new &lt;b&gt; (1)" in page and "odd" in page and "new <b>" not in page


def test_pictures_go_beside_the_model_and_the_text_says_it_all(model: str) -> None:
    write_rows("test.csv", ROWS)
    done = run("evaluate", model, "test.csv", "--compare", model)
    text = done.stdout.decode()
    for word in (
        "accuracy",
        "macro F1",
        "weighted F1",
        "ROC-AUC",
        "log loss",
        "Brier score",
        "calibration error",
        "95 %",
    ):
        assert word in text
    assert f"{model}: accuracy" in text and "McNemar's p 1.000" in text
    for name in ("confusion.png", "reliability.png"):
        assert (Path(model).parent / name).exists()


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
    text = verb.render_numbers({"value": result})
    assert "mean absolute error              1   95 %: 1 to 1" in text
    path = write_rows("words.csv", [("1", "2"), ("3", "good")])
    with pytest.raises(
        DataError,
        match=r"words\.csv:3: the label 'good' is no number, and the model predicts numbers",
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
    text = verb.render_label_sets(result)
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


def test_failures_are_one_line(model: str) -> None:
    write_rows("test.csv", ROWS)
    Path("short.tsv").write_text("neg\n", encoding="utf-8")
    assert "unknown column 'labels'; did you mean 'label'" in fails(
        3, "evaluate", model, "test.csv", "--label-column", "labels"
    )
    assert "short.tsv: has 1 predictions, fewer than the test file has rows" in fails(
        3, "evaluate", model, "test.csv", "--compare", "short.tsv"
    )


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
