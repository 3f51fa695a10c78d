"""Predictions of a whole corpus in one file: its columns, its types, stops and starts."""

from __future__ import annotations

import csv
import datetime
import io
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.golden.observations import GOLDEN
from textkit import TextClassifier
from textkit.errors import ArtifactError, DataError, UsageError
from textkit.evaluation.predictions import PredictionFile
from textkit.io import files
from textkit.io.corpus import RowReader
from textkit.jobs import (
    PredictCorpusOptions,
    PredictOptions,
    predict_corpus,
    predict_file,
    stream_predictions,
)
from textkit.jobs.runs import find_model
from textkit.watch import Watch

SINGLE, SEVERAL = GOLDEN / "model-2-lstm", GOLDEN / "model-2-multi-label"
NUMBERS, ENSEMBLE = GOLDEN / "model-2-regression", GOLDEN / "model-2-members"
TEXTS = ["good film", "", 'bad, "walk"\nand\ra tab\t', "สวัสดี 😀", "=1+1"]


@pytest.fixture(scope="module")
def linear(tmp_path_factory: Any) -> Path:
    folder: Path = tmp_path_factory.mktemp("linear") / "model"
    texts, labels = ["good film", "bad film", "good plot", "bad plot"] * 5, [1, 0, 1, 0] * 5
    TextClassifier(encoder="linear", seed=1).fit(texts, labels).save(folder)
    return folder


def write_rows(path: str = "new.csv", texts: list[str] = TEXTS) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "lang", "text"])
        writer.writerows((f"{n:03}", "en" if n % 2 else "", text) for n, text in enumerate(texts))


def predict(model: Path, out: str = "out.csv", **options: Any) -> list[dict[str, Any]]:
    given = {"inputs": ["new.csv"], "out": Path(out), "overwrite": True, **options}
    predict_corpus(PredictCorpusOptions(model=model, **given))
    return read(out)


def read(out: str) -> list[dict[str, Any]]:
    if out.endswith(".parquet"):
        rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
        return rows
    lines = Path(out).read_bytes().decode()
    if out.endswith(".jsonl"):
        return [json.loads(line) for line in lines.splitlines()]
    return list(csv.DictReader(io.StringIO(lines, newline="")))


def listed(names: Any) -> Any:
    return [(name, kind) for name, kind in zip(names.names, map(str, names.types), strict=True)]


def test_each_format_has_the_rows_numbers_columns_texts_and_all_digits() -> None:
    write_rows()
    model = TextClassifier.load(SINGLE)
    probabilities, labels = model.predict_proba(TEXTS), model.predict(TEXTS)
    for out in ("out.csv", "out.parquet", "out.jsonl"):
        rows = predict(SINGLE, out, keep=("lang", "id"), text=True, proba="all")
        assert list(rows[0])[:5] == ["row", "lang", "id", "text", "label"]
        assert [int(row["row"]) for row in rows] == list(range(len(TEXTS)))
        assert [row["id"] for row in rows] == ["000", "001", "002", "003", "004"]
        assert [row["text"] for row in rows] == TEXTS
        assert [row["label"] for row in rows] == labels.tolist()
        for place, name in enumerate(model.classes_):
            column = [float(row[f"probability_{name}"]) for row in rows]
            assert column == probabilities[:, place].tolist()
        assert [float(row["probability"]) for row in rows] == probabilities.max(axis=1).tolist()
    assert not Path("out.csv.parts").exists()


def test_what_is_written_as_tsv_and_csv_is_read_back_by_our_own_reader() -> None:
    write_rows()
    for out in ("out.csv", "out.tsv"):
        predict(SINGLE, out, keep=("id",), text=True)
        rows = list(RowReader(out, keep=("id", "row")))
        assert [row.kept for row in rows] == [(f"00{n}", str(n)) for n in range(5)]
        assert rows[0].text == TEXTS[0]


def test_the_most_probable_labels_stand_in_order() -> None:
    write_rows()
    rows = predict(SINGLE, "out.parquet", proba="top3")
    for row in rows:  # two classes are all there are
        assert row["label_1"] == row["label"] and row["label_2"] != row["label"]
        assert row["probability_1"] + row["probability_2"] == pytest.approx(1)
        assert row["probability_1"] == row["probability"] >= row["probability_2"]
        assert "label_3" not in row


@pytest.mark.parametrize("word", [None, "", "unsure"])
def test_a_row_below_the_threshold_has_no_label_or_the_word(word: str | None) -> None:
    write_rows()
    for out, nothing in (("out.jsonl", None), ("out.csv", "")):
        told: list[int] = []
        rows = predict(SINGLE, out, threshold=0.8, abstain=word)
        for row in rows:
            unsure = float(row["probability"]) < 0.8
            told.append(unsure)
            assert (row["label"] == (word or nothing)) == unsure
        assert 0 < sum(told) < len(told)


