"""An evaluation as a Python call: nothing printed, a report for each task, the shell's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden.observations import GOLDEN
from textkit.errors import UsageError
from textkit.jobs import EvaluateOptions, evaluate_file
from textkit.watch import Progress, Watch

SINGLE, SEVERAL = GOLDEN / "model-2-lstm", GOLDEN / "model-2-multi-label"
NUMBERS = GOLDEN / "model-2-regression"


def write_csv(*rows: str) -> Path:
    Path("test.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return Path("test.csv")


def test_labels_are_measured_compared_and_written(capfd: Any) -> None:
    data = write_csv(*["good film,pos", "bad film,neg"] * 3, "odd,new")
    Path("other.tsv").write_text("pos\n" * 7, encoding="utf-8")
    notes: list[str] = []
    done: list[Progress] = []
    report = evaluate_file(
        EvaluateOptions(
            model=SINGLE, data=data, compare=[Path("other.tsv"), SINGLE], baseline=data
        ),
        watch=Watch(note=notes.append, progress=done.append),
    )
    values = json.loads(json.dumps(report.to_dict()))
    assert set(values["comparisons"]) == {"other.tsv", str(SINGLE), "TF-IDF + LinearSVC"}
    assert values["comparisons"]["other.tsv"]["accuracy"] == pytest.approx(3 / 7)
    assert values["baseline_accuracy"] == 1.0
    assert done[-1] == Progress("evaluating", 7)
    unseen = "test.csv: 1 labels are unknown to the model and count as wrong: new (1 of 7 rows)"
    assert notes[-1] == unseen
    text = report.to_text()
    assert text.startswith("accuracy ") and "\n\nother.tsv: accuracy 0.429\n" in text
    assert report.draw(Path("c.png")) == [Path("c.png"), Path("c-reliability.png")]
    assert Path("c-reliability.png").read_bytes().startswith(b"\x89PNG")
    report.write_html(Path("report.html"))
    page = Path("report.html").read_text(encoding="utf-8")
    assert f"<h1>{SINGLE} on test.csv</h1>" in page and "odd" in page
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("separator", "n_dropped"), [("||", 2), (" || ", 0)])
def test_sets_of_labels_take_a_long_separator(separator: str, n_dropped: int) -> None:
    data = write_csv("good film,pos || art", "bad walk,neg", "good film,pos || art")
    notes: list[str] = []
    report = evaluate_file(
        EvaluateOptions(model=SEVERAL, data=data, label_separator=separator),
        watch=Watch(note=notes.append),
    )
    labels = json.loads(json.dumps(report.to_dict()))["classes"]
    assert {name: row["support"] for name, row in labels.items()} == {"art": 2, "neg": 1, "pos": 2}
    dropped = [note for note in notes if "white space" in note]
    assert (
        dropped
        == [f"test.csv: white space round labels was dropped in {n_dropped} rows"][
            : bool(n_dropped)
        ]
    )
    assert "micro F1" in report.to_text()
    assert [path.name for path in report.draw(Path("l.png"))] == ["l.png", "l-reliability.png"]


def test_numbers_are_measured() -> None:
    report = evaluate_file(EvaluateOptions(model=NUMBERS, data=write_csv("good film,1", "a,0.5")))
    assert report.to_dict()["n_rows"] == 2 and "mean absolute error" in report.to_text()
    assert report.draw(Path("p.png")) == [Path("p.png")] and Path("p.png").exists()
    report.write_html(Path("report.html"))
    assert "R squared" in Path("report.html").read_text(encoding="utf-8")


def test_only_single_labels_are_compared() -> None:
    options = EvaluateOptions(model=NUMBERS, data=write_csv("a,1"), compare=[SINGLE])
    with pytest.raises(UsageError, match="is a regression model; --compare and --baseline are for"):
        evaluate_file(options)
