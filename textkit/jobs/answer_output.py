"""Answers as a file: csv, tsv, JSON lines or Parquet, made part by part and joined to one.

In: a part of rows and the columns of its answers. Out: the bytes of a part without a header, or a
Parquet file of it; at the end one file under its name, whole or not at all.

1. A text output spells values: a number with all its digits, nothing as an empty cell.
2. In Parquet a kept column has the type of the inputs where they all are Parquet or Arrow. One of
   JSON has none: its parts hold the values as JSON, and what kinds of them there were in all the
   parts decides the type when they are joined.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from textkit.io import files
from textkit.io.bulk import Part, write_table
from textkit.io.kept_values import spell_cell, spell_row, to_json

if TYPE_CHECKING:
    import pyarrow

    from textkit.jobs.answers import AnswerColumn

TEXT_OUTPUTS, OUTPUTS = ("csv", "tsv", "jsonl"), ("csv", "tsv", "jsonl", "parquet")
# What a cell begins with that a spreadsheet takes for a formula.
RUNS = ("=", "+", "-", "@", "\t", "\r")
# Whole numbers that a column of numbers with fractions holds exactly, and that 8 bytes hold.
_EXACT, _INT64 = range(-(1 << 53), (1 << 53) + 1), range(-(1 << 63), 1 << 63)
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class _Plain(csv.excel):
    lineterminator = "\n"


class _Quoted(_Plain):
    quoting = csv.QUOTE_ALL


@dataclass(frozen=True)
class AnswerTable:
    """The columns of an output, and how their values are written; can be pickled.

    - keep: names of the kept columns. declared: the Arrow types of those whose inputs have types.
    - text: the text of a row stands there too.
    - answers: what the model says. label_type: the Arrow type of a label.
    - separator: between the labels of a cell. safe: put ' before what a spreadsheet would run.
    """

    output: str
    keep: tuple[str, ...]
    text: bool
    answers: Sequence[AnswerColumn]
    label_type: pyarrow.DataType
    declared: Mapping[str, pyarrow.DataType] = field(default_factory=dict)
    separator: str = "|"
    safe: bool = False

    @property
    def names(self) -> list[str]:
        """The columns in their order."""
        own = ["text"] if self.text else []
        return ["row", *self.keep, *own, *(column.name for column in self.answers)]

    def header(self) -> bytes:
        """Spell the line of the names; nothing for JSON lines."""
        if self.output == "jsonl":
            return b""
        return self._lines([[self._guard(name)] for name in self.names])

    def spell(self, part: Part, answers: Sequence[list[object]]) -> bytes:
        """Spell the rows of a part in one of TEXT_OUTPUTS, in UTF-8."""
        rows = list[object](range(part.first_row, part.first_row + len(part.rows)))
        kept = [list[object](column) for column in _kept_columns(part, len(self.keep))]
        texts = [list[object](part.texts)] if self.text else []
        if self.output == "jsonl":
            return _json_lines(self.names, [rows, *kept, *texts, *answers])
        spelled = ([self._guard(spell_cell(value)) for value in c] for c in [*kept, *texts])
        columns: list[list[Any]] = [rows, *spelled]
        for column, values in zip(self.answers, answers, strict=True):
            columns.append(values if column.kind == "number" else self._cells(values))
        return self._lines(columns)

    def write(self, path: Path, part: Part, answers: Sequence[list[object]]) -> None:
        """Write a part as Parquet: declared types, other kept columns as JSON."""
        import pyarrow

        columns: dict[str, pyarrow.Array] = {}
        for name, values in zip(self.keep, _kept_columns(part, len(self.keep)), strict=True):
            kind = self.declared.get(name)
            if kind is None:
                columns[name] = pyarrow.array([to_json(value) for value in values])
            else:
                columns[name] = pyarrow.array(values, kind)
        if self.text:
            columns["text"] = pyarrow.array(part.texts, pyarrow.string())
        for column, values in zip(self.answers, answers, strict=True):
            columns[column.name] = pyarrow.array(values, self.type_of(column))
        write_table(path, part, columns, keep=(), parquet={"compression": "zstd"})

    def type_of(self, column: AnswerColumn) -> pyarrow.DataType:
        """Give the Arrow type of a column of answers."""
        import pyarrow

        kind = pyarrow.float64() if column.kind.startswith("number") else self.label_type
        return pyarrow.list_(kind) if column.kind.endswith("s") else kind

    def _cells(self, values: Iterable[object]) -> list[object]:
        """Spell labels, and lists of labels or numbers."""
        return [
            self._guard(
                self.separator.join(map(str, value))
                if isinstance(value, list)
                else ""
                if value is None
                else str(value)
            )
            for value in values
        ]

    def _guard(self, cell: str) -> str:
        """Put ' before what a spreadsheet would run; a number is left alone."""
        if not self.safe or not cell.startswith(RUNS):
            return cell
        try:
            float(cell)
        except ValueError:
            return "'" + cell
        return cell

    def _lines(self, columns: Sequence[Sequence[object]]) -> bytes:
        rows = zip(*columns, strict=True)
        if self.output == "tsv":  # which has no quotes: escaped as `textkit tokenize --to tsv` does
            lines = ("\t".join(str(v).translate(_ESCAPES) for v in row) + "\n" for row in rows)
            return "".join(lines).encode("utf-8", "backslashreplace")
        made = io.StringIO(newline="")
        csv.writer(made, _Plain).writerows(rows)
        if "\r" in made.getvalue():  # which Python quotes from 3.13 on alone
            made = io.StringIO(newline="")
            for row in zip(*columns, strict=True):
                quoted = any("\r" in str(cell) for cell in row)
                csv.writer(made, _Quoted if quoted else _Plain).writerow(row)
        return made.getvalue().encode("utf-8", "backslashreplace")


