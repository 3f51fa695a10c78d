"""`textkit evaluate` as a shell sees it: comparisons, the report, bad input."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.shell import run_textkit

NOUNS = ["film", "plot", "cast", "song", "book", "meal", "walk", "game", "talk", "room"]
ROWS = [
    (f"{word} {noun}", label)
    for word, label in (("good", "pos x"), ("bad", "neg"))
    for noun in NOUNS
]


def fails(code: int, *arguments: str) -> str:
    done = run_textkit(*arguments)
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


@pytest.mark.slow
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
    done = run_textkit(*arguments, "--json", "--html", "report.html", "--png", "c.png")
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


@pytest.mark.slow
def test_pictures_go_beside_the_model_and_the_text_says_it_all(model: str) -> None:
    write_rows("test.csv", ROWS)
    done = run_textkit("evaluate", model, "test.csv", "--compare", model)
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


@pytest.mark.slow
def test_failures_are_one_line(model: str) -> None:
    write_rows("test.csv", ROWS)
    Path("short.tsv").write_text("neg\n", encoding="utf-8")
    assert "unknown column 'labels'; did you mean 'label'" in fails(
        3, "evaluate", model, "test.csv", "--label-column", "labels"
    )
    assert "short.tsv: has 1 predictions, fewer than the test file has rows" in fails(
        3, "evaluate", model, "test.csv", "--compare", "short.tsv"
    )
