"""The one rule of label cells: the same labels in memory and streaming, whatever the separator."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from textkit import tokenizers
from textkit.data.labels import LabelCells, LabelReader, read_labelled
from textkit.data.targets import Task, encode_labels, find_classes
from textkit.data.token_shards import TokenShards
from textkit.errors import DataError, TextkitError

WORDS = tokenizers.train("word", ["a b c"])
SEPARATORS = ["|", "||", " ; ", ", ", "\t", ".*", "[", "\\", "é", "ab", " ", "", None]


def write_csv(cells: list[str]) -> Path:
    with Path("a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [("text", "label"), *(("a text", cell) for cell in cells)]
        )
    return Path("a.csv")


def write_lists(name: str, lists: list[Any]) -> Path:
    if name.endswith(".jsonl"):
        rows = (json.dumps({"text": "a", "label": labels}) + "\n" for labels in lists)
        Path(name).write_text("".join(rows), encoding="utf-8")
    else:
        table = pyarrow.table({"text": ["a"] * len(lists), "label": lists})
        parquet.write_table(table, name)
    return Path(name)


def in_memory(path: Path, task: Task, separator: str | None) -> Any:
    """Give (classes, targets, notes), or None where the file is refused."""
    notes: list[str] = []
    try:
        rows = read_labelled(path, task=task, separator=separator, note=notes.append)
        classes = find_classes(task, rows.labels)
        targets = encode_labels(task, rows.labels, classes)
    except TextkitError:
        return None
    return classes.tolist(), targets.tolist(), notes


def streaming(path: Path, task: Task, separator: str | None) -> Any:
    try:
        shards = TokenShards.build(path, WORDS, cache="cache", task=task, separator=separator)
    except TextkitError:
        return None
    assert shards.labels is not None
    return shards.classes.tolist(), shards.labels.tolist(), list(shards.notes)


@pytest.mark.parametrize("separator", SEPARATORS[:-2])
def test_a_separator_of_any_length_cuts_in_memory_and_streaming(separator: str) -> None:
    path = write_csv([separator.join(["film", "pos"]), "pos", "", separator])
    found = in_memory(path, "multi-label", separator)
    assert found[:2] == (["film", "pos"], [[1, 1], [0, 1], [0, 0], [0, 0]])
    assert streaming(path, "multi-label", separator) == found


def test_white_space_round_a_separator_is_dropped_and_said() -> None:
    path = write_csv(["film | pos", "pos", " pos|", "a b"])
    note = "a.csv: white space round labels was dropped in 2 rows"
    for found in (in_memory(path, "multi-label", "|"), streaming(path, "multi-label", "|")):
        classes, targets, notes = found
        assert classes == ["a b", "film", "pos"]
        assert targets == [[0, 1, 1], [0, 0, 1], [0, 0, 1], [1, 0, 0]]
        assert notes[-1] == note


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_list_of_the_file_is_taken_as_it_is(name: str) -> None:
    path = write_lists(name, [["a|b", " c "], ["a|b"], [], ["", "c"]])
    found = in_memory(path, "multi-label", "|")
    assert found[:2] == ([" c ", "a|b", "c"], [[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]])
    assert not any("dropped" in note for note in found[2])
    assert streaming(path, "multi-label", "|") == found


def test_labels_of_a_txt_line_are_taken_as_they_are() -> None:
    Path("a.txt").write_text("__label__a|b __label__c x\n__label__a|b y\n", encoding="utf-8")
    found = in_memory(Path("a.txt"), "multi-label", "|")
    assert found[:2] == (["a|b", "c"], [[1, 1], [1, 0]])
    assert streaming(Path("a.txt"), "multi-label", "|") == found


def test_one_label_is_its_cell_to_the_letter() -> None:
    path = write_csv([" a|b ", "c", "c"])
    found = in_memory(path, "single-label", "|")
    assert found[:2] == ([" a|b ", "c"], [0, 1, 1])
    assert streaming(path, "single-label", "|") == found


def test_numbers_stand_between_separators_too() -> None:
    path = write_csv(["1 ; -2.5", "3;4"])
    assert in_memory(path, "regression", ";")[1] == [[1, -2.5], [3, 4]]
    assert streaming(path, "regression", ";") == in_memory(path, "regression", ";")
    with pytest.raises(
        DataError, match=r"^a\.csv:2: the label is '1;'; regression wants a finite number"
    ):
        read_labelled(write_csv(["1;"]), task="regression", separator=";")


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_numbers_may_be_a_list_of_the_file(name: str) -> None:
    path = write_lists(name, [[1, -2.5], [3, 4]])
    found = in_memory(path, "regression", None)
    assert found[:2] == (["value0", "value1"], [[1, -2.5], [3, 4]])
    assert streaming(path, "regression", None) == found


def test_rows_without_any_label_are_refused_by_both() -> None:
    path = write_csv(["", "|", " "])
    rows = read_labelled(path, task="multi-label", separator="|")
    with pytest.raises(DataError, match="none of the 3 rows has a label"):
        find_classes("multi-label", rows.labels)
    with pytest.raises(DataError, match="none of the rows has a label"):
        TokenShards.build(path, WORDS, cache="cache", task="multi-label", separator="|")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([], r"^a\.csv:1: no rows after the header; expected texts and labels"),
        (["x", ""], r"^a\.csv:3: the label is empty"),
        (["x\x1fy"], r"^a\.csv:2: the row has several labels; train with --task multi-label"),
    ],
)
def test_what_cannot_be_one_label_is_named(cells: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_labelled(write_csv(cells))


CELLS = st.lists(st.text("ab|;,.*[\\é \t\x1f1", max_size=9), min_size=1, max_size=6)
ANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@ANY
@given(CELLS, st.sampled_from(SEPARATORS), st.sampled_from(["multi-label", "regression"]))
@example(["a||b", "b"], "||", "multi-label")
@example(["a ;b", "b"], " ; ", "multi-label")
@example(["1|2", "2|1"], "|", "regression")
def test_memory_and_streaming_agree_on_cells(
    cells: list[str], separator: str | None, task: Task
) -> None:
    path = write_csv(cells)
    assert streaming(path, task, separator) == in_memory(path, task, separator)


@ANY
@given(
    st.lists(st.lists(st.text("ab|; ", max_size=4), max_size=3), min_size=1, max_size=5),
    st.sampled_from(SEPARATORS),
)
def test_memory_and_streaming_agree_on_lists(lists: list[list[str]], separator: str | None) -> None:
    path = write_lists("a.jsonl", lists)
    found = in_memory(path, "multi-label", separator)
    assert streaming(path, "multi-label", separator) == found
    if found is not None:
        assert set(found[0]) == {label for labels in lists for label in labels if label.strip()}


def test_a_reader_of_pairs_follows_the_rule() -> None:
    reader = LabelReader("multi-label", separator="||")
    assert [reader.read(label) for label in ("a || b", ["b", "a"], ["a || b"], None)] == [
        0,
        0,
        1,
        2,
    ]
    assert reader.classes() == ["a", "a || b", "b"]
    assert LabelCells(None).labels(" a|b ") == ["a|b"]


@pytest.mark.parametrize("cell", ["nan", "n/a", "-inf", "1;", "1e999", "much"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_target_that_is_no_finite_number_is_named_with_its_file_and_line(
    cell: str, name: str
) -> None:
    path = write_csv(["1.5", cell]) if name == "a.csv" else write_lists(name, [["1.5"], [cell]])
    line = 3 if name == "a.csv" else 2
    with pytest.raises(DataError, match=rf"^{name}:{line}: the label is .* wants a finite number"):
        read_labelled(path, task="regression")
