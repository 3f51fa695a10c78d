"""Copied rows: the same bytes, in every format, packed or not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from textkit.errors import StorageError, UsageError
from textkit.io import row_files
from textkit.io.corpus import RowReader, read_rows
from textkit.io.packed import open_bytes
from textkit.io.row_files import copy_rows

ODD = 'id;text;label\r\n1;"a ""quoted""; one";x\r\n\r\n2;"two\nlines\n";y\r\n3;última;x'


def lines_of(path: str) -> list[int]:
    return [row.line for row in RowReader(path, text_column="text")]


def read(path: str | Path) -> bytes:
    with open_bytes(Path(path)) as file:
        return file.read()


def write(name: str, data: bytes) -> None:
    if name.endswith(".gz"):
        data = gzip.compress(data)
    if name.endswith(".zst"):
        data = pyarrow.compress(data, codec="zstd", asbytes=True)
    Path(name).write_bytes(data)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zst"])
def test_odd_csv_is_copied_byte_for_byte(name: str) -> None:
    write(name, b"\xef\xbb\xbf" + ODD.encode())
    copy_rows(
        name,
        lines_of(name),
        [(Path("b-" + name), np.array([2])), (Path("c-" + name), np.array([0, 1]))],
    )
    assert read("b-" + name) == b"\xef\xbb\xbf" + "id;text;label\r\n3;última;x".encode()
    assert read("c-" + name) == b"\xef\xbb\xbf" + ODD.rpartition("3;")[0].encode()


def test_last_line_without_an_end_gets_one_where_rows_follow() -> None:
    write("a.txt", b"one\ntwo")
    Path("more").mkdir()
    copy_rows(
        "a.txt", [1, 2], [(Path("b.txt"), np.array([1])), (Path("more/b.txt"), np.array([0, 1]))]
    )
    assert (read("b.txt"), read("more/b.txt")) == (b"two", b"one\ntwo")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.text(max_size=12).filter(lambda t: "\r" not in t), st.booleans()), min_size=1
    )
)
def test_any_jsonl_rows_come_out_once_and_in_order(rows: list[tuple[str, bool]]) -> None:
    data = [
        json.dumps({"text": text.encode("utf-8", "replace").decode()}).encode() + b"\n"
        for text, _ in rows
    ]
    write("a.jsonl", b"".join(data))
    here = np.array([chosen for _, chosen in rows])
    parts = [(Path("b.jsonl"), np.flatnonzero(here)), (Path("c.jsonl"), np.flatnonzero(~here))]
    copy_rows("a.jsonl", lines_of("a.jsonl"), parts)
    for path, wanted in parts:
        assert read(path) == b"".join(data[row] for row in wanted)


def test_many_megabytes_through_a_packed_file() -> None:
    rows = [f"{number} " + "word " * 60 + "\n" for number in range(40_000)]
    write("a.txt.zst", "".join(rows).encode())
    copy_rows("a.txt.zst", np.arange(1, 40_001), [(Path("b.txt.zst"), np.arange(1, 40_000))])
    assert read("b.txt.zst") == "".join(rows[1:]).encode()
    assert sum(1 for _ in read_rows("b.txt.zst")) == 39_999


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_tables_keep_their_schema_and_columns(format: str) -> None:
    table = pyarrow.table(
        {
            "id": pyarrow.array(range(40_000), pyarrow.uint16()),
            "text": ["a"] * 40_000,
            "tags": [["x"], []] * 20_000,
        }
    ).replace_schema_metadata({"owner": "me"})
    if format == "parquet":
        parquet.write_table(table, "a.parquet", row_group_size=999)
    else:
        with pyarrow.ipc.new_file("a.arrow", table.schema) as writer:
            writer.write_table(table, max_chunksize=777)
    rows = np.array([0, 5, 17_000, 39_999])
    copy_rows(f"a.{format}", [], [(Path(f"b.{format}"), rows), (Path(f"none.{format}"), rows[:0])])
    if format == "parquet":
        table = parquet.read_table("a.parquet")  # it has names of its own for the items of lists
    opened = [
        parquet.read_table(name) if format == "parquet" else pyarrow.ipc.open_file(name).read_all()
        for name in (f"b.{format}", f"none.{format}")
    ]
    assert opened[0].equals(table.take(rows))
    assert opened[0].schema.equals(table.schema, check_metadata=True)
    assert opened[1].num_rows == 0 and opened[1].schema.equals(table.schema)


def test_the_input_is_never_overwritten() -> None:
    write("a.txt", b"one\n")
    Path("in").mkdir()
    with pytest.raises(UsageError, match="is the input itself"):
        copy_rows("a.txt", [1], [(Path("in/../a.txt"), np.array([0]))])
    assert read("a.txt") == b"one\n"


def test_a_source_that_is_written_to_meanwhile_leaves_no_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("a.csv").write_text("text\none\n", encoding="utf-8")

    def open_and_append(path: Path) -> IO[bytes]:
        with Path(path).open("ab") as file:
            file.write(b"two\n")
        return open_bytes(path)

    monkeypatch.setattr(row_files, "open_bytes", open_and_append)
    with pytest.raises(StorageError, match=r"^a.csv: file was changed while it was read; run aga"):
        copy_rows("a.csv", [2], [(Path("b.csv"), np.array([0]))])
    assert not Path("b.csv").exists()
