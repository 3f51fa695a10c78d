"""Rows of workbooks: which sheet, which columns, and what a cell says."""

from __future__ import annotations

import tracemalloc
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from tests.io.sheets import parts_of, row_of, sheet_of, text_cell, write_parts, write_rows
from textkit.errors import DataError, TextkitError
from textkit.io.corpus import Row, RowReader
from textkit.io.inputs import expand_inputs
from textkit.io.workbooks import open_sheet

HEADER = row_of("text", "label")


def write(name: str, *rows: list[object], **sheets: list[list[object]]) -> None:
    """Write a workbook: the rows of its first sheet, and further sheets."""
    workbook = Workbook()
    first = workbook.active
    first.title = "Tickets"
    for row in rows:
        first.append(row)
    for title, more in sheets.items():
        sheet = workbook.create_sheet(title)
        for row in more:
            sheet.append(row)
    workbook.save(name)


def failure(path: str, **options: object) -> TextkitError:
    with pytest.raises(TextkitError) as caught:
        list(RowReader(path, **options))  # type: ignore[arg-type]
    return caught.value


def test_texts_and_labels_are_found_by_name() -> None:
    write("a.xlsx", ["id", "Body", "topic"], [1, "good", "x"], [2, "bad", "y"])
    reader = RowReader("a.xlsx", labelled=True)
    assert list(reader) == [Row("good", "x", 2), Row("bad", "y", 3)]
    assert (reader.name, reader.text_column, reader.n_rows) == ("a.xlsx#Tickets", "Body", 2)
    assert reader.notes() == [
        "a.xlsx#Tickets: text = 'Body', label = 'topic' (guessed; --text-column, --label-column)"
    ]


def test_columns_without_a_known_name_are_told_apart_by_their_cells() -> None:
    write("a.xlsx", ["kind", "what"], *[["xy"[n % 2], f"text {n}"] for n in range(9)])
    reader = RowReader("a.xlsx", labelled=True)
    assert next(iter(reader)) == Row("text 0", "x", 2)


def test_a_cell_is_spelled_as_a_csv_would_have_it() -> None:
    values = ["007", 7, 7.0, 0.1, True, date(2024, 2, 1), datetime(2024, 2, 1, 9, 30), None, "é\nü"]
    names = [f"c{n}" for n in range(len(values))]
    write("a.xlsx", ["text", *names], ["t", *values])
    (row,) = RowReader("a.xlsx", keep=names)
    assert row.kept == (
        *("007", "7", "7", "0.1", "TRUE", "2024-02-01", "2024-02-01T09:30:00", "", "é\nü"),
    )


def test_a_number_may_be_the_text_or_the_label() -> None:
    write("a.xlsx", ["text", "label"], [12, 1.0], [False, None])
    assert list(RowReader("a.xlsx", labelled=True)) == [Row("12", "1", 2), Row("FALSE", "", 3)]


def test_days_count_from_1904_where_the_workbook_says_so() -> None:
    rows = HEADER + f'<row>{text_cell("a")}<c s="1"><v>0.5</v></c></row>'
    rows += f'<row>{text_cell("b")}<c s="1"><v>366</v></c></row>'
    styles = '<cellXfs><xf/><xf numFmtId="14"/></cellXfs>'
    write_rows("a.xlsx", rows, styles=styles, properties='date1904="1"')
    labels = [row.label for row in RowReader("a.xlsx", labelled=True)]
    assert labels == ["12:00:00", "1905-01-01"]


def test_shared_texts_are_joined_from_their_runs_without_how_they_sound() -> None:
    strings = (
        "<si><t>text</t></si>"
        '<si><r><rPr><b/></rPr><t xml:space="preserve">rich </t></r><r><t>text_x000D_</t></r>'
        '<rPh sb="0" eb="1"><t>sound</t></rPh></si><si><t/></si>'
    )
    cells = "".join(f'<row><c t="s"><v>{n}</v></c></row>' for n in (0, 1, 2, 1))
    write_rows("a.xlsx", cells, strings=strings)
    reader = RowReader("a.xlsx")
    assert [row.text for row in reader] == ["rich text\r", "rich text\r"]
    assert reader.n_blank == 1
    write_rows("b.xlsx", cells + '<row><c t="s"><v>9</v></c></row>', strings=strings)
    assert str(failure("b.xlsx")) == (
        "b.xlsx#S:5: cell A5 points to a text that the workbook has not"
    )


