"""Files that are named as workbooks and are none, and those that would do harm."""

from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path

import pytest

from tests.io.sheets import parts_of, row_of, sheet_of, write_parts, write_rows
from textkit.errors import DataError, LimitError, TextkitError, UsageError
from textkit.io import workbook_parts
from textkit.io.corpus import RowReader
from textkit.io.text_lines import RowLimit

ROWS = row_of("text") + row_of("a") * 400


def failure(path: str, **options: object) -> TextkitError:
    with pytest.raises(TextkitError) as caught:
        list(RowReader(path, **options))  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"text,label\n", "no workbook of Excel; if it is a text, give it the ending .csv"),
        (b"<!DOCTYPE html><table>", "the file is a web page"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99),
            "protected by a password, or an old .xls",
        ),
        (gzip.compress(b"x", mtime=0), "the workbook is packed by gzip; unpack it first"),
        (b"PK\x03\x04" + bytes(99), "not a readable workbook: File is not a zip file"),
    ],
)
def test_what_is_no_workbook_is_told_for_what_it_is(content: bytes, said: str) -> None:
    Path("a.xlsx").write_bytes(content)
    error = failure("a.xlsx")
    assert isinstance(error, DataError)
    assert str(error).startswith("a.xlsx: ")
    assert said in str(error)


@pytest.mark.parametrize("name", ["old.xls", "B.XLSB", "c.ods", "d.xls.gz"])
def test_workbooks_of_other_kinds_are_refused_by_name(name: str) -> None:
    Path(name).write_bytes(b"a\n")
    assert str(failure(name)) == (
        f"{name}: a workbook of this kind is not read; save it as .xlsx or csv"
    )
    assert [row.text for row in RowReader(name, format="txt")] == ["a"]


def test_a_workbook_under_the_name_of_a_text_is_told() -> None:
    write_rows("a.xlsx", ROWS).rename("a.csv")
    assert str(failure("a.csv")) == (
        "a.csv: the file is an Office file: of those a workbook alone is read, under a name that"
        " ends in .xlsx"
    )
    write_parts("b.txt", {"mimetype": "application/vnd.oasis.opendocument.spreadsheet"})
    assert "a spreadsheet of OpenDocument: save it as .xlsx or csv" in str(failure("b.txt"))


def test_an_archive_of_something_else_is_told() -> None:
    write_parts("a.xlsx", {"a.csv": "text\n"})
    assert "the zip archive holds no workbook of Excel" in str(failure("a.xlsx"))
    parts = parts_of({})
    parts["_rels/.rels"] = parts["_rels/.rels"].replace("workbook.xml", "workbook.bin")
    write_parts("b.xlsx", parts)
    assert "a binary workbook, as xlsb is" in str(failure("b.xlsx"))


def test_a_workbook_is_no_stream_and_no_folder() -> None:
    os.mkfifo("pipe.xlsx")
    error = failure("pipe.xlsx")
    assert isinstance(error, UsageError)
    assert str(error) == "pipe.xlsx: a workbook cannot be read from a pipe; name a file"
    assert "from a pipe" in str(failure("-", format="xlsx"))
    Path("folder.xlsx").mkdir()
    assert "no texts in this folder" in str(failure("folder.xlsx"))
    assert "No such file" in str(failure("missing.xlsx"))


@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "_rels/.rels"])
def test_a_document_type_is_refused(part: str) -> None:
    parts = parts_of({"S": sheet_of(ROWS)})
    parts[part] = '<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>' + parts[part]
    write_parts("a.xlsx", parts)
    assert "declares a document type, which no workbook does" in str(failure("a.xlsx"))


def test_what_unpacks_to_far_too_much_is_refused() -> None:
    parts: dict[str, str | bytes] = {**parts_of({"S": ""})}
    parts["xl/worksheets/sheet1.xml"] = sheet_of(row_of("text")).encode() + bytes(80 << 20)
    write_parts("a.xlsx", parts)
    error = failure("a.xlsx")
    assert isinstance(error, LimitError)
    assert "xl/worksheets/sheet1.xml unpacks from" in str(error)


