"""Removing rows that repeat others: what goes, for which row, and what stays byte for byte."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from benchmarks.dedup import jaccard, plant_pairs
from tests.io import sheets
from textkit.data.check import check_files
from textkit.errors import DataError, StorageError, UsageError
from textkit.jobs import DedupOptions, DedupReport, dedup_file
from textkit.watch import Watch

LONG = "the quick brown fox jumps over the lazy dog and runs through the deep dark wood at night"
NEAR = LONG.replace("lazy", "sleepy")  # 15 of 19 pairs: .79


def write(rows: list[str], name: str = "all.csv", header: str = "text,label") -> Path:
    Path(name).write_bytes(("\n".join([header, *rows]) + "\n").encode())
    return Path(name)


def dedup(**options: Any) -> DedupReport:
    given = {"data": Path("all.csv"), "out": Path("clean.csv"), **options}
    return dedup_file(DedupOptions(**given))


def removed(name: str = "clean.csv.removed.csv") -> list[dict[str, str]]:
    with Path(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_goes_names_the_row_that_stays() -> None:
    rows = ["Good film,pos", '"bad,\nfilm",neg', "good film!,neg", "Good film,pos", ",pos", ",neg"]
    write(rows)
    report = dedup()
    assert (report.n_rows, report.n_kept, report.n_conflicts) == (6, 4, 1)
    assert report.removed == {"exact": 1, "normalised": 1, "near": 0}
    kept = Path("clean.csv").read_text(encoding="utf-8")
    assert kept == 'text,label\nGood film,pos\n"bad,\nfilm",neg\n,pos\n,neg\n'
    found = [(r["row"], r["line"], r["level"], r["kept_row"], r["kept_line"]) for r in removed()]
    assert found == [("2", "5", "normalised", "0", "2"), ("3", "6", "exact", "0", "2")]
    assert [r["kept_file"] for r in removed()] == ["all.csv"] * 2
    assert (removed()[0]["label"], removed()[0]["kept_label"]) == ("neg", "pos")
    assert removed()[0]["text"] == "good film!"


def test_near_rows_are_measured_and_go_for_a_row_that_stays() -> None:
    write([f"{LONG},x", f"{NEAR},x", f"{LONG.upper()} again,x", f"{NEAR}!,x"])
    at = jaccard(LONG.split(), NEAR.split())
    report = dedup(likeness=at)
    assert report.n_kept == 1
    found = [(r["row"], r["level"], r["kept_row"], float(r["likeness"])) for r in removed()]
    assert found == [
        ("1", "near", "0", pytest.approx(at, abs=1e-4)),
        ("2", "near", "0", pytest.approx(17 / 18, abs=1e-4)),
        ("3", "near", "0", pytest.approx(at, abs=1e-4)),  # whose own first row went
    ]
    assert dedup(likeness=at + 0.01, overwrite=True).removed["near"] == 1


def test_planted_pairs_are_found_and_bystanders_stay() -> None:
    texts, n_planted = plant_pairs(300, 0.8)
    write(texts, header="text")
    report = dedup()
    share = report.removed["near"] / n_planted
    print(f"planted at .8: {n_planted}, found {share:.4f}")
    assert share >= 0.99 and report.n_rows - report.n_kept <= n_planted
    for row in removed():
        assert float(row["likeness"]) >= 0.8
    check = check_files("all.csv", labelled=False)
    assert [f.n for f in check.findings if f.check == "near-duplicates"] == [report.removed["near"]]


def test_levels_and_a_second_file_whose_rows_stay() -> None:
    write([f"{LONG},x", "one,x", "One!,x", "one,x", "two,x"])
    assert dedup(level="exact").removed == {"exact": 1, "normalised": 0, "near": 0}
    assert dedup(level="normalised", overwrite=True).n_kept == 3
    write(["two,x", f"{LONG} again,y", "two,x"], "test.csv")
    report = dedup(against=Path("test.csv"), overwrite=True)
    assert Path("clean.csv").read_text(encoding="utf-8") == "text,label\none,x\n"
    assert {(r["row"], r["kept_file"], r["kept_row"]) for r in removed()} == {
        ("0", "test.csv", "1"),
        ("2", "all.csv", "1"),
        ("3", "all.csv", "1"),
        ("4", "test.csv", "0"),
    }
    assert report.n_conflicts == 1


def test_files_without_labels_and_of_other_formats() -> None:
    Path("a.txt").write_text("one\ntwo\none\n", encoding="utf-8")
    notes: list[str] = []
    options = DedupOptions(data=Path("a.txt"), out=Path("b.txt"))
    dedup_file(options, watch=Watch(note=notes.append))
    assert Path("b.txt").read_text(encoding="utf-8") == "one\ntwo\n"
    assert any(line.startswith("labels are not looked at") for line in notes)
    lines = [{"text": "one", "label": None, "id": 1}, {"text": "one", "label": "x", "id": 2}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    Path("a.jsonl").write_text(text, encoding="utf-8")
    dedup_file(DedupOptions(data=Path("a.jsonl"), out=Path("b.jsonl")))
    assert Path("b.jsonl").read_text(encoding="utf-8") == text.splitlines(keepends=True)[0]


def test_nothing_to_remove_leaves_no_report_and_files_are_not_written_over() -> None:
    write(["one,x", "two,y"])
    report = dedup()
    assert report.report is None and not Path("clean.csv.removed.csv").exists()
    assert Path("clean.csv").read_bytes() == Path("all.csv").read_bytes()
    for options, message in (
        ({}, "clean.csv is there already"),
        ({"out": Path("all.csv"), "overwrite": True}, "all.csv is an input itself"),
        ({"level": "nearly"}, "did you mean 'near'"),
        ({"likeness": 1.5}, "expected more than 0"),
    ):
        with pytest.raises(UsageError, match=message):
            dedup(**options)
    Path("all.csv").write_bytes(b"text,label\n\xff,x\n")
    with pytest.raises(DataError, match=r"all\.csv:2"):
        dedup(overwrite=True)


@pytest.mark.parametrize("out", ["b.jsonl", "b.parquet", "b.csv.gz"])
def test_a_name_of_another_format_is_refused(out: str) -> None:
    Path("a.csv").write_text("text,label\na,x\na,x\n", encoding="utf-8")
    with pytest.raises(UsageError, match=f"^-o {out}: rows stay byte for byte"):
        dedup_file(DedupOptions(data=Path("a.csv"), out=Path(out)))
    assert not Path(out).exists()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.xlsx"])
def test_a_file_never_lies_there_without_the_report_of_what_went(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop at any renaming leaves the old pair, or the report first."""
    out = f"out{name[1:]}"
    write_repeats(name)
    dedup_file(DedupOptions(data=Path(name), out=Path(out)))
    old = {path: path.read_bytes() for path in Path().glob("out.*")}
    write_repeats(name, more=2)
    renamed: list[str] = []

    def stop(self: Path, target: Path) -> Path:
        renamed.append(target.name)
        raise OSError(5, "stopped")

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(StorageError, match="stopped"):
        dedup_file(DedupOptions(data=Path(name), out=Path(out), overwrite=True))
    assert renamed == [f"{out}.removed.csv"]
    assert {path: path.read_bytes() for path in Path().glob("out.*")} == old


def write_repeats(name: str, *, more: int = 1) -> None:
    rows = [("text", "label"), ("a film", "x"), *[("a film", "x")] * more, ("a plot", "y")]
    if name.endswith("xlsx"):
        cells = ("".join(map(sheets.text_cell, row)) for row in rows)
        xml = sheets.sheet_of("".join(f"<row>{row}</row>" for row in cells))
        sheets.write_parts(name, sheets.parts_of({"S": xml}))
    elif name.endswith("parquet"):
        columns = dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))
        parquet.write_table(pa.table({k: list(v) for k, v in columns.items()}), name)
    else:
        data = "".join(f"{text},{label}\n" for text, label in rows).encode()
        Path(name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