def test_a_text_of_its_own_is_read_without_how_it_sounds() -> None:
    runs = "<r><t>rich </t></r><rPh><t>sound</t></rPh><r><t>text</t></r>"
    cell = f'<c t="inlineStr"><is>{runs}</is></c>'
    write_rows("a.xlsx", f"{row_of('text')}<row>{cell}</row>")
    assert [row.text for row in RowReader("a.xlsx")] == ["rich text"]


def test_halves_of_pairs_become_one_character_or_none() -> None:
    write_rows("a.xlsx", row_of("text") + row_of("_xD83D__xDE00_", "x") + row_of("_xD83D_!"))
    reader = RowReader("a.xlsx")
    assert [row.text for row in reader] == ["😀", "\ufffd!"]
    assert reader.notes()[-1] == "a.xlsx#S: lone surrogates became U+FFFD in 1 fields"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ('<c t="e"><f>1/0</f><v>#DIV/0!</v></c>', "cell B2 is #DIV/0!, an error of its formula"),
        ("<c><f>A1</f></c>", "cell B2 has a formula that was never calculated; open the workbook"),
        ("<c><f>A1</f><v></v></c>", "cell B2 has a formula that was never calculated"),
        ("<c><v>1,5</v></c>", "cell B2 holds '1,5', which is no number"),
    ],
)
def test_a_cell_without_a_value_is_a_bad_row_that_names_it(cell: str, said: str) -> None:
    rows = f"{HEADER}<row>{text_cell('a')}{cell}</row>{row_of('b', 'y')}"
    write_rows("a.xlsx", rows)
    assert str(failure("a.xlsx", labelled=True)).startswith(f"a.xlsx#S:2: {said}")
    reader = RowReader("a.xlsx", labelled=True, on_bad="skip")
    assert list(reader) == [Row("b", "y", 3)]
    assert len(reader.rejects) == 1
    assert [row.text for row in RowReader("a.xlsx", text_column="text")] == ["a", "b"]


def test_formulas_have_the_value_that_was_calculated_last() -> None:
    row = '<row><c><f>1+1</f><v>2</v></c><c t="str"><f>""</f><v></v></c></row>'
    write_rows("a.xlsx", HEADER + row + row_of("b", "y"))
    assert [(row.text, row.label) for row in RowReader("a.xlsx", labelled=True)] == [
        ("2", ""),
        ("b", "y"),
    ]


def test_an_error_may_be_kept() -> None:
    write("a.xlsx", ["text", "found"], ["a", "#N/A"])
    assert next(iter(RowReader("a.xlsx", keep=["found"]))).kept == ("#N/A",)
    write_rows("b.xlsx", f"{row_of('text', 'x')}<row>{text_cell('a')}<c><f>A1</f></c></row>")
    assert "cell B2 has a formula" in str(failure("b.xlsx", keep=["x"]))


def test_blank_rows_between_others_are_counted_and_those_at_the_end_are_not() -> None:
    rows = f'<row r="3">{text_cell("text")}</row><row r="5">{text_cell("a")}</row><row/>'
    rows += (
        f'<row><c s="1"/>{text_cell("")}</row><row>{text_cell("b")}</row><row r="999"><c/></row>'
    )
    write_rows("a.xlsx", rows)
    reader = RowReader("a.xlsx")
    assert [(row.text, row.line) for row in reader] == [("a", 5), ("b", 8)]
    assert reader.n_blank == 3
    assert "a.xlsx#S: 3 blank rows of the sheet are no rows" in reader.notes()


