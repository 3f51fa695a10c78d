"""The rows of a sheet of a workbook (.xlsx, .xlsm), streamed in constant memory.

In: a path, and perhaps the name of a sheet. Out: the names of its columns, and its rows with the
cells that hold something. Texts that cells share lie in a temporary file, not in memory.

1. The first sheet that can be seen and holds something is read, unless one is named.
2. The first row that holds something names the columns; columns behind the last name are no part
   of the table, and what stands there is counted.
3. A row whose cells are all empty is none; those between others are counted, those at the end not.
4. A cell that is merged over several rows gives its value to each of them that holds something
   else too.

openpyxl, which reads workbooks too, needs 1.9 times the time and for 200,000 rows 97 MB where this
needs 22 (benchmarks/workbooks.py), and it gives a formula without a value as an empty cell.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from textkit.errors import DataError, TextkitError, unknown_name
from textkit.io.text_lines import DEFAULT_LIMIT, RowLimit
from textkit.io.workbook_cells import (
    Cell,
    Shown,
    cell_name,
    column_number,
    shown_as,
    spell_number,
    unescape,
)
from textkit.io.workbook_parts import Parts, attribute, open_parts
from textkit.io.workbook_xml import SharedTexts, SheetReader, SheetRow


class Workbook:
    """An open workbook: its sheets, number formats and shared texts."""

    def __init__(self, parts: Parts, file: IO[bytes], limit: RowLimit) -> None:
        self.parts, self.limit = parts, limit
        relations = parts.relations(parts.workbook)
        of_kind = {kind.rpartition("/")[2]: part for kind, part in relations.values()}
        self.sheets: dict[str, str] = {}  # its part by the name of a sheet
        self.hidden: set[str] = set()
        self.since_1904 = False
        for _, name, attributes in parts.elements(parts.workbook):
            if name == "workbookPr":
                self.since_1904 = attributes.get("date1904", "0") in ("1", "true", "on")
            elif name == "sheet":
                kind, part = relations.get(attribute(attributes, "id") or "", ("", ""))
                if kind.endswith("/worksheet") and parts.has(part):
                    self.sheets[attributes["name"]] = part
                    if attributes.get("state", "visible") != "visible":
                        self.hidden.add(attributes["name"])
        self.styles = of_kind.get("styles")
        self.shown = _read_styles(parts, self.styles)
        self.texts = SharedTexts(file, limit, parts.where)
        if "sharedStrings" in of_kind:
            for _ in parts.parse(of_kind["sharedStrings"], self.texts):
                pass

    def choose(self, wanted: str | None) -> tuple[str, list[str]]:
        """Give the name of the sheet to read, and of all those that it was chosen from."""
        if wanted is not None:
            alike = [name for name in self.sheets if name.casefold() == wanted.casefold()]
            if not alike:
                known = unknown_name("sheet", wanted, self.sheets)
                raise DataError(known, where=self.parts.where)
            return wanted if wanted in self.sheets else alike[0], []
        filled = [name for name in self.sheets if next(self.rows(name), None) is not None]
        seen = [name for name in filled if name not in self.hidden] or filled
        if not seen:
            raise DataError(
                "no sheet holds anything; expected a row of column names, then rows",
                where=self.parts.where,
            )
        return seen[0], seen

    def rows(self, sheet: str) -> Iterator[SheetRow]:
        """Give the rows of a sheet that hold something."""
        where = f"{self.parts.where}#{sheet}"
        reader = SheetReader(self.limit, where)
        for _ in self.parts.parse(self.sheets[sheet], reader):
            for row in reader.ready:
                if any(map(self.is_filled, row.cells.values())):
                    yield row
            reader.ready.clear()

    def spell(self, cell: Cell, *, errors: bool) -> str:
        """Spell a cell; ValueError says what is wrong with it. errors: an error is spelled too."""
        kind, style, value = cell
        if kind == "n":
            shown = self.shown[style] if 0 <= style < len(self.shown) else "number"
            return spell_number(value.strip(), shown, since_1904=self.since_1904)
        if kind == "b":
            return "TRUE" if value.strip() in ("1", "true") else "FALSE"
        if kind == "e" and not errors:
            raise ValueError(f"is {value}, an error of its formula; correct it")
        return unescape(self.raw_text(cell))

    def raw_text(self, cell: Cell) -> str:
        """Give the text of a cell with its escapes; ValueError for one that has none."""
        if cell.kind == "f":
            raise ValueError(
                "has a formula that was never calculated; open the workbook in a spreadsheet"
                " program and save it"
            )
        if cell.kind != "s":
            return cell.value
        place = int(cell.value)
        if not 0 <= place < len(self.texts):
            raise ValueError("points to a text that the workbook has not")
        return self.texts[place]

    def is_filled(self, cell: Cell) -> bool:
        """Tell whether a cell shows anything."""
        if cell.kind != "s":
            return True
        place = int(cell.value)
        return not 0 <= place < len(self.texts) or self.texts.size(place) > 0


def _read_styles(parts: Parts, part: str | None) -> list[Shown]:
    """Give what a number is shown as, by the style of its cell."""
    if part is None or not parts.has(part):
        return []
    elements = parts.elements(part)
    codes = {
        int(attributes.get("numFmtId", 0)): attributes.get("formatCode")
        for _, name, attributes in elements
        if name == "numFmt"
    }
    numbers = [
        int(attributes.get("numFmtId", 0))
        for above, name, attributes in elements
        if above == "cellXfs" and name == "xf"
    ]
    return [shown_as(number, codes.get(number)) for number in numbers]


@dataclass
class Sheet:
    """A sheet that is read: `header` has the names of its columns, `rows` gives what follows.

    others: the sheets that hold something where none was named, this one too. While rows are read,
    n_blank counts the empty rows between them, n_merged the cells that took a value from above,
    n_beside the cells behind the columns; first_beside is the first of those.
    """

    title: str
    header_row: SheetRow
    header: list[str]
    others: list[str]
    workbook: Workbook
    n_blank: int = 0
    n_merged: int = 0
    n_beside: int = 0
    first_beside: str = ""

    def rows(self) -> Iterator[SheetRow]:
        """Give the rows below the names of the columns, once."""
        merged = _Merged(self.workbook.parts.merged(self.workbook.sheets[self.title]))
        width, last = len(self.header), self.header_row.number
        is_filled = self.workbook.is_filled
        for row in self.workbook.rows(self.title):
            number, cells = row
            if number <= self.header_row.number:
                continue
            if cells and max(cells) >= width:
                self._count_beside(row, width)
            if not any(column < width and is_filled(cell) for column, cell in cells.items()):
                continue
            self.n_blank += number - last - 1
            last = number
            self.n_merged += merged.fill(row)
            yield row

    @property
    def name(self) -> str:
        """The names of the file and the sheet, as messages and inputs have them."""
        return f"{self.workbook.parts.where}#{self.title}"

    def _count_beside(self, row: SheetRow, width: int) -> None:
        for column, cell in row.cells.items():
            if column >= width and self.workbook.is_filled(cell):
                self.first_beside = self.first_beside or cell_name(row.number, column)
                self.n_beside += 1

    def spell(self, row: SheetRow, column: int, *, errors: bool = False) -> str:
        """Spell a cell, an empty one as nothing; ValueError names one that has no value."""
        cell = row.cells.get(column)
        if cell is None:
            return ""
        try:
            return self.workbook.spell(cell, errors=errors)
        except ValueError as err:
            raise ValueError(f"cell {cell_name(row.number, column)} {err}") from None

    def show(self, row: SheetRow) -> list[str]:
        """Spell all cells of the table, those that have no value as nothing."""
        return [self._try(row, column) for column in range(len(self.header))]

    def _try(self, row: SheetRow, column: int) -> str:
        try:
            return self.spell(row, column, errors=True)
        except ValueError:
            return ""

    def notes(self) -> list[str]:
        """Say what was chosen, filled in and passed over, for the user to see."""
        notes, where = [], self.workbook.parts.where
        if len(self.others) > 1:
            notes.append(
                f"{where}: sheet '{self.title}' is read, the first of {len(self.others)}; name"
                f" another as '{where}#{self.others[1]}'"
            )
        if self.n_merged:
            notes.append(
                f"{self.name}: {self.n_merged:,} cells took the value of the cell above that they"
                " are merged with"
            )
        if self.n_beside:
            notes.append(
                f"{self.name}: {self.n_beside:,} cells stand in columns without a name and are not"
                f" read, the first: {self.first_beside}"
            )
        return notes


class _Merged:
    """Cells merged over several rows, in order of the first."""

    def __init__(self, merged: list[tuple[bytes, int, int]]) -> None:
        self.coming = [
            (first, last, column_number(column.decode("ascii")))
            for column, first, last in reversed(merged)
        ]
        self.open: dict[int, tuple[int, Cell]] = {}  # last row and value by column

    def fill(self, row: SheetRow) -> int:
        """Give a row the values of the merged cells above it; say how many."""
        n_filled = 0
        for column, (last, cell) in list(self.open.items()):
            if row.number > last:
                del self.open[column]
            elif column not in row.cells:
                row.cells[column] = cell
                n_filled += 1
        while self.coming and self.coming[-1][0] <= row.number:
            first, last, column = self.coming.pop()
            if first == row.number and column in row.cells:
                self.open[column] = (last, row.cells[column])
        return n_filled


@contextmanager
def open_sheet(
    path: Path | None, sheet: str | None = None, *, limit: RowLimit = DEFAULT_LIMIT
) -> Iterator[Sheet]:
    """Open a sheet of a workbook, None for standard input; DataError for what is none, in the block
    too.

    >>> from openpyxl import Workbook
    >>> book = Workbook()
    >>> book.active.append(["text", "label"])
    >>> book.active.append(["good film", 1])
    >>> book.save("a.xlsx")
    >>> with open_sheet(Path("a.xlsx")) as sheet:
    ...     sheet.name, sheet.header, [sheet.show(row) for row in sheet.rows()]
    ('a.xlsx#Sheet', ['text', 'label'], [['good film', '1']])
    """
    with open_parts(path) as parts, tempfile.TemporaryFile() as file:
        try:
            workbook = Workbook(parts, file, limit)
        except (KeyError, ValueError) as err:
            raise err if isinstance(err, TextkitError) else parts.damaged(err) from err
        title, others = workbook.choose(sheet)
        name = f"{parts.where}#{title}"
        row = next(workbook.rows(title), None)
        if row is None:
            raise DataError(
                "the sheet is empty; expected a row of column names, then rows", where=name
            )
        yield Sheet(title, row, _read_header(workbook, row, name), others, workbook)


def _read_header(workbook: Workbook, row: SheetRow, name: str) -> list[str]:
    """Give the names of the columns, up to the last that is none."""
    header = [""] * (max(row.cells) + 1)
    for column, cell in row.cells.items():
        try:
            header[column] = workbook.spell(cell, errors=True)
        except ValueError as err:
            message = f"cell {cell_name(row.number, column)} {err}"
            raise DataError(message, where=f"{name}:{row.number}") from err
    while header and not header[-1]:
        header.pop()
    return header
