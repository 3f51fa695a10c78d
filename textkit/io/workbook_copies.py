"""Copy chosen rows of a sheet into workbooks of their own: values and formats, no formulas.

In: a workbook, its sheet, and which of its rows go where. Out: workbooks with one sheet of the same
name, each with the row of the column names first; written as they are read, in constant memory.
The styles are the source's own, so that a date stays a date. Widths of columns, pictures and the
like are left behind, and a merged cell has its value in every row.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError
from textkit.io import files
from textkit.io.workbook_cells import Cell, cell_name
from textkit.io.workbook_xml import SheetRow
from textkit.io.workbooks import Sheet, open_sheet

Destination = tuple[Path, NDArray[np.int64]]

_YEAR = (1980, 1, 1, 0, 0, 0)  # the first that a zip archive can say: its bytes tell no time
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_SHEET_ML = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_WITH_MACROS = "application/vnd.ms-excel.sheet.macroEnabled.main+xml"
_THEME = "application/vnd.openxmlformats-officedocument.theme+xml"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def copy_sheet(
    source: Path,
    sheet: str | None,
    destinations: Sequence[Destination],
    last: Callable[[], object] | None = None,
) -> None:
    """Write each destination's rows, sorted row numbers from 0, in the order of the source.

    last: called when all is written and nothing has its name yet.

    Raises DataError for a cell without a value, as RowReader does for one that it needs.
    """
    with open_sheet(source, sheet) as rows, ExitStack() as stack:
        sinks = []
        for path, _ in destinations:
            file = stack.enter_context(files.atomic_file(path))
            sinks.append(stack.enter_context(_new_sheet(file, path, rows)))
        for sink in sinks:
            sink.write(_spell_row(rows, rows.header_row, 1))
        n_written = [0] * len(sinks)
        for number, row in enumerate(rows.rows()):
            for at, (sink, (_, wanted)) in enumerate(zip(sinks, destinations, strict=True)):
                if n_written[at] < len(wanted) and wanted[n_written[at]] == number:
                    n_written[at] += 1
                    sink.write(_spell_row(rows, row, n_written[at] + 1))
        if last is not None:
            last()


@contextmanager
def _new_sheet(file: IO[bytes], path: Path, sheet: Sheet) -> Iterator[IO[bytes]]:
    """Begin a workbook of one sheet; give the place for its rows."""
    copied = _copied_parts(sheet)
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {**_frame(path, sheet, list(copied)), **copied}.items():
            archive.writestr(_entry(name), data)
        with archive.open(_entry("xl/worksheets/sheet1.xml"), "w", force_zip64=True) as rows:
            rows.write(f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            yield rows
            rows.write(b"</sheetData></worksheet>")


def _copied_parts(sheet: Sheet) -> dict[str, bytes]:
    """Give the parts that the looks of a cell are told by."""
    parts, found = sheet.workbook.parts, {}
    for kind, part in parts.relations(parts.workbook).values():
        name = kind.rpartition("/")[2]
        if name in ("styles", "theme") and parts.has(part):
            found[f"xl/{name}.xml"] = parts.read(part)
    return found


def _frame(path: Path, sheet: Sheet, copied: Sequence[str]) -> dict[str, bytes]:
    """Give the parts that say what the others are."""
    main = f"{_SHEET_ML}.sheet.main+xml"
    kinds = {
        "xl/workbook.xml": _WITH_MACROS if path.suffix.lower() == ".xlsm" else main,
        "xl/worksheets/sheet1.xml": f"{_SHEET_ML}.worksheet+xml",
        "xl/styles.xml": f"{_SHEET_ML}.styles+xml",
        "xl/theme.xml": _THEME,
    }
    types = "".join(
        f'<Override PartName="/{name}" ContentType="{kind}"/>'
        for name, kind in kinds.items()
        if name in copied or name not in ("xl/styles.xml", "xl/theme.xml")
    )
    targets = {"rId1": ("worksheet", "worksheets/sheet1.xml")}
    for number, name in enumerate(copied, start=2):
        file = name.removeprefix("xl/")
        targets[f"rId{number}"] = (file.removesuffix(".xml"), file)
    since = '<workbookPr date1904="1"/>' if sheet.workbook.since_1904 else ""
    title = quoteattr(sheet.title)
    frame = {
        "[Content_Types].xml": (
            f'<Types xmlns="{_TYPES}"><Default Extension="rels"'
            ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{types}</Types>'
        ),
        "_rels/.rels": _relations({"rId1": ("officeDocument", "xl/workbook.xml")}),
        "xl/_rels/workbook.xml.rels": _relations(targets),
        "xl/workbook.xml": (
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">{since}<sheets>'
            f'<sheet name={title} sheetId="1" r:id="rId1"/></sheets></workbook>'
        ),
    }
    return {name: (_XML + text).encode() for name, text in frame.items()}


def _relations(targets: dict[str, tuple[str, str]]) -> str:
    inside = "".join(
        f'<Relationship Id="{key}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for key, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{_RELATIONS}">{inside}</Relationships>'


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _YEAR)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _spell_row(sheet: Sheet, row: SheetRow, number: int) -> bytes:
    """Write a row under another number; a cell that has a place in its own way keeps its style."""
    cells = [
        _spell_cell(sheet, row, column, number)
        for column in sorted(row.cells)
        if sheet.workbook.is_filled(row.cells[column])
    ]
    return f'<row r="{number}">{"".join(cells)}</row>'.encode()


def _spell_cell(sheet: Sheet, row: SheetRow, column: int, number: int) -> str:
    cell = row.cells[column]
    style = f' s="{cell.style}"' if cell.style else ""
    start = f'<c r="{cell_name(number, column)}"{style}'
    if cell.kind in ("n", "b", "e", "d"):
        return f'{start} t="{cell.kind}"><v>{escape(cell.value)}</v></c>'
    text = escape(_raw_text(sheet, row, column, cell), {"\r": "&#13;"})
    return f'{start} t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _raw_text(sheet: Sheet, row: SheetRow, column: int, cell: Cell) -> str:
    """Give a text as the workbook has it, with what stands for characters that XML has not."""
    try:
        return sheet.workbook.raw_text(cell)
    except ValueError as err:
        message = f"cell {cell_name(row.number, column)} {err}"
        raise DataError(message, where=f"{sheet.name}:{row.number}") from err
