"""Texts from a template of columns and labels from columns of 0 and 1, from every kind of file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from textkit.errors import DataError, TextkitError, UsageError
from textkit.io.corpus import Row, RowReader, read_rows
from textkit.io.tables import take_texts

RECORDS: list[dict[str, Any]] = [
    {"id": "7", "title": "Sun", "body": "It shines.", "sport": "0", "money": "1"},
    {"id": "8", "title": "", "body": "Rain {too}", "sport": "0", "money": "0"},
    {"id": "9", "title": " ", "body": "", "sport": "1", "money": "1"},
]
WANTED = [
    Row("Sun: It shines.", "money", 1, ("7",), listed=True),
    Row(": Rain {too}", "", 2, ("8",), listed=True),
    Row("", "sport\x1fmoney", 3, ("9",), listed=True),
]


def write(kind: str) -> str:
    """Write the records as a file of a kind; numbers where it has them."""
    name = f"all.{kind}"
    typed = [
        record | {"sport": int(record["sport"]), "money": record["money"] == "1"}
        for record in RECORDS
    ]
    if kind == "csv":
        lines = [";".join(RECORDS[0]), *(";".join(record.values()) for record in RECORDS)]
        Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif kind == "jsonl":
        Path(name).write_text("\n".join(map(json.dumps, typed)) + "\n", encoding="utf-8")
    elif kind == "json":
        Path(name).write_text(json.dumps(typed), encoding="utf-8")
    else:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(typed), name)
    return name


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet"])
def test_a_text_of_several_columns_and_a_label_of_each_column(kind: str) -> None:
    options: dict[str, Any] = {"text_column": "{title}: {body}", "label_column": "sport,money"}
    rows = [*read_rows(write(kind), keep=["id"], **options)]
    assert [row._replace(line=0) for row in rows] == [row._replace(line=0) for row in WANTED]
    assert [row.text for row in read_rows(write(kind), text_column="{body}")][1] == "Rain {too}"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_column_that_is_not_there_is_named(kind: str) -> None:
    for options in ({"text_column": "{titel}: {body}"}, {"label_column": "sport,mony"}):
        given: dict[str, Any] = {"text_column": "body", **options}
        with pytest.raises(DataError, match=r"titel|mony"):
            list(read_rows(write(kind), **given))


def test_a_column_of_that_very_name_is_that_column() -> None:
    Path("a.csv").write_text('{a},"x,y"\none,two\n', encoding="utf-8")
    assert [*read_rows("a.csv", text_column="{a}", label_column="x,y")] == [Row("one", "two", 2)]


def test_what_is_neither_0_nor_1_is_a_bad_row_and_nothing_a_missing_label() -> None:
    Path("a.csv").write_text("text,x,y\na,1,2\nb,,1\nc,true,FALSE\nd,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.csv:2: 'y' is '2'; a column of one label holds 0 or"):
        list(read_rows("a.csv", label_column="x,y"))
    reader = RowReader("a.csv", label_column="x,y", on_bad="skip")
    assert [row.label for row in reader] == [None, "x"] and len(reader.rejects) == 2


def test_a_nested_value_is_no_text() -> None:
    Path("a.jsonl").write_text('{"a": "x", "b": ["y"]}\n{"a": "x"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="'b' is"):
        list(read_rows("a.jsonl", text_column="{a} {b}"))
    reader = RowReader("a.jsonl", text_column="{a} {b}", on_bad="skip")
    assert [*reader] == [] and "no key 'b'" in reader.rejects[1]


def test_a_template_of_a_table_in_memory() -> None:
    table = {"title": ["Sun", None], "body": ["shines", "rains"], "n": [1, 2.5]}
    assert take_texts(table, column="{title} {body} {n}") == ["Sun shines 1", " rains 2.5"]
    with pytest.raises(UsageError, match="titel"):
        take_texts(table, column="{titel}")
    with pytest.raises(TextkitError, match="no table"):
        take_texts(["a"], column="{a}")
