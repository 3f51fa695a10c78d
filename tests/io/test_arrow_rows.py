"""Parquet and Arrow files: damaged ones are named, whatever is wrong with them."""

from __future__ import annotations

import gzip
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import ipc, parquet

from textkit.errors import DataError, LimitError, TextkitError, UsageError
from textkit.io.corpus import Row, RowReader
from textkit.io.row_files import copy_rows
from textkit.io.text_lines import RowLimit

FORMATS = ["parquet", "arrow"]


def write(name: str, columns: dict[str, object]) -> None:
    table = pyarrow.table(columns)
    if name.endswith(".parquet"):
        parquet.write_table(table, name)
    else:
        with ipc.new_file(name, table.schema) as writer:
            writer.write_table(table)


def damage(value: int, column: str) -> None:
    """Write an arrow file of which one offset of a column is wrong."""
    write("a.arrow", {"text": ["abc", "def"], "label": ["uvwx", "yz"]})
    data = Path("a.arrow").read_bytes()
    offsets = (0, 3, 6) if column == "text" else (0, 4, 6)
    at = data.index(struct.pack("<iii", *offsets)) + 4
    Path("a.arrow").write_bytes(data[:at] + struct.pack("<i", value) + data[at + 4 :])


@pytest.mark.parametrize("value", [0x7FFFFF00, -5, 7, -(2**31)])
@pytest.mark.parametrize("column", ["text", "label"])
def test_a_wrong_offset_of_a_column_that_is_read_is_named(value: int, column: str) -> None:
    damage(value, column)
    for options in ({"labelled": True}, {"keep": ("label",), "text_column": "text"}):
        with pytest.raises(DataError, match=r"^a.arrow: not a readable arrow file: Offset"):
            list(RowReader("a.arrow", on_bad="skip", **options))  # type: ignore[arg-type]


def test_a_wrong_offset_of_any_column_is_named_where_rows_are_copied() -> None:
    damage(0x7FFFFF00, "label")
    with pytest.raises(DataError, match=r"^a.arrow: not a readable arrow file: "):
        copy_rows("a.arrow", [], [(Path("b.arrow"), np.array([0, 1]))])
    assert not Path("b.arrow").exists()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", [pyarrow.string(), pyarrow.large_string()])
def test_a_text_that_is_not_utf_8_is_a_bad_row(format: str, kind: pyarrow.DataType) -> None:
    raw = pyarrow.array([b"one", b"caf\xe9", None, b"four"], pyarrow.binary())
    large = raw.cast(pyarrow.large_binary()) if kind == pyarrow.large_string() else raw
    write(f"a.{format}", {"text": large.view(kind)})
    with pytest.raises(DataError, match=rf"^a.{format}:2: 'text' is not UTF-8 \(byte 0xE9 at"):
        list(RowReader(f"a.{format}"))
    reader = RowReader(f"a.{format}", on_bad="skip")
    assert [row.text for row in reader] == ["one", "four"]
    assert reader.rejects[1] == f"a.{format}:3: 'text' is null, expected a string"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([["a"], ["a", None]], "'label' is"),
        ([b"a", b"b"], "'label' is bytes"),
    ],
)
def test_a_label_that_cannot_be_read_is_never_a_class(
    format: str, labels: list[object], said: str
) -> None:
    write(f"a.{format}", {"text": ["one", "two"], "label": pyarrow.array(labels)})
    with pytest.raises(DataError, match=rf"^a.{format}:[12]: {said}"):
        list(RowReader(f"a.{format}", labelled=True))


@pytest.mark.parametrize("format", FORMATS)
def test_columns_of_one_name_are_refused(format: str) -> None:
    columns = [pyarrow.array(["1"]), pyarrow.array(["real"])]
    table = pyarrow.table(columns, names=["text", "text"])
    if format == "parquet":
        parquet.write_table(table, "a.parquet")
    else:
        with ipc.new_file("a.arrow", table.schema) as writer:
            writer.write_table(table)
    with pytest.raises(DataError, match=rf"^a.{format}:1: 2 columns are named 'text'"):
        list(RowReader(f"a.{format}"))