def test_what_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_parts, "_MOST_ELEMENTS", 1000)
    monkeypatch.setattr(workbook_parts, "_MOST_TAG_BYTES", 100_000)
    write_rows("a.xlsx", ROWS, styles="<xf/>" * 1001)
    assert "xl/styles.xml has more than 1,000 elements" in str(failure("a.xlsx"))
    write_rows("a.xlsx", ROWS, styles=f'<xf a="{"a" * 300_000}"/>')
    assert "xl/styles.xml: a tag of more than 100,000 bytes" in str(failure("a.xlsx"))
    merges = "".join(f'<mergeCell ref="A{n}:A{n + 1}"/>' for n in range(2, 2004, 2))
    write_rows("a.xlsx", ROWS, merges)
    assert "sheet1.xml has more than 1,000 merged cells" in str(failure("a.xlsx"))


def test_a_row_or_text_that_is_too_long_is_refused() -> None:
    long = "ab" * (1 << 20)
    write_rows("a.xlsx", row_of("text") + row_of(long))
    error = failure("a.xlsx", limit=RowLimit(1, "--max-row-mb"))
    assert isinstance(error, LimitError)
    assert str(error).startswith("a.xlsx#S:2: the row has more than 1 MB")
    write_rows("a.xlsx", row_of("text"), strings=f"<si><t>{long}</t></si>")
    assert "a text has more than 1 MB" in str(failure("a.xlsx", limit=RowLimit(1)))


@pytest.mark.parametrize(
    "rows",
    [
        "<row>",
        '<row r="x"/>',
        '<row r="1e400"/>',
        '<row r="9999999999"/>',
        '<row r="3"/><row r="2"/>',
        '<row><c r="ZZZZ1"><v>1</v></c></row>',
        '<row><c r="1"><v>1</v></c></row>',
        '<row><c s="x"><v>1</v></c></row>',
        '<row><c t="s"><v>x</v></c></row>',
        "<row>&unknown;</row>",
    ],
)
def test_a_damaged_sheet_is_an_error_that_names_the_file(rows: str) -> None:
    write_rows("a.xlsx", row_of("text") + rows)
    error = failure("a.xlsx")
    assert isinstance(error, DataError)
    assert str(error).startswith("a.xlsx")


def test_a_part_that_is_missing_or_protected_is_told() -> None:
    parts = parts_of({"S": sheet_of(ROWS)}, strings="<si><t>a</t></si>")
    del parts["xl/sharedStrings.xml"]
    write_parts("a.xlsx", parts)
    assert "it has no part xl/sharedStrings.xml" in str(failure("a.xlsx"))
    data = bytearray(write_rows("b.xlsx", ROWS).read_bytes())
    with zipfile.ZipFile("b.xlsx") as archive:
        for entry in archive.infolist():
            data[entry.header_offset + 6] |= 1  # as if it had a password
    start = data.rfind(b"PK\x05\x06")
    at = data.find(b"PK\x01\x02")
    while 0 <= at < start:
        data[at + 8] |= 1
        at = data.find(b"PK\x01\x02", at + 4)
    Path("b.xlsx").write_bytes(data)
    assert "not a readable workbook" in str(failure("b.xlsx"))


def test_names_with_a_prefix_and_parts_in_other_case_are_read() -> None:
    parts = parts_of({"S": sheet_of(row_of("text") + row_of("good"))})
    prefixed = parts.pop("xl/worksheets/sheet1.xml").replace("</", "</x:").replace("<", "<x:")
    prefixed = prefixed.replace("<x:/x:", "</x:").replace("xmlns=", "xmlns:x=")
    parts["XL\\WorkSheets\\Sheet1.xml"] = prefixed
    write_parts("a.xlsx", parts)
    assert [row.text for row in RowReader("a.xlsx")] == ["good"]
