"""The data check: each kind of trouble is planted and found with its count and place, and clean
data gives none.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textkit.data.check import Finding, Report, check_files, near_names, normalise

LONG = (
    "the quick brown fox jumps over the lazy dog and runs through the deep dark wood until it"
    " meets an old friend"
)
Row = tuple[str, str]


def write(name: str, rows: list[Row]) -> str:
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return name


def clean(n: int, tag: str = "") -> list[Row]:
    return [(f"row {tag}{number} of the data", "xy"[number % 2]) for number in range(n)]


def one(report: Report, check: str, file: str = "train.csv") -> Finding:
    (found,) = [found for found in report.findings if (found.check, found.file) == (check, file)]
    return found


def checks(report: Report) -> set[str]:
    return {found.check for found in report.findings}


def test_clean_files_give_no_finding() -> None:
    report = check_files(write("train.csv", clean(40)), write("test.csv", clean(20, "t")))
    assert report.findings == []
    assert [(file["n_rows"], file["n_classes"]) for file in report.files] == [(40, 2), (20, 2)]


def test_duplicates_are_counted_once_each_with_the_first_place() -> None:
    rows = [
        *clean(30),
        ("Row 0 of the data!", "x"),
        ("row 1 of the data", "y"),
        ("row 1 of the data", "y"),
    ]
    report = check_files(write("train.csv", rows))
    found = one(report, "duplicates")
    assert found.n == 2
    assert [(e.where, e.other, e.text) for e in found.examples] == [
        ("train.csv:33", "train.csv:3", "row 1 of the data"),
        ("train.csv:34", "train.csv:3", "row 1 of the data"),
    ]
    nearly = one(report, "duplicates-normalised")
    assert nearly.n == 1 and nearly.examples[0].other_text == "row 0 of the data"
    assert checks(report) == {"duplicates", "duplicates-normalised"}


def test_conflicting_labels_show_both() -> None:
    report = check_files(
        write("train.csv", [*clean(30), ("ROW 0 of the data", "y"), ("row 2 of the data", "y")])
    )
    found = one(report, "conflicting-labels")
    assert found.n == 2
    assert (found.examples[0].label, found.examples[0].other_label) == ("y", "x")
    assert one(report, "duplicates").n == 1


def test_leakage_exact_normalised_near_and_contradicting() -> None:
    train = [*clean(30), (LONG, "x")]
    test = [
        *clean(10, "t"),
        ("row 3 of the data", "y"),
        ("Row  4, of the data", "y"),
        (LONG + " again", "x"),
    ]
    report = check_files(write("train.csv", train), write("test.csv", test))
    assert checks(report) == {"leakage", "leakage-normalised", "leakage-conflicts", "leakage-near"}
    for check, here, there in (
        ("leakage", "test.csv:12", "train.csv:5"),
        ("leakage-normalised", "test.csv:13", "train.csv:6"),
        ("leakage-conflicts", "test.csv:13", "train.csv:6"),
        ("leakage-near", "test.csv:14", "train.csv:32"),
    ):
        found = one(report, check, "test.csv")
        assert (found.n, found.examples[0].where, found.examples[0].other) == (1, here, there)
    without = check_files("train.csv", "test.csv", near=False)
    assert checks(without) == {"leakage", "leakage-normalised", "leakage-conflicts"}


def test_near_duplicates_inside_a_file() -> None:
    report = check_files(
        write("train.csv", [*clean(30), (LONG, "x"), (LONG.replace("friend", "mate"), "x")])
    )
    found = one(report, "near-duplicates")
    assert (found.n, found.examples[0].where, found.examples[0].other) == (
        1,
        "train.csv:33",
        "train.csv:32",
    )
    assert checks(report) == {"near-duplicates"}


def test_labels_tiny_near_equal_empty_and_only_in_test() -> None:
    train = [
        *clean(40),
        ("a text of sports", "Sport"),
        ("another text of it", "sport "),
        ("no label here", " "),
    ]
    report = check_files(
        write("train.csv", train), write("test.csv", [("never seen", "z"), ("test text", "x")])
    )
    assert one(report, "tiny-classes").n == 3
    pair = one(report, "near-equal-labels").examples[0]
    assert (pair.where, pair.label, pair.other, pair.other_label) == (
        "train.csv:42",
        "Sport",
        "train.csv:43",
        "sport ",
    )
    assert one(report, "empty-labels").examples[0].where == "train.csv:44"
    only = one(report, "labels-only-in-test", "test.csv")
    assert (only.n, only.examples[0].label, only.examples[0].where) == (1, "z", "test.csv:2")


def test_tiny_means_fewer_than_the_number_given() -> None:
    rows = [(f"text {n} of the data", "nine") for n in range(9)] + [
        (f"line {n} of it all", "ten") for n in range(10)
    ]
    found = one(check_files(write("train.csv", rows)), "tiny-classes")
    assert [(example.label, example.text) for example in found.examples] == [("nine", "9 rows")]
    assert check_files("train.csv", tiny_rows=9).findings == []


def test_empty_long_and_bad_rows() -> None:
    path = Path(write("train.csv", [*clean(30), ("", "x"), (" \t", "y"), ("long " * 3000, "x")]))
    path.write_bytes(path.read_bytes() + b"one,two,three\n")
    report = check_files(path)
    empty = one(report, "empty-texts")
    assert (empty.n, empty.examples[0].where) == (2, "train.csv:32")
    assert one(report, "long-texts").examples[0].where == "train.csv:34"
    assert "expected 2 fields, found 3" in one(report, "bad-rows").examples[0].where
    assert checks(report) == {
        "empty-texts",
        "long-texts",
        "bad-rows",
    }  # empty texts are no duplicates


def test_rows_with_several_labels_are_shown_with_commas() -> None:
    line = '{"text": "a text to repeat", "label": ["x", "y"]}\n'
    Path("a.jsonl").write_text(line * 10, encoding="utf-8")
    assert one(check_files("a.jsonl"), "duplicates", "a.jsonl").examples[0].label == "x, y"


def test_unlabelled_text_and_examples_are_limited() -> None:
    Path("a.txt").write_text("same line\n" * 20, encoding="utf-8")
    report = check_files("a.txt", labelled=False)
    found = one(report, "duplicates", "a.txt")
    assert (found.n, len(found.examples)) == (19, 5)
    json.dumps(report.to_dict(), allow_nan=False)


@given(st.text(max_size=30))
def test_normalise_is_stable_and_forgets_case_and_space(text: str) -> None:
    once = normalise(text)
    assert normalise(f"  {text}\t ") == once
    assert once == once.strip()


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("Don't stop!", "dont  stop", True),
        ("top-up", "top up", True),
        ("ＡＢ café", "ＡＢ cafe\u0301", True),
        ("कि", "का", False),
        (":-)", ":-(", False),
        ("a b", "ab", False),
    ],
)
def test_what_is_the_same_text(one: str, two: str, same: bool) -> None:
    assert (normalise(one) == normalise(two)) == same


def test_near_names_against_all_pairs() -> None:
    def distance(a: str, b: str) -> int:
        table = np.arange(len(b) + 1)
        for i, x in enumerate(a, start=1):
            row = [i]
            for j, y in enumerate(b, start=1):
                row.append(min(row[-1] + 1, table[j] + 1, table[j - 1] + (x != y)))
            table = np.array(row)
        return int(table[-1])

    generator = np.random.default_rng(0)
    names = [
        "".join(generator.choice(list("abc"), size=size))
        for size in generator.integers(5, 8, size=60)
    ]
    names = list(dict.fromkeys(names))
    found = set(near_names(names))
    for a in range(len(names)):
        for b in range(a + 1, len(names)):
            if distance(names[a], names[b]) <= 1:
                assert (a, b) in found
            elif (a, b) in found:
                assert distance(names[a], names[b]) == 2  # a letter has moved


@pytest.mark.slow
def test_real_data_has_the_leaks_that_a_set_of_its_texts_has(shared: Path) -> None:
    files = [shared / f"train_dev/banking77_{part}.csv" for part in ("train", "test")]
    report = check_files(*files)
    texts = []
    for path in files:
        with path.open(encoding="utf-8", newline="") as file:
            texts.append([text for text, _ in list(csv.reader(file))[1:]])
    assert one(report, "leakage", str(files[1])).n == sum(
        text in set(texts[0]) for text in texts[1]
    )
    assert one(report, "duplicates", str(files[0])).n == len(texts[0]) - len(set(texts[0]))


def test_rows_that_share_a_line_are_told_apart() -> None:
    rows = [{"text": f"text {number % 3}", "label": "xyz"[number % 3]} for number in range(5)]
    Path("a.json").write_text(json.dumps(rows), encoding="utf-8")
    found = next(f for f in check_files("a.json", tiny_rows=1).findings if f.check == "duplicates")
    told = [(e.where, e.text, e.other, e.other_text) for e in found.examples]
    assert told == [
        ("a.json:1 (row 4)", "text 0", "a.json:1 (row 1)", "text 0"),
        ("a.json:1 (row 5)", "text 1", "a.json:1 (row 2)", "text 1"),
    ]
