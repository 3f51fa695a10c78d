"""Work on workbooks: a sheet is one input, and another sheet of the same file is another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from tests.shell import run_textkit
from textkit import TextClassifier, tokenizers
from textkit.data.check import check_files
from textkit.data.token_shards import TokenShards
from textkit.errors import ArtifactError, UsageError
from textkit.io.text_folders import hash_data
from textkit.jobs import (
    DedupOptions,
    PredictCorpusOptions,
    SplitOptions,
    TokenizeOptions,
    dedup_file,
    predict_corpus,
    split_file,
    tokenize_corpus,
)
from textkit.jobs.explain import split_source

ROWS = [(n, f"the {'cat' if n % 2 else 'bank'} number {n}", "ab"[n % 2]) for n in range(20)]


@pytest.fixture(autouse=True)
def book() -> None:
    workbook = Workbook()
    for title in ("May", "June"):
        sheet = workbook.create_sheet(title)
        for row in (("id", "text", "label"), *ROWS):
            sheet.append(row)
    workbook.save("book.xlsx")


def rows_of(path: Path) -> list[tuple[object, ...]]:
    return list(load_workbook(path).active.iter_rows(min_row=2, values_only=True))


def test_a_hash_is_of_the_file_and_the_sheet() -> None:
    hashes = {hash_data(Path(name)) for name in ("book.xlsx", "book.xlsx#May", "book.xlsx#June")}
    assert len(hashes) == 3
    assert hash_data(Path("book.xlsx#May")) in hashes


def test_a_sheet_is_split_and_cleared_of_repeats_into_workbooks() -> None:
    made = split_file(SplitOptions(data=Path("book.xlsx#June"), out=Path("o"), share=0.5))
    assert [str(path) for path, _ in made] == ["o/train.xlsx", "o/test.xlsx"]
    assert sorted(rows_of(made[0][0]) + rows_of(made[1][0])) == ROWS
    assert load_workbook("o/test.xlsx").sheetnames == ["June"]
    options = DedupOptions(data=Path("book.xlsx"), out=Path("clean.xlsx"), against=made[0][0])
    report = dedup_file(options)
    assert (report.n_rows, report.n_kept) == (20, 10)
    assert sorted(rows_of(Path("clean.xlsx"))) == sorted(rows_of(made[1][0]))
    said = Path("clean.xlsx.removed.csv").read_text(encoding="utf-8")
    assert "o/train.xlsx" in said
    with pytest.raises(UsageError, match=r"book\.xlsx is an input itself"):
        dedup_file(DedupOptions(data=Path("book.xlsx#May"), out=Path("book.xlsx"), overwrite=True))
    with pytest.raises(UsageError, match=r"choose a name that ends as it does, in \.xlsx$"):
        dedup_file(DedupOptions(data=Path("book.xlsx#May"), out=Path("book.csv")))


def test_a_check_says_file_sheet_and_row() -> None:
    report = check_files("book.xlsx#May", "book.xlsx#June")
    found = {finding.check: finding for finding in report.findings}
    example = found["leakage"].examples[0]
    assert (example.where, example.other) == ("book.xlsx#June:2", "book.xlsx#May:2")
    assert example.text == ROWS[0][1]


def test_a_job_goes_on_with_the_same_sheet_alone() -> None:
    options = {"tokenizer": "word", "out": Path("o"), "part_rows": 8}
    report = tokenize_corpus(TokenizeOptions(inputs=["book.xlsx#May"], **options))
    assert (report.n_rows, report.n_parts) == (20, 3)
    Path("o/_manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"were book\.xlsx#May and are book\.xlsx#June now"):
        tokenize_corpus(TokenizeOptions(inputs=["book.xlsx#June"], resume=True, **options))
    tokenize_corpus(TokenizeOptions(inputs=["book.xlsx#May"], resume=True, **options))
    job = json.loads(Path("o/_job.json").read_text(encoding="utf-8"))
    assert job["inputs"][0]["name"] == "book.xlsx#May"


def test_predictions_keep_the_cells_of_a_row() -> None:
    texts, labels = [text for _, text, _ in ROWS], [label for *_, label in ROWS]
    model = TextClassifier(encoder="linear").fit(texts, labels)
    options = {"model": model, "inputs": ["book.xlsx#May"], "keep": ["id"]}
    report = predict_corpus(PredictCorpusOptions(out=Path("out.jsonl"), **options))
    assert report.n_rows == 20
    first = json.loads(Path("out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert (first["row"], first["id"], first["label"]) == (0, "0", "a")
    with pytest.raises(UsageError, match="is an input itself"):
        predict_corpus(PredictCorpusOptions(out=Path("book.xlsx"), output="csv", **options))


def test_shards_are_of_a_sheet() -> None:
    words = tokenizers.train("word", [text for _, text, _ in ROWS])
    for name in ("book.xlsx#May", "book.xlsx#June", "book.xlsx#May"):
        shards = TokenShards.build(name, words, cache="cache")
        assert len(shards) == 20
    assert shards.from_cache
    assert len([path for path in Path("cache").iterdir() if path.is_dir()]) == 2


def test_a_sheet_is_a_file_and_no_text_to_explain() -> None:
    assert split_source("book.xlsx#May") == {"data": "book.xlsx#May"}
    assert split_source("what #May says") == {"text": "what #May says"}


@pytest.mark.slow
def test_a_workbook_is_trained_and_predicted_by_the_shell() -> None:
    def run(*arguments: str) -> str:
        done = run_textkit(*arguments)
        assert done.returncode == 0, done.stderr
        return (done.stdout + done.stderr).decode()

    said = run("train", "book.xlsx", "-e", "linear", "-o", "run")
    assert "book.xlsx: sheet 'May' is read, the first of 2; name another as" in said
    assert "accuracy" in run("evaluate", "run", "book.xlsx#june")
    run("predict", "run", "book.xlsx#June", "-o", "out.csv", "--keep", "id")
    assert len(Path("out.csv").read_text(encoding="utf-8").splitlines()) == 21
    done = run_textkit("train", "book.xlsx#June", "-o", "run", "--resume")
    assert done.returncode == 3
    assert "file has changed since the run began (it was book.xlsx)" in done.stderr.decode()