def _json_lines(names: Sequence[str], columns: Sequence[Sequence[object]]) -> bytes:
    """Spell rows as JSON objects; what is no finite number becomes null."""
    rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
    lines = "".join(spell_row(row) + "\n" for row in rows)
    return lines.encode("utf-8", "backslashreplace")


def _kept_columns(part: Part, n: int) -> list[list[object]]:
    return [[row.kept[at] for row in part.rows] for at in range(n)]


def find_kinds(part: Part, keep: Sequence[str]) -> dict[str, list[str]]:
    """Say of each kept column what kinds of values a part has of it: int, big (an int that no float
    holds exactly), float, bool, str, other.
    """
    kinds = {}
    for name, values in zip(keep, _kept_columns(part, len(keep)), strict=True):
        here = {_kind(value) for value in values if value is not None}
        kinds[name] = sorted(here)
    return kinds


def _kind(value: object) -> str:
    name = type(value).__name__
    if name == "int" and value not in _EXACT:
        return "big" if value in _INT64 else "other"
    return name if name in ("int", "float", "bool", "str") else "other"


def join_parts(
    out: Path, parts: Sequence[Path], table: AnswerTable, kinds: Mapping[str, Sequence[str]]
) -> None:
    """Write one file of all parts, in order; kinds: of the values of kept columns, over all."""
    with files.atomic_file(out) as file:
        if table.output == "parquet":
            _join_tables(file, parts, table, kinds)
            return
        file.write(table.header())
        for path in parts:
            with open(path, "rb") as rows:
                shutil.copyfileobj(rows, file, 1 << 20)


def _join_tables(
    file: IO[bytes],
    parts: Sequence[Path],
    table: AnswerTable,
    kinds: Mapping[str, Sequence[str]],
) -> None:
    import pyarrow
    from pyarrow import parquet

    types = {
        name: _type_of_kinds(kinds.get(name, ()))
        for name in table.keep
        if name not in table.declared
    }
    columns = [pyarrow.field("row", pyarrow.int64())]
    columns += [pyarrow.field(n, table.declared.get(n) or types[n]) for n in table.keep]
    columns += [pyarrow.field("text", pyarrow.string())] if table.text else []
    columns += [pyarrow.field(c.name, table.type_of(c)) for c in table.answers]
    schema = pyarrow.schema(columns)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for path in parts:
            part = parquet.read_table(path)
            for name, kind in types.items():
                values = _typed(part.column(name).to_pylist(), kind)
                at = part.schema.get_field_index(name)
                part = part.set_column(at, name, pyarrow.array(values, kind))
            writer.write_table(part.cast(schema))


def _type_of_kinds(kinds: Sequence[str]) -> pyarrow.DataType:
    """Choose the type that holds all values of a column; text where no other does."""
    import pyarrow

    known = set(kinds)
    if known and known <= {"int", "big"}:
        return pyarrow.int64()
    if known and known <= {"int", "float"}:
        return pyarrow.float64()
    return pyarrow.bool_() if known == {"bool"} else pyarrow.string()


def _typed(spelled: Iterable[str | None], kind: pyarrow.DataType) -> Iterator[object]:
    """Read values that were spelled as JSON; for a column of text those that are no text stay as
    they were spelled.
    """
    import pyarrow

    for text in spelled:
        value = None if text is None else json.loads(text)
        if value is None or not pyarrow.types.is_string(kind):
            yield float(value) if value is not None and pyarrow.types.is_floating(kind) else value
        else:
            yield value if isinstance(value, str) else text
