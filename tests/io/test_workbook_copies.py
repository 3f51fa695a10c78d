"""Copied rows of a sheet: the same cells, under their own formats, in workbooks of their own."""

from __future__ import annotations

import zipfile
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font

from tests.io.sheets import parts_of, row_of, sheet_of, text_cell, write_parts, write_rows
from textkit.errors import DataError, UsageError
from textkit.io.corpus import RowReader
from textkit.io.row_files import copy_rows
from textkit.io.workbook_copies import copy_sheet


def rows_of(path: str | Path) -> list[tuple[object, ...]]:
    return list(load_workbook(path).active.iter_rows(values_only=True))


def test_rows_keep_their_cells_and_formats() -> None:
    workbook = Workbook()
    sheet = workbook.active
    sheet.title = "May & June"
    rows = [
        ["id", "text", "when", "price", "open"],
        ["007", "=no formula", date(2024, 2, 1), 2.5, True],
        [8, "two\nlines  ", datetime(2024, 2, 1, 9, 30), 3, False],
        [9, "<b>é\r\n😀</b>", None, None, "#N/A"],
    ]
    for row in rows:
        sheet.append(row)
    sheet["B2"].data_type = "s"
    sheet["D2"].number_format = "0.00 [$EUR]"
    sheet["A3"].font = Font(bold=True)
    workbook.save("a.xlsx")
    copy_rows("a.xlsx", [], [(Path("b.xlsx"), np.array([0, 2])), (Path("c.xlsm"), np.array([1]))])
    before, b, c = rows_of("a.xlsx"), rows_of("b.xlsx"), rows_of("c.xlsm")
    assert b == [before[0], before[1], before[3]]
    assert c == [before[0], before[2]]
    copied = load_workbook("b.xlsx").active
    assert (copied.title, copied["D2"].number_format) == ("May & June", "0.00 [$EUR]")
    assert copied["B2"].data_type == "s"
    with zipfile.ZipFile("c.xlsm") as archive:  # Excel opens no .xlsm of the other kind
        assert b"macroEnabled" in archive.read("[Content_Types].xml")
    assert load_workbook("c.xlsm").active["A2"].font.b
    kept = [row.kept for row in RowReader("b.xlsx", keep=["id", "when", "open"])]
    assert kept == [("007", "2024-02-01", "TRUE"), ("9", "", "#N/A")]


def test_copied_bytes_tell_no_time() -> None:
    write_rows("a.xlsx", row_of("text") + row_of("a"))
    for name in ("b.xlsx", "c.xlsx"):
        copy_rows("a.xlsx", [], [(Path(name), np.array([0]))])
    assert Path("b.xlsx").read_bytes() == Path("c.xlsx").read_bytes()


@pytest.mark.filterwarnings("ignore:Workbook contains no default style")
def test_odd_characters_and_days_from_1904_are_copied() -> None:
    strings = "<si><t>text</t></si><si><r><t>a_x000D_&amp;&#13;</t></r><r><t> </t></r></si>"
    rows = '<row><c t="s"><v>0</v></c></row><row r="4"><c t="s"><v>1</v></c><c s="1"><v>1</v></c>'
    styles = '<cellXfs><xf/><xf numFmtId="14"/></cellXfs>'
    parts = parts_of(
        {"S": sheet_of(row_of("x")), "T": sheet_of(rows + "</row>")},
        strings=strings,
        styles=styles,
        properties='date1904="1"',
    )
    write_parts("a.xlsx", parts)
    copy_rows("a.xlsx#T", [], [(Path("b.xlsx"), np.array([0]))])
    assert [row.text for row in RowReader("b.xlsx")] == ["a\r&\r "]
    copied = load_workbook("b.xlsx")
    assert (copied.sheetnames, copied.epoch.year) == (["T"], 1904)


def test_a_merged_cell_is_in_every_copied_row() -> None:
    rows = row_of("text", "label") + row_of("a", "x") + row_of("b")
    write_rows("a.xlsx", rows, '<mergeCells><mergeCell ref="B2:B3"/></mergeCells>')
    copy_rows("a.xlsx", [], [(Path("b.xlsx"), np.array([1]))])
    assert [row.label for row in RowReader("b.xlsx", labelled=True)] == ["x"]


def test_a_formula_that_was_never_calculated_is_not_copied_as_nothing() -> None:
    write_rows("a.xlsx", f"{row_of('text', 'x')}<row>{text_cell('a')}<c><f>A1</f></c></row>")
    with pytest.raises(DataError, match=r"^a.xlsx#S:2: cell B2 has a formula that was never"):
        copy_sheet(Path("a.xlsx"), None, [(Path("b.xlsx"), np.array([0]))])
    assert not Path("b.xlsx").exists()


def test_the_source_is_not_written_over() -> None:
    write_rows("a.xlsx", row_of("text"))
    with pytest.raises(UsageError, match="is the input itself"):
        copy_rows("a.xlsx#S", [], [(Path("a.xlsx"), np.array([0]))])
