"""One JSON array is read as the rows that its elements are, however its lines are broken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textkit.errors import DataError
from textkit.io import json_arrays
from textkit.io.corpus import RowReader
from textkit.io.row_files import copy_rows

ROWS = [{"text": "one, [two]", "y": "a"}, {"text": 'quoted "}]"', "y": "b", "n": [1, {"x": 2}]}]


@pytest.mark.parametrize("indent", [None, 0, 1, "\t"])
@pytest.mark.parametrize("before", ["", "\ufeff", "\n\n  "])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_an_array_is_read_however_it_is_laid_out(
    name: str, before: str, indent: int | str | None
) -> None:
    Path(name).write_text(before + json.dumps(ROWS, indent=indent) + "\n", encoding="utf-8")
    rows = list(RowReader(name, labelled=True))
    assert [(row.text, row.label) for row in rows] == [(row["text"], row["y"]) for row in ROWS]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=30), max_size=3)),
    st.sampled_from([None, 0, 2]),
)
def test_any_array_gives_its_elements(
    monkeypatch: pytest.MonkeyPatch, values: list[dict[str, str]], indent: int | None
) -> None:
    monkeypatch.setattr(json_arrays, "_CHUNK_CHARACTERS", 7)
    values = [{**value, "text": str(number)} for number, value in enumerate(values)]
    spelt = json.dumps(values, indent=indent)
    Path("a.json").write_text(spelt, encoding="utf-8")
    rows = list(RowReader("a.json"))
    assert [row.text for row in rows] == [value["text"] for value in values]
    if indent is not None:
        lines = [n for n, line in enumerate(spelt.split("\n"), 1) if line.strip() in ("{", "{}")]
        assert [row.line for row in rows] == lines


def test_a_bad_element_is_a_bad_row_and_named_by_its_line() -> None:
    text = '[\n {"text": "one"},\n 3,\n {"text": null},\n {"text": "two"}\n]\n'
    Path("a.json").write_text(text, encoding="utf-8")
    reader = RowReader("a.json", on_bad="skip")
    assert [(row.text, row.line) for row in reader] == [("one", 2), ("two", 5)]
    assert reader.rejects == [
        "a.json:3: expected a JSON object, found int",
        "a.json:4: 'text' is null, expected a string",
    ]


def test_an_element_that_is_no_utf_8_is_a_bad_row() -> None:
    Path("a.json").write_bytes(b'[{"text": "one"},\n{"text": "caf\xe9"},\n{"text": "two"}]')
    reader = RowReader("a.json", on_bad="skip")
    assert [row.text for row in reader] == ["one", "two"]
    assert reader.rejects[0].startswith("a.json:2:14: not UTF-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"text": "a"}', "a.json:1: the array that opens on line 1 is not closed"),
        ('[\n{"text": "a"},\n', "a.json:3: the array that opens on line 1 is not closed"),
        (
            '[\n{"text": "a"}\n{"text": "b"}]',
            "a.json:3: expected ',' or ']' in the array",
        ),
        ('[{"text": "a"}]\n[{"text": "b"}]\n', "a.json:2: text follows the end of the array"),
        ('[\n{"text": "a"},\n{"text": a}]', "a.json:3: not valid JSON: Expecting value"),
        ('[\n{"text": "a', "a.json:2: not valid JSON"),
        ("[" * 100_000, "a.json:1: not valid JSON: nested too deeply"),
    ],
)
def test_a_broken_array_stops_at_its_line(text: str, message: str) -> None:
    Path("a.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        list(RowReader("a.json", on_bad="skip", text_column="text"))
    assert str(caught.value).startswith(message)


def test_an_object_over_several_lines_is_told_what_is_expected() -> None:
    Path("a.json").write_text(json.dumps({"data": ROWS}, indent=1), encoding="utf-8")
    with pytest.raises(DataError, match=r"expected one object a line, or one array of objects$"):
        list(RowReader("a.json"))


def test_an_array_is_not_divided_by_lines() -> None:
    Path("a.json").write_text("\n" + json.dumps(ROWS, indent=1), encoding="utf-8")
    with pytest.raises(DataError, match=r"^a.json: one JSON array cannot be divided by lines"):
        copy_rows("a.json", [3, 7], [(Path("b.json"), np.array([0]))])