def test_several_labels_are_a_list_in_parquet_and_a_cell_in_csv() -> None:
    write_rows()
    model = TextClassifier.load(SEVERAL)
    rows = predict(SEVERAL, "out.parquet")
    assert [set(row["labels"]) for row in rows] == [set(some) for some in model.predict(TEXTS)]
    chances = dict(zip(model.classes_.tolist(), model.predict_proba(TEXTS)[0], strict=True))
    assert rows[0]["probabilities"] == [chances[name] for name in rows[0]["labels"]]
    cells = predict(SEVERAL, "out.csv")
    assert [cell["labels"].split("|") for cell in cells] == [row["labels"] for row in rows]
    some = predict(SEVERAL, "out.jsonl", threshold=1.0, abstain="none")
    assert [(row["labels"], row["probabilities"]) for row in some] == [(["none"], [])] * 5
    every = predict(SEVERAL, "out.jsonl", threshold=0.0)
    assert {len(row["labels"]) for row in every} == {len(model.classes_)}


def test_numbers_of_a_regression_keep_their_digits() -> None:
    write_rows()
    wanted = TextClassifier.load(NUMBERS).predict_logits(TEXTS)[:, 0].tolist()
    for out in ("out.csv", "out.jsonl", "out.parquet"):
        assert [float(row["value"]) for row in predict(NUMBERS, out)] == wanted


def test_an_ensemble_and_a_linear_model_with_whole_numbers_as_labels(linear: Path) -> None:
    write_rows()
    found = predict(ENSEMBLE, "out.jsonl")
    assert [row["label"] for row in found] == TextClassifier.load(ENSEMBLE).predict(TEXTS).tolist()
    rows = predict(linear, "out.parquet", proba="top1")
    assert [row["label"] for row in rows] == TextClassifier.load(linear).predict(TEXTS).tolist()
    types = listed(pq.read_schema("out.parquet"))
    assert types[1] == ("label", "int64") and types[3] == ("label_1", "int64")
    words = predict(linear, "out.parquet", threshold=1.0, abstain="?")
    assert {row["label"] for row in words} == {"?"}


def test_kept_columns_of_parquet_keep_their_types() -> None:
    table = pa.table(
        {
            "text": TEXTS,
            "id": pa.array([2**63, None, 3, 4, 5], pa.uint64()),
            "price": pa.array([Decimal("1.10"), None, None, None, None], pa.decimal128(5, 2)),
            "on": pa.array([datetime.date(2024, 2, 1)] * 5),
            "tags": [["a"], [], None, ["b", "c"], []],
            "kind": pa.array(["x", "y", "x", None, "y"]).dictionary_encode(),
            "small": pa.array([0.1] * 5, pa.float32()),
            "code": pa.array([b"ab", None, b"cd", b"ef", b"gh"], pa.binary(2)),
            "sizes": pa.array([[("s", 1)], None, [], [], []], pa.map_(pa.string(), pa.int8())),
            "names": pa.array([["a"], [], None, [], []], pa.large_list(pa.large_string())),
            "place": pa.array([[1, 2]] * 4 + [None], pa.list_(pa.float32(), 2)),
        }
    )
    pq.write_table(table, "new.parquet")
    keep = tuple(table.column_names[1:])
    predict(SINGLE, "out.parquet", inputs=["new.parquet"], keep=keep, part_rows=2)
    made = pq.read_table("out.parquet")
    for name in keep:
        assert made[name].to_pylist() == table[name].to_pylist()
        wanted = pa.string() if name == "kind" else table.schema.field(name).type
        assert made.schema.field(name).type == wanted or name in ("tags", "names", "place")
    rows = predict(SINGLE, "out.jsonl", inputs=["new.parquet"], keep=keep)
    assert rows[0]["id"] == 2**63 and rows[0]["tags"] == ["a"] and rows[0]["price"] == "1.10"
    cells = predict(SINGLE, "out.csv", inputs=["new.parquet"], keep=keep)
    assert (cells[0]["price"], cells[0]["on"], cells[3]["tags"]) == (
        "1.10",
        "2024-02-01",
        '["b", "c"]',
    )


