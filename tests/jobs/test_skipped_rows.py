"""Rows that cannot be used: they end a training and an evaluation by name, or are written down."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.golden.observations import GOLDEN
from textkit.cli import app
from textkit.data.labels import read_labelled
from textkit.errors import DataError, UsageError
from textkit.jobs import EvaluateOptions, TrainOptions, evaluate_file, train_run
from textkit.watch import Watch

SMALL = ["training.device=cpu", "encoder.name=bag", "embedding.dim=4", "training.epochs=1"]
GOOD = ["good film,pos", "bad film,neg"] * 8
# A row of each kind that cannot be used, with its reason.
BAD = {
    "odd plot": "expected 2 fields, found 1",
    "odd cast,": "the label is empty",
    "odd walk, ": "the label is empty",
}


def write_csv(name: str, rows: list[str], *, header: str = "text,label") -> Path:
    Path(name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return Path(name)


def options(**more: Any) -> TrainOptions:
    given = {"data": Path("train.csv"), "out": Path("run"), "overrides": SMALL, "baseline": False}
    return TrainOptions(**{**given, **more})


def test_what_is_skipped_is_left_out_counted_and_written_down() -> None:
    write_csv("train.csv", [*GOOD[:3], *BAD, *GOOD[3:]])
    write_csv("valid.csv", [*GOOD[:4], *BAD])
    notes: list[str] = []
    report = train_run(
        options(on_bad="skip", valid=Path("valid.csv")), watch=Watch(note=notes.append)
    )
    assert report.n_rows == len(GOOD) + 4
    expected = [
        f"{name}:{first + place}: {reason}"
        for name, first in (("train.csv", 5), ("valid.csv", 6))
        for place, reason in enumerate(BAD.values())
    ]
    written = Path("run/_rejects.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split("; ")[0] for line in written] == expected
    assert any("train.csv: 3 bad rows were left out, the first: train.csv:5:" in n for n in notes)
    write_csv("train.csv", GOOD)
    train_run(options(out=Path("other"), valid=Path("train.csv")))
    assert not Path("other/_rejects.txt").exists()
    weights = [Path(run, "model/config.json").read_bytes() for run in ("run", "other")]
    assert json.loads(weights[0])["labels"] == json.loads(weights[1])["labels"] == ["neg", "pos"]


@pytest.mark.parametrize("row", BAD)
def test_a_bad_row_ends_the_training_by_name(row: str) -> None:
    write_csv("train.csv", [*GOOD, row])
    with pytest.raises(DataError, match=rf"^train\.csv:18: {BAD[row]}"):
        train_run(options())


def test_missing_labels_alone_are_skipped() -> None:
    path = write_csv("a.csv", ["one,x", "two,", "three,y"])
    rows = read_labelled(path, missing="skip")
    assert (rows.texts, rows.labels) == (["one", "three"], ["x", "y"])
    assert rows.rejects == ("a.csv:3: the label is empty",)
    write_csv("a.csv", ["one,x", "two,NaN", "three,y"])
    rows = read_labelled(path, missing="skip")
    assert rows.rejects == ("a.csv:3: the label is 'NaN', a word for a missing value",)
    write_csv("a.csv", ["one,x", "two", "three,"])
    with pytest.raises(DataError, match=r"^a\.csv:3: expected 2 fields"):
        read_labelled(path, missing="skip")


def test_a_word_for_a_missing_value_is_a_label_where_it_is_asked_for() -> None:
    write_csv("train.csv", [*GOOD, "odd plot,nan", "odd cast,nan"])
    with pytest.raises(DataError, match=r"train\.csv:18: the label is 'nan'.*--missing keep takes"):
        train_run(options())
    notes: list[str] = []
    train_run(options(missing="keep"), watch=Watch(note=notes.append))
    config = json.loads(Path("run/model/config.json").read_text(encoding="utf-8"))
    assert config["labels"] == ["nan", "neg", "pos"]
    assert "train.csv: 'nan' is taken for a label in 2 rows" in notes
    # A model that has it as a class reads it so.
    report = evaluate_file(EvaluateOptions(model=Path("run"), data=Path("train.csv")))
    assert report.to_dict()["n_rows"] == len(GOOD) + 2


@pytest.mark.parametrize("cell", ["much", "nan", "inf"])
def test_a_number_that_is_none_is_bad_and_not_missing(cell: str) -> None:
    path = write_csv("a.csv", ["one,1", f"two,{cell}", "three,", "four,2"])
    rows = read_labelled(path, task="regression", on_bad="skip")
    assert rows.labels == [[1.0], [2.0]]
    assert [line.split(": ")[0] for line in rows.rejects] == ["a.csv:3", "a.csv:4"]
    with pytest.raises(DataError, match=r"^a\.csv:3: .*wants a finite number"):
        read_labelled(path, task="regression", missing="skip")


def test_a_file_of_bad_rows_alone_is_refused() -> None:
    path = write_csv("a.csv", ["one,", "two"])
    with pytest.raises(DataError, match=r"no row can be used; the first was left out: a\.csv:2"):
        read_labelled(path, on_bad="skip")


def test_a_streamed_file_skips_nothing() -> None:
    write_csv("train.csv", GOOD)
    for more in ({"on_bad": "skip"}, {"missing": "skip"}):
        with pytest.raises(UsageError, match="--stream skips no rows"):
            train_run(options(stream=True, **more))


@pytest.mark.parametrize(
    ("name", "rows", "bad"),
    [
        ("model-2-lstm", ["good film,pos", "bad film,neg"], "odd,"),
        ("model-2-regression", ["good film,1.5", "bad film,2"], "odd,much"),
        ("model-2-multi-label", ["good film,pos", "bad film,"], "odd"),
    ],
)
def test_an_evaluation_skips_by_the_same_rule(name: str, rows: list[str], bad: str) -> None:
    shutil.copytree(GOLDEN / name, "run/model")
    model = Path("run/model")
    alone = evaluate_file(EvaluateOptions(model=model, data=write_csv("a.csv", rows))).to_dict()
    data = write_csv("test.csv", [rows[0], bad, rows[1]])
    with pytest.raises(DataError, match=r"^test\.csv:3: "):
        evaluate_file(EvaluateOptions(model=model, data=data))
    notes: list[str] = []
    report = evaluate_file(
        EvaluateOptions(model=model, data=data, on_bad="skip"), watch=Watch(note=notes.append)
    )
    assert report.to_dict() == alone | {"measured": {**alone["measured"], "data": "test.csv"}}
    written = Path("run/test.csv.rejects.txt").read_text(encoding="utf-8")
    assert written.startswith("test.csv:3: ") and written.count("\n") == 1
    assert notes[-1] == "left out: run/test.csv.rejects.txt"


def test_predictions_in_a_file_are_compared_with_every_row() -> None:
    Path("other.tsv").write_text("pos\n", encoding="utf-8")
    with pytest.raises(UsageError, match="a file of predictions has a line for each row"):
        evaluate_file(
            EvaluateOptions(
                model=GOLDEN / "model-2-lstm",
                data=write_csv("test.csv", ["good film,pos"]),
                compare=[Path("other.tsv")],
                missing="skip",
            )
        )


def test_the_shell_passes_both_choices_on() -> None:
    shutil.copytree(GOLDEN / "model-2-lstm", "run/model")
    write_csv("test.csv", ["good film,pos", "odd,", "bad film,neg"])
    done = CliRunner().invoke(app, ["evaluate", "run/model", "test.csv", "--json"])
    assert done.exit_code != 0
    done = CliRunner().invoke(
        app, ["evaluate", "run/model", "test.csv", "--json", "--missing", "skip"]
    )
    assert json.loads(done.stdout)["n_rows"] == 2


def test_a_label_that_is_null_is_missing_in_training_and_evaluation() -> None:
    rows = [{"text": text, "label": label} for text, _, label in (r.partition(",") for r in GOOD)]
    lines = [json.dumps(row) for row in [*rows, {"text": "odd", "label": None}]]
    Path("train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"train\.jsonl:{len(lines)}: the label is empty"):
        train_run(options(data=Path("train.jsonl")))
    assert train_run(options(data=Path("train.jsonl"), missing="skip")).n_rows == len(GOOD)
    measured = EvaluateOptions(model=Path("run"), data=Path("train.jsonl"), missing="skip")
    assert evaluate_file(measured).to_dict()["n_rows"] == len(GOOD)


def test_a_file_of_templates_and_columns_of_0_and_1_is_learnt_and_measured() -> None:
    lines = ["title,body,film,plot", *["good,one,1,0", "bad,one,0,1", "odd,two,1,1", ",,0,0"] * 5]
    Path("train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    columns: dict[str, Any] = {"text_column": "{title} {body}", "label_column": "film,plot"}
    train_run(options(overrides=[*SMALL, "head.task=multi-label"], **columns))
    config = json.loads(Path("run/model/config.json").read_text(encoding="utf-8"))
    assert config["labels"] == ["film", "plot"]
    measured = EvaluateOptions(model=Path("run"), data=Path("train.csv"), **columns)
    assert evaluate_file(measured).to_dict()["n_rows"] == 20