def test_columns_without_a_name_are_as_in_a_csv_and_those_at_the_end_are_counted() -> None:
    rows = row_of("", "text", "", "id", "", "") + row_of("0", "a", "", "7", "", "see Bob")
    write_rows("a.xlsx", rows + row_of("", "", "", "", "note") + row_of("1", "b"))
    reader = RowReader("a.xlsx", keep=["id"])
    assert [(row.text, row.kept) for row in reader] == [("a", ("7",)), ("b", ("",))]
    assert reader.notes()[1:] == [
        "a.xlsx#S: 2 cells stand in columns without a name and are not read, the first: F2",
        "a.xlsx#S: 1 blank rows of the sheet are no rows",
    ]


def test_two_columns_of_one_name_are_refused_where_they_are_read() -> None:
    write("a.xlsx", ["text", "id", "text"], ["a", "b", "c"])
    assert str(failure("a.xlsx")) == (
        "a.xlsx#Tickets:1: 2 columns are named 'text' (columns 1, 3); rename all but one of them"
    )
    with pytest.raises(DataError, match="cell B1 has a formula that was never calculated"):
        write_rows("b.xlsx", f"<row>{text_cell('text')}<c><f>A1</f></c></row>")
        list(RowReader("b.xlsx"))


def test_text_and_label_may_be_made_of_several_columns() -> None:
    write("a.xlsx", ["head", "body", "sport", "money"], ["h", 3, 1, 0], ["g", "b", True, 2])
    options = {"text_column": "{head}: {body}", "label_column": "sport,money", "on_bad": "skip"}
    reader = RowReader("a.xlsx", **options)  # type: ignore[arg-type]
    assert list(reader) == [Row("h: 3", "sport", 2, listed=True)]
    assert reader.rejects == [
        "a.xlsx#Tickets:3: 'money' is '2'; a column of one label holds 0 or 1"
    ]


def test_a_merged_cell_gives_its_value_to_its_rows() -> None:
    workbook = Workbook()
    sheet = workbook.active
    for row in (["text", "label"], ["a", "x"], ["b"], [None], ["c"], ["d", "y"], [None, "z"]):
        sheet.append(row)
    for area in ("A1:A1", "B2:B5", "A6:A9"):
        sheet.merge_cells(area)
    workbook.save("a.xlsx")
    reader = RowReader("a.xlsx", labelled=True)
    assert [(row.text, row.label, row.line) for row in reader] == [
        ("a", "x", 2),
        ("b", "x", 3),
        ("c", "x", 5),
        ("d", "y", 6),
        ("d", "z", 7),
    ]
    assert reader.notes()[1:] == [
        "a.xlsx#Sheet: 3 cells took the value of the cell above that they are merged with",
        "a.xlsx#Sheet: 1 blank rows of the sheet are no rows",
    ]


def test_merged_cells_are_found_wherever_they_stand() -> None:
    rows = HEADER + (row_of("a", "x") + row_of("b")) * 2500
    merges = "".join(f'<mergeCell ref="B{n}:B{n + 1}"/>' for n in range(2, 5002, 2))
    write_rows("a.xlsx", rows, f"<mergeCells>{merges}</mergeCells>")
    assert {row.label for row in RowReader("a.xlsx", labelled=True)} == {"x"}


def test_a_merge_of_the_header_or_along_a_row_fills_nothing() -> None:
    rows = HEADER + f"<row>{text_cell('a')}</row>" + f"<row>{text_cell('b')}</row>"
    merges = '<mergeCell ref="B1:B9"/><mergeCell ref="A2:B2"/>'
    write_rows("a.xlsx", rows, f"<mergeCells>{merges}</mergeCells>")
    assert [row.label for row in RowReader("a.xlsx", labelled=True)] == ["", ""]


def test_a_named_sheet_is_read_whatever_its_case() -> None:
    write("a.xlsx", ["text"], ["a"], **{"My sheet": [["text"], ["b"]], "Empty": []})
    assert [row.text for row in RowReader("a.xlsx#my Sheet")] == ["b"]
    assert RowReader("a.xlsx#My sheet").format == "xlsx"
    assert str(failure("a.xlsx#Tickts")) == (
        "a.xlsx: unknown sheet 'Tickts'; did you mean 'Tickets'? known: Empty, My sheet, Tickets"
    )
    assert str(failure("a.xlsx#Empty")) == (
        "a.xlsx#Empty: the sheet is empty; expected a row of column names, then rows"
    )