def test_values_of_json_get_the_type_that_holds_all_of_them() -> None:
    values: list[dict[str, Any]] = [
        {"i": 1, "f": 1, "b": True, "m": 1, "s": "007", "n": None, "o": {"a": 1}, "big": 2**60},
        {"i": None, "f": 2.5, "b": None, "m": "x", "s": "é", "n": None, "o": [], "big": 1},
        {"i": 3, "f": 3, "b": False, "m": 2.0, "s": None, "n": None, "o": None, "big": 2},
    ]
    lines = (json.dumps({"text": "a film", **row}) + "\n" for row in values)
    Path("new.jsonl").write_text("".join(lines), encoding="utf-8")
    keep = tuple(values[0])
    rows = predict(SINGLE, "out.parquet", inputs=["new.jsonl"], keep=keep, part_rows=1)
    kinds = dict(listed(pq.read_schema("out.parquet")))
    assert [kinds[name] for name in keep] == [
        *("int64", "double", "bool", "string", "string", "string", "string", "int64"),
    ]
    assert [row["i"] for row in rows] == [1, None, 3]
    assert [row["m"] for row in rows] == ["1", "x", "2.0"]
    assert [row["s"] for row in rows] == ["007", "é", None]
    assert [row["o"] for row in rows] == ['{"a": 1}', "[]", None]
    assert [row["big"] for row in rows] == [2**60, 1, 2]
    again = predict(SINGLE, "out.jsonl", inputs=["new.jsonl"], keep=keep, part_rows=1)
    assert [{name: row[name] for name in keep} for row in again] == values


@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
def test_a_stopped_job_goes_on_to_the_same_bytes(out: str) -> None:
    write_rows(texts=[f"good film {n}" for n in range(50)])
    options = {"model": SINGLE, "inputs": ["new.csv"], "keep": ("id",), "part_rows": 7}
    predict_corpus(PredictCorpusOptions(**options, out=Path("whole", out)))
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    report = predict_corpus(
        PredictCorpusOptions(**options, out=Path(out)), watch=Watch(should_stop=stop)
    )
    assert report.stopped and not Path(out).exists()
    with pytest.raises(UsageError, match="job that was stopped; go on with --resume"):
        predict_corpus(PredictCorpusOptions(**options, out=Path(out)))
    with pytest.raises(ArtifactError, match=r"threshold was None and is 0\.5 now"):
        predict_corpus(PredictCorpusOptions(**options, out=Path(out), resume=True, threshold=0.5))
    report = predict_corpus(PredictCorpusOptions(**options, out=Path(out), resume=True))
    assert (report.n_ready, report.n_parts, report.whole.n_rows) == (3, 8, 50)
    assert files.sha256(out) == files.sha256(Path("whole", out))
    assert sorted(path.name for path in Path().iterdir()) == sorted(["new.csv", out, "whole"])


@pytest.mark.slow
def test_workers_make_the_same_bytes(linear: Path) -> None:
    write_rows(texts=[f"good film {n}" for n in range(40)])
    predict(linear, "one.csv", part_rows=9)
    predict(linear, "two.csv", part_rows=9, workers=2)
    assert files.sha256("one.csv") == files.sha256("two.csv")


def test_a_network_has_no_workers() -> None:
    write_rows()
    with pytest.raises(UsageError, match="--workers is for linear models"):
        predict(SINGLE, workers=2)


def test_bad_rows_stop_the_work_or_are_written_down_beside_the_file() -> None:
    Path("new.csv").write_bytes(b"id,text\n1,good\n2,bad\xff\n3,a,b\n4,film\n")
    with pytest.raises(DataError, match=r"new\.csv:3"):
        predict(SINGLE)
    assert not Path("out.csv").exists()
    notes: list[str] = []
    given: dict[str, Any] = {"inputs": ["new.csv"], "keep": ("id",), "on_bad": "skip"}
    options = PredictCorpusOptions(model=SINGLE, out=Path("out.csv"), overwrite=True, **given)
    report = predict_corpus(options, watch=Watch(note=notes.append))
    assert report.whole.n_rows == 2 and [row["id"] for row in read("out.csv")] == ["1", "4"]
    assert len(Path("out.csv.rejects.txt").read_text(encoding="utf-8").splitlines()) == 2
    assert "left out: out.csv.rejects.txt" in notes
    write_rows()
    predict(SINGLE)
    assert not Path("out.csv.rejects.txt").exists()


def test_an_empty_file_and_one_with_a_header_alone_give_no_rows() -> None:
    Path("new.txt").touch()
    Path("new.csv").write_text("id,text\n", encoding="utf-8")
    assert predict(SINGLE, inputs=["new.txt"]) == []
    assert predict(SINGLE, "out.parquet", keep=("id",)) == []
    assert Path("out.csv").read_text(encoding="utf-8") == "row,label,probability\n"
    assert listed(pq.read_schema("out.parquet"))[1] == ("id", "string")


def test_finished_files_inputs_and_folders_are_not_written_over() -> None:
    write_rows()
    predict(SINGLE)
    for out, options, message in (
        ("out.csv", {"overwrite": False}, "out.csv is there already"),
        ("new.csv", {}, "new.csv is an input itself"),
        ("folder", {"output": "csv"}, "folder is a folder"),
        ("out.xyz", {}, "its ending tells no format"),
    ):
        Path("folder").mkdir(exist_ok=True)
        with pytest.raises(UsageError, match=message):
            predict(SINGLE, out, **options)
    assert predict(SINGLE, "out.xyz", output="jsonl") and Path("out.xyz").is_file()