@pytest.mark.parametrize("kind", [pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()])
def test_texts_of_every_arrow_type_are_read(kind: pyarrow.DataType) -> None:
    write("a.arrow", {"text": pyarrow.array(["one", "two"], kind)})
    coded = pyarrow.array(["one", "two"]).dictionary_encode()
    write("b.arrow", {"text": coded})
    for name in ("a.arrow", "b.arrow"):
        assert list(RowReader(name)) == [Row("one", None, 1), Row("two", None, 2)]


@pytest.mark.parametrize("format", FORMATS)
def test_any_flipped_byte_gives_rows_or_one_line(format: str) -> None:
    write(f"a.{format}", {"text": ["one", "two", "three"] * 5, "label": ["x", "y", "z"] * 5})
    data = Path(f"a.{format}").read_bytes()
    n_refused = 0
    for at in range(0, len(data), 3):
        Path(f"b.{format}").write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        try:
            assert len(list(RowReader(f"b.{format}", labelled=True))) <= 15
        except TextkitError as err:
            n_refused += 1
            assert "\n" not in str(err)
    assert n_refused > 10


def stream(rows: int, name: str) -> None:
    table = pyarrow.table({"text": [f"row {number}" for number in range(rows)]})
    with ipc.new_stream(name, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)


@pytest.mark.parametrize("name", ["a.arrow", "a.arrows", "a.feather"])
def test_an_arrow_stream_is_read_and_copied_as_a_file_of_arrow_is(name: str) -> None:
    stream(20, name)
    assert [row.text for row in RowReader(name)] == [f"row {number}" for number in range(20)]
    copy_rows(name, [], [(Path(f"b-{name}"), np.array([3, 19]))])
    assert ipc.open_stream(Path(f"b-{name}")).read_all()["text"].to_pylist() == ["row 3", "row 19"]


def test_an_arrow_stream_comes_through_a_pipe_and_packed() -> None:
    stream(20, "a.arrow")
    data = Path("a.arrow").read_bytes()
    os.mkfifo("pipe.arrow")
    thread = threading.Thread(target=Path("pipe.arrow").write_bytes, args=(data,), daemon=True)
    thread.start()
    assert len(list(RowReader("pipe.arrow"))) == 20
    thread.join()
    Path("b.arrow.gz").write_bytes(gzip.compress(data))
    assert len(list(RowReader("b.arrow.gz"))) == 20


def test_a_stream_that_is_cut_is_named() -> None:
    stream(20, "a.arrow")
    data = Path("a.arrow").read_bytes()
    Path("a.arrow").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"^a.arrow: not a readable arrow file: "):
        list(RowReader("a.arrow"))


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_with_its_schema_at_the_end_is_not_read_from_a_pipe(format: str) -> None:
    write(f"a.{format}", {"text": ["one"]})
    os.mkfifo(f"pipe.{format}")
    data = Path(f"a.{format}").read_bytes()
    thread = threading.Thread(target=Path(f"pipe.{format}").write_bytes, args=(data,), daemon=True)
    thread.start()
    with pytest.raises(UsageError, match=f"{format} cannot be read from a pipe; name a file"):
        list(RowReader(f"pipe.{format}"))
    thread.join()


@pytest.mark.parametrize("format", FORMATS)
def test_a_text_of_a_table_has_the_limit_of_a_line(format: str) -> None:
    write(f"a.{format}", {"text": ["one", "x" * ((1 << 20) + 1)]})
    with pytest.raises(LimitError, match=rf"^a.{format}:2: the text has more than 1 MB"):
        list(RowReader(f"a.{format}", on_bad="skip", limit=RowLimit(1)))