def test_the_first_sheet_that_holds_something_is_read_and_said() -> None:
    write("a.xlsx", Data=[["text"], ["a"]], More=[["x"]])
    reader = RowReader("a.xlsx")
    assert [row.text for row in reader] == ["a"]
    assert reader.notes()[1] == (
        "a.xlsx: sheet 'Data' is read, the first of 2; name another as 'a.xlsx#More'"
    )
    write("b.xlsx")
    assert str(failure("b.xlsx")) == (
        "b.xlsx: no sheet holds anything; expected a row of column names, then rows"
    )


def test_a_hidden_sheet_is_read_where_it_is_named_or_alone() -> None:
    parts = parts_of({"H": sheet_of(row_of("text", "h")), "S": sheet_of(row_of("text") * 2)})
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace('"H"', '"H" state="hidden"')
    write_parts("a.xlsx", parts)
    reader = RowReader("a.xlsx")
    assert [row.text for row in reader] == ["text"]
    assert len(reader.notes()) == 1
    with open_sheet(Path("a.xlsx"), "H") as sheet:
        assert sheet.header == ["text", "h"]


def test_a_file_of_that_very_name_is_no_sheet() -> None:
    write("a.xlsx", ["text"], ["a"])
    Path("a.xlsx").rename("b.xlsm#1.xlsx")
    assert [row.text for row in RowReader("b.xlsm#1.xlsx")] == ["a"]


def test_workbooks_in_folders_and_globs_are_inputs() -> None:
    Path("in").mkdir()
    for name in ("in/a.xlsx", "in/b.XLSM", "in/~$a.xlsx"):
        write(name, ["text"], ["a"])
    assert expand_inputs(["in"]) == ["in/a.xlsx", "in/b.XLSM"]
    assert expand_inputs(["in/a*.xlsx#May"]) == ["in/a.xlsx#May"]


def test_wrong_dimensions_are_not_believed() -> None:
    rows = row_of("text", "label") + row_of("a", "x")
    xml = sheet_of(rows).replace("<sheetData>", '<dimension ref="A1:A1"/><sheetData>')
    write_parts("a.xlsx", parts_of({"S": xml}))
    assert list(RowReader("a.xlsx", labelled=True)) == [Row("a", "x", 2)]


CELLS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=8)
    .filter(lambda text: not ILLEGAL_CHARACTERS_RE.search(text))
    .filter(lambda text: not text.startswith(("=", "#")) and "_x" not in text),
    st.integers(-(10**12), 10**12),
    st.booleans(),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=6))
def test_what_openpyxl_writes_and_reads_is_read(rows: list[tuple[object, object]]) -> None:
    write("a.xlsx", ["text", "label"], *[list(row) for row in rows])
    seen = load_workbook("a.xlsx").active.iter_rows(min_row=2, values_only=True)
    wanted = [tuple(map(_spell, row)) for row in seen]
    found = [(row.text, row.label) for row in RowReader("a.xlsx", labelled=True)]
    assert found == [row for row in wanted if any(row)]


def _spell(value: object) -> str:
    return "" if value is None else str(value).upper() if value in (True, False) else str(value)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows() -> None:
    def peak(n_rows: int) -> int:
        strings = "<si><t>text</t></si>"
        strings += "".join(f"<si><t>{'words ' * 20}{n}</t></si>" for n in range(n_rows))
        cells = "".join(f'<row><c t="s"><v>{n}</v></c></row>' for n in range(n_rows + 1))
        write_rows("a.xlsx", cells, strings=strings)
        tracemalloc.start()
        try:
            assert sum(1 for _ in RowReader("a.xlsx")) == n_rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    assert peak(12_000) < peak(4000) + 8000 * 24