def test_what_makes_no_sense_is_refused_in_words() -> None:
    write_rows()
    for model, options, message in (
        (SINGLE, {"proba": "top0"}, "expected all, or top3"),
        (SINGLE, {"proba": "some"}, "expected all, or top3"),
        (SINGLE, {"threshold": 70.0}, "from 0 to 1"),
        (SINGLE, {"abstain": ""}, "--abstain needs --threshold"),
        (SINGLE, {"abstain": "pos", "threshold": 0.5}, "has a label of that name"),
        (SINGLE, {"keep": ("label",)}, "a column 'label' of its own"),
        (SINGLE, {"keep": ("id", "id")}, "--keep id"),
        (SINGLE, {"keep": ("idd",)}, "did you mean 'id'"),
        (NUMBERS, {"threshold": 0.5}, "regression"),
        (NUMBERS, {"proba": "all"}, "regression"),
        (SEVERAL, {"label_separator": "o"}, "holds the separator 'o'"),
        (SINGLE, {"output": "parquet", "spreadsheet_safe": True}, "for csv and tsv"),
    ):
        with pytest.raises((UsageError, DataError), match=message):
            predict(model, **options)  # type: ignore[arg-type]
    Path("lines.txt").write_text("a\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no columns; --keep id needs"):
        predict(SINGLE, inputs=["lines.txt"], keep=("id",))


def test_a_stream_is_the_file_row_for_row() -> None:
    write_rows()
    predict(SINGLE, keep=("id",), part_rows=2)
    sink = io.BytesIO()
    options = PredictCorpusOptions(model=SINGLE, inputs=["new.csv"], keep=("id",))
    stream_predictions(options, sink, n_rows=2)
    assert sink.getvalue() == Path("out.csv").read_bytes()
    with pytest.raises(UsageError, match="--to parquet writes a file"):
        stream_predictions(
            PredictCorpusOptions(model=SINGLE, inputs=["new.csv"], output="parquet"), sink
        )


def test_what_a_spreadsheet_would_run_gets_an_apostrophe_if_asked() -> None:
    Path("new.csv").write_text("id,text\n=cmd,=1+1\n-5,+a\n", encoding="utf-8")
    rows = predict(SINGLE, keep=("id",), text=True, spreadsheet_safe=True)
    assert [(row["id"], row["text"]) for row in rows] == [("'=cmd", "'=1+1"), ("-5", "'+a")]
    assert predict(SINGLE, keep=("id",))[0]["id"] == "=cmd"


def test_a_folder_is_read_as_on_standard_output_a_text_a_file_or_tables_by_rows() -> None:
    for name, text in (("2.txt", "good\nfilm\n"), ("1.txt", "bad walk")):
        Path("mails").mkdir(exist_ok=True)
        Path("mails", name).write_text(text, encoding="utf-8")
    rows = predict(SINGLE, inputs=["mails"], keep=("file",), text=True)
    assert [(row["file"], row["text"]) for row in rows] == [
        ("1.txt", "bad walk"),
        ("2.txt", "good\nfilm"),
    ]
    lines = list(predict_file(PredictOptions(model=SINGLE, data="mails")))
    assert [line.labels[0][0] for line in lines] == [row["label"] for row in rows]
    # Tables are read by their rows, through both doors.
    Path("tables").mkdir()
    write_rows("tables/a.csv")
    write_rows("tables/b.csv", TEXTS[:2])
    assert len(predict(SINGLE, inputs=["tables"], keep=("id",))) == len(TEXTS) + 2
    assert len(list(predict_file(PredictOptions(model=SINGLE, data="tables")))) == len(TEXTS) + 2


def test_a_run_folder_stands_for_its_model() -> None:
    run = Path("runs/x")
    shutil.copytree(SINGLE, run / "model")
    assert find_model(run) == run / "model" and find_model(run / "model") == run / "model"
    assert find_model("nowhere") == Path("nowhere")
    Path("run").mkdir()
    Path("run", "recipe.toml").touch()
    write_rows()
    with pytest.raises(ArtifactError, match=r"^run: the run has no model yet"):
        predict(Path("run"))


@pytest.mark.parametrize("out", ["out.csv", "out.tsv", "out.jsonl"])
def test_a_table_of_predictions_is_one_to_compare_with(out: str) -> None:
    write_rows()
    predict(SINGLE, out, keep=("lang",), proba="all")
    file = PredictionFile(out)
    assert file.take(5) == TextClassifier.load(SINGLE).predict(TEXTS).tolist()
    file.finish()
