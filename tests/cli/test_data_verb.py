"""`textkit data split` and `textkit data check` as a shell sees them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.test_verbs import check, fails


def write(
    name: str, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("text", "label", "author")
) -> str:
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return name


def read(name: str | Path) -> list[list[str]]:
    with Path(name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


@pytest.fixture
def data() -> str:
    return write("a.csv", [(f"text {i}", "xyz"[i % 3], f"author {i // 4}") for i in range(60)])


def test_split_keeps_every_row_and_the_classes_shares(data: str) -> None:
    found = json.loads(check("data", "split", data, "--share", "0.25", "-o", "out", "--json"))
    assert found == [
        {"file": "out/train.csv", "n_rows": 45},
        {"file": "out/test.csv", "n_rows": 15},
    ]
    train, test = read("out/train.csv"), read("out/test.csv")
    assert sorted(train + test) == sorted(read(data))
    assert [sum(row[1] == label for row in test) for label in "xyz"] == [5, 5, 5]


def test_split_by_group_in_folds(data: str) -> None:
    check("data", "split", data, "--folds", "3", "--group", "author", "-o", "out")
    tests = [read(f"out/fold-{n}/test.csv") for n in (1, 2, 3)]
    assert sorted(row for test in tests for row in test) == sorted(read(data))
    for n, test in enumerate(tests, start=1):
        train = read(f"out/fold-{n}/train.csv")
        assert len(train) + len(test) == 60
        assert not {row[2] for row in train} & {row[2] for row in test}


@pytest.mark.slow
def test_split_without_labels_and_with_wrong_options(data: str) -> None:
    Path("a.txt").write_text("one\ntwo\nthree\nfour\n", encoding="utf-8")
    check("data", "split", "a.txt", "--no-stratify", "--share", "0.5", "-o", "out")
    parts = [
        Path(f"out/{name}.txt").read_text(encoding="utf-8").split() for name in ("train", "test")
    ]
    assert sorted(parts[0] + parts[1]) == ["four", "one", "three", "two"] and len(parts[1]) == 2
    assert "unknown column 'autor'; did you mean 'author'?" in fails(
        3, "data", "split", data, "--group", "autor", "-o", "out"
    )
    assert "exclude each other" in fails(
        2, "data", "split", data, "--share", "0.1", "--folds", "2", "-o", "out"
    )


@pytest.mark.slow
def test_check_as_text_as_json_and_strict(data: str) -> None:
    test = write("t.csv", [("Text 3!", "x", "a"), ("new text", "w", "a")])
    found = json.loads(check("data", "check", data, test, "--json"))
    assert {f["check"]: f["n"] for f in found["findings"]} == {
        "leakage-normalised": 1,
        "labels-only-in-test": 1,
    }
    said = check("data", "check", data, test)
    assert "a.csv: 60 rows, 3 classes" in said
    assert "t.csv:2  [x] Text 3!" in said and "= a.csv:5  [x] text 3" in said
    assert "2 kinds of trouble" in fails(3, "data", "check", data, test, "--strict")
    assert "nothing found" in check("data", "check", data, "--strict")
