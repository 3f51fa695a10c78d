"""What stands in the XML of a workbook: the texts that cells share, and the rows of a sheet.

In: the elements of a part, as they come. Out: shared texts in a temporary file, 8 bytes of memory
each; rows with those cells that hold something, as soon as each is whole.
"""

from __future__ import annotations

from array import array
from typing import IO, NamedTuple

from textkit.errors import DataError
from textkit.io.text_lines import RowLimit
from textkit.io.workbook_cells import Cell, column_number

# A sheet of Excel has at most so many columns, and a million rows; other programs write more.
_N_COLUMNS, _N_ROWS = 16_384, 1 << 31


class SheetRow(NamedTuple):
    """A row by its number, from 1, with its cells by column, from 0."""

    number: int
    cells: dict[int, Cell]


class SharedTexts:
    """The texts that cells share, one behind the other in a temporary file.

    Reading is the handler of an XML part; afterwards `texts[3]` gives one.
    """

    def __init__(self, file: IO[bytes], limit: RowLimit, where: str) -> None:
        self.file, self.limit, self.where = file, limit, where
        self.ends = array("Q", [0])
        self._pieces: list[str] = []
        self._n_bytes = 0
        self._is_text = self._is_sound = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "t":
            self._is_text = not self._is_sound
        elif name == "si":
            self._pieces, self._n_bytes = [], 0
        elif name == "rPh":  # how the text is pronounced
            self._is_sound = True

    def end(self, name: str) -> None:
        if name == "t":
            self._is_text = False
        elif name == "rPh":
            self._is_sound = False
        elif name == "si":
            data = "".join(self._pieces).encode()
            self.file.write(data)
            self.ends.append(self.ends[-1] + len(data))

    def text(self, data: str) -> None:
        if self._is_text:
            self._n_bytes += len(data)
            if self._n_bytes > self.limit.n_bytes:
                raise self.limit.error("a text", self.where)
            self._pieces.append(data)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def size(self, place: int) -> int:
        """Give the bytes of a text."""
        return self.ends[place + 1] - self.ends[place]

    def __getitem__(self, place: int) -> str:
        self.file.seek(self.ends[place])
        return self.file.read(self.size(place)).decode("utf-8")


class SheetReader:
    """The handler of a sheet: gathers whole rows in `ready`."""

    def __init__(self, limit: RowLimit, where: str) -> None:
        self.limit, self.where, self.most_bytes = limit, where, limit.n_bytes
        self.columns: dict[str, int] = {}  # by their letters
        self.ready: list[SheetRow] = []
        self.row, self.column = 0, -1
        self.cells: dict[int, Cell] = {}
        self.n_bytes = 0
        self.is_value = self.is_sound = self.has_formula = self.has_value = False
        self.pieces: list[str] = []
        self.kind, self.style = "n", 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._start_cell(attributes)
        elif name == "v":
            self.is_value = self.has_value = True
        elif name == "t":
            self.is_value = self.has_value = not self.is_sound
        elif name == "f":
            self.has_formula = True
        elif name == "rPh":
            self.is_sound = True
        elif name == "row":
            self._start_row(attributes)

    def _start_row(self, attributes: dict[str, str]) -> None:
        number = attributes.get("r")
        row = self.row + 1 if number is None else _whole(number)
        if not self.row < row <= _N_ROWS:
            raise DataError(
                f"row {row} stands behind row {self.row}; the sheet is damaged", where=self.where
            )
        self.row, self.column = row, -1
        self.cells, self.n_bytes = {}, 0

    def _start_cell(self, attributes: dict[str, str]) -> None:
        place = attributes.get("r")
        if place is None:
            self.column += 1
        else:
            letters = place.rstrip("0123456789")
            column = self.columns.get(letters)
            self.column = self._find_column(letters) if column is None else column
        self.kind, self.style = attributes.get("t", "n"), int(attributes.get("s", 0))
        self.has_formula = self.has_value = False
        self.pieces = []

    def _find_column(self, letters: str) -> int:
        column = column_number(letters)
        if not 0 <= column < _N_COLUMNS:
            raise DataError(
                f"a cell of row {self.row} has no such column: {letters[:20]!r}; the sheet is"
                " damaged",
                where=self.where,
            )
        self.columns[letters] = column
        return column

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self.is_value = False
        elif name == "c":
            self._end_cell()
        elif name == "rPh":
            self.is_sound = False
        elif name == "row":
            self.ready.append(SheetRow(self.row, self.cells))

    def _end_cell(self) -> None:
        value = "".join(self.pieces)
        kind = "str" if self.kind == "inlineStr" else self.kind
        if value:
            if kind == "s":
                int(value)  # a place among the shared texts
            self.cells[self.column] = Cell(kind, self.style, value)
        elif self.has_formula and not (kind == "str" and self.has_value):
            self.cells[self.column] = Cell("f", self.style, "")

    def text(self, data: str) -> None:
        if self.is_value:
            self.n_bytes += len(data)
            if self.n_bytes > self.most_bytes:
                raise self.limit.error("the row", f"{self.where}:{self.row}")
            self.pieces.append(data)


def _whole(number: str) -> int:
    """Read the number of a row, which some programs write as 5.0."""
    return int(number.removesuffix(".0"))
