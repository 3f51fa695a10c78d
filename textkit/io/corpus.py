"""Rows from files: txt, csv, tsv and jsonl, each also .gz or .zst, parquet and arrow, streamed in
constant memory.

In: a path, or `-` for standard input. Out: rows of text and, when asked, label, with the line each
began on. Whatever cannot be read is a DataError that says file:line and what to do; blank lines and
replaced characters are counted.

Longer than other modules: it is one reader, whose formats share their columns, rejects and counts.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Literal, NamedTuple, TypedDict, Unpack

from textkit.errors import DataError, StorageError, UsageError, unknown_name
from textkit.io.inputs import FORMATS, READ_ERRORS, guess_format, open_bytes

TEXT_NAMES = (
    "text",
    "sentence",
    "content",
    "review",
    "document",
    "question",
    "utterance",
    "body",
    "message",
    "comment",
)
LABEL_NAMES = (
    "label",
    "labels",
    "class",
    "category",
    "target",
    "intent",
    "sentiment",
    "tag",
    "topic",
    "y",
)
FASTTEXT_PREFIX = "__label__"
# Between the labels of a row that has several: a JSON list, an Arrow list, or several __label__ in
# a .txt line.
LABEL_SEPARATOR = "\x1f"
# A quoted field that is never closed runs to the end of the file; this bounds the memory it takes.
FIELD_LIMIT = 256 << 20
_SAMPLE_ROWS = 200


class Row(NamedTuple):
    """One row: its text, its label if one was asked for, the line it began on (from 1), and the
    columns to keep.

    Several labels stand in one string with LABEL_SEPARATOR between them. listed: the file itself
    told the labels apart, as a list of one does too; see textkit.data.labels.
    """

    text: str
    label: str | None
    line: int
    kept: tuple[str | None, ...] = ()
    listed: bool = False


class ReadOptions(TypedDict, total=False):
    """The options of a RowReader, for those who hand them on."""

    format: str | None
    text_column: str | None
    label_column: str | None
    labelled: bool
    delimiter: str | None
    keep: Sequence[str]
    on_bad: Literal["stop", "skip"]


def read_rows(path: str | Path, **options: Unpack[ReadOptions]) -> Iterator[Row]:
    """Stream the rows of one file; the options are RowReader's.

    >>> Path("two.txt").write_text("first\\nsecond\\n", encoding="utf-8")
    13
    >>> [row.text for row in read_rows("two.txt")]
    ['first', 'second']
    """
    return iter(RowReader(path, **options))


class RowReader:
    """Read one file row by row, guessing its columns from their names where they are not given.

    After the first row `text_column` and `label_column` say what was chosen; after the last,
    `n_rows`, `n_blank` (blank lines, which are no rows) and `n_replaced` (rows with a lone
    surrogate, which no UTF-8 file can hold). keep: further columns that each row carries.
    on_bad="skip" leaves a bad row out and says why in `rejects`; what damages more than its own
    row, as a quote that never closes, stops all the same.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        format: str | None = None,
        text_column: str | None = None,
        label_column: str | None = None,
        labelled: bool = False,
        delimiter: str | None = None,
        keep: Sequence[str] = (),
        on_bad: Literal["stop", "skip"] = "stop",
    ) -> None:
        self.name = "standard input" if str(path) == "-" else str(path)
        self.path = None if str(path) == "-" else Path(path)
        self.format = format or guess_format(path)
        if self.format not in FORMATS:
            raise UsageError(unknown_name("format", self.format, FORMATS))
        self.text_column, self.label_column = text_column, label_column
        self.labelled = labelled or label_column is not None
        self.delimiter = delimiter
        self.keep = tuple(keep)
        self.on_bad = on_bad
        self.rejects: list[
            str
        ] = []  # with on_bad="skip": why each bad row was left out, as file:line: reason
        self.guessed = text_column is None or (self.labelled and label_column is None)
        self.n_rows = self.n_blank = self.n_replaced = 0
        self._line = 0

    def __iter__(self) -> Iterator[Row]:
        if self.format in ("parquet", "arrow"):
            yield from self._count(self._columnar())
            return
        with open_bytes(self.path) as file:
            lines = self._lines(file)
            rows = {"txt": self._txt, "csv": self._csv, "tsv": self._csv, "jsonl": self._jsonl}[
                self.format
            ](lines)
            yield from self._count(rows)

    def _count(self, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            self.n_rows += 1
            yield row

    def _reject(self, error: DataError) -> None:
        """Stop with the error of one row, or note it and go on."""
        if self.on_bad == "stop":
            raise error
        self.rejects.append(str(error))

    def error(
        self, message: str, *, line: int | None = None, column: int | None = None
    ) -> DataError:
        """Make a DataError at a line of this file, the current one unless given."""
        where = f"{self.name}:{self._line if line is None else line}"
        return DataError(message, where=where if column is None else f"{where}:{column}")

    def _lines(self, file: IO[bytes]) -> Iterator[str]:
        """Decode line by line, so that a bad byte is found at its line; only \\n ends a line."""
        try:
            for raw in file:
                self._line += 1
                if self._line == 1:
                    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                        raise self.error(
                            "file is UTF-16, expected UTF-8; convert it: iconv -f UTF-16 -t UTF-8"
                        )
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                try:
                    yield raw.decode("utf-8")
                except UnicodeDecodeError as err:
                    error = self.error(
                        f"not UTF-8: byte 0x{raw[err.start]:02X} at byte column {err.start + 1};"
                        " convert the file, e.g. iconv -f LATIN1 -t UTF-8",
                        column=err.start + 1,
                    )
                    error.__cause__ = err
                    self._reject(error)
        except READ_ERRORS as err:  # pyarrow's errors of reading are OSErrors
            raise StorageError(
                f"cannot read on after line {self._line}: {err}", where=self.name
            ) from err

    def _txt(self, lines: Iterator[str]) -> Iterator[Row]:
        for line in lines:
            text = line.removesuffix("\n").removesuffix("\r")
            if not self.labelled:
                yield Row(text, None, self._line)
                continue
            labels = []
            while text.startswith(FASTTEXT_PREFIX):
                label, _, text = text.partition(" ")
                labels.append(label.removeprefix(FASTTEXT_PREFIX))
            if not all(labels) or not labels:
                raise self.error(
                    "no label; a .txt line for training is '__label__NAME text'; or use csv, tsv"
                    " or jsonl"
                )
            yield Row(text, LABEL_SEPARATOR.join(labels), self._line, listed=True)

    def _csv(self, lines: Iterator[str]) -> Iterator[Row]:
        csv.field_size_limit(
            max(csv.field_size_limit(), FIELD_LIMIT)
        )  # the module's default is 131,072 characters
        header_line = next(lines, None)
        if header_line is None:
            raise DataError("file is empty; expected a header line, then rows", where=self.name)
        delimiter = self.delimiter or (
            "\t" if self.format == "tsv" else _guess_delimiter(header_line)
        )
        records = self._records(_chain(header_line, lines), delimiter)
        _, header = next(records, (1, []))
        # Rows are looked at ahead of time only where the header's names do not tell the columns.
        unknown = self.labelled and self.guessed and _known_name(header, TEXT_NAMES) is None
        sample = list(itertools.islice(records, _SAMPLE_ROWS if unknown else 0))
        text_at, label_at = self._choose_columns(header, [fields for _, fields in sample])
        kept_at = [header.index(name) for name in self.keep]
        for source in (sample, records):
            for line, fields in source:
                if len(fields) != len(header):
                    message = (
                        f"expected {len(header)} fields, found {len(fields)}; quote the text"
                        f" or pass --delimiter"
                    )
                    self._reject(self.error(message, line=line))
                    continue
                label = None if label_at is None else fields[label_at]
                yield Row(fields[text_at], label, line, tuple(fields[i] for i in kept_at))

    def _records(self, lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
        """Give (first line, fields) of each record; say where an unclosed quote opened."""
        held: list[
            str
        ] = []  # the lines of the record being read, to find the quote if it never closes

        def hold() -> Iterator[str]:
            for line in lines:
                held.append(line)
                yield line

        quoting: Literal[0, 3] = csv.QUOTE_NONE if self.format == "tsv" else csv.QUOTE_MINIMAL
        reader = csv.reader(hold(), delimiter=delimiter, strict=True, quoting=quoting)
        first = self._line
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as err:
                opened = first + _unclosed_quote(held, delimiter)
                if "new-line character" in str(err):
                    raise self.error(
                        "a bare carriage return inside a row; save the file with \\n line ends"
                    ) from err
                raise self.error(
                    f"a quote opens on this line and is not closed (read on to line {self._line});"
                    ' write a quote inside a quoted field as ""',
                    line=opened,
                ) from err
            if fields is None:
                return
            held.clear()
            if fields:
                yield first, fields
            else:
                self.n_blank += 1
            first = self._line + 1

    def _choose_columns(self, header: list[str], sample: list[list[str]]) -> tuple[int, int | None]:
        text, label = self.text_column, self.label_column
        for wanted in (text, label, *self.keep):
            if wanted is not None and wanted not in header:
                raise self.error(unknown_name("column", wanted, header), line=1)
        if self.labelled and label is None:
            label = _known_name(header, LABEL_NAMES)
        if text is None:
            text = _known_name(header, TEXT_NAMES)
        others = [name for name in header if name not in (text, label)]
        if text is None and len(others) == 1:
            text = others.pop()
        if self.labelled and label is None and len(others) == 1:
            label = others.pop()
        if self.labelled and text is None and label is None and len(others) == 2:
            text, label = _guess_pair(header, sample)
        if text is None or (self.labelled and label is None):
            missing = "text" if text is None else "label"
            raise self.error(
                f"no {missing} column found in {', '.join(header)}; name it with"
                f" --{missing}-column",
                line=1,
            )
        self.text_column, self.label_column = text, label
        label_at = None if label is None else header.index(label)
        unknown_names = self.guessed and text not in TEXT_NAMES
        if (
            unknown_names
            and label_at is not None
            and any(row[label_at : label_at + 1] == [label] for row in sample)
        ):
            raise self.error(
                f"no header: '{label}' is a label further down; add a first line text,label", line=1
            )
        return header.index(text), label_at

    def _jsonl(self, lines: Iterator[str]) -> Iterator[Row]:
        for line in lines:
            if not line.strip():
                self.n_blank += 1
                continue
            try:
                row = self._json_row(line)
            except DataError as err:
                if self.text_column is None:
                    raise
                self._reject(err)
            else:
                yield row

    def _json_row(self, line: str) -> Row:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as err:
            raise self.error(f"not valid JSON: {err}") from err
        if not isinstance(value, dict):
            raise self.error(f"expected a JSON object, found {type(value).__name__}")
        if self.text_column is None or (self.labelled and self.label_column is None):
            self._choose_keys(value)
        text = value.get(self.text_column)
        if not isinstance(text, str):
            raise self.error(self._wrong_value(value, str(self.text_column)))
        label = value.get(self.label_column) if self.labelled else None
        several = isinstance(label, list) and all(
            isinstance(item, str | int | float) for item in label
        )
        if self.labelled and not several and not isinstance(label, str | int | float):
            raise self.error(self._wrong_value(value, str(self.label_column)))
        cell = _join_labels(label)
        if "\\u" in line:
            text = self._replace_surrogates(text)
        kept = tuple(self._kept_value(value, name) for name in self.keep)
        spelt = None if cell is None else self._replace_surrogates(str(cell))
        return Row(text, spelt, self._line, kept, listed=isinstance(label, list))

    def _kept_value(self, value: dict[str, object], name: str) -> str | None:
        if name not in value:
            raise self.error(f"no key '{name}'; found {', '.join(value) or 'none'}")
        found = value[name]
        if found is None or isinstance(found, str):
            return None if found is None else self._replace_surrogates(found)
        return json.dumps(found, ensure_ascii=False)

    def _columnar(self) -> Iterator[Row]:
        """Read parquet and arrow, a batch of rows at a time; `line` is the row's number, from 1."""
        import pyarrow
        from pyarrow import ipc, parquet

        if self.path is None:
            raise UsageError(f"{self.format} cannot be read from standard input; name a file")
        open_bytes(self.path).close()
        try:
            if self.format == "parquet":
                file = parquet.ParquetFile(self.path)
                header, batches = file.schema_arrow.names, file.iter_batches(batch_size=1024)
            else:
                reader = ipc.open_file(pyarrow.memory_map(str(self.path)))
                header, batches = (
                    reader.schema.names,
                    map(reader.get_batch, range(reader.num_record_batches)),
                )
            text_at, label_at = self._choose_columns(header, [])
            chosen = [
                text_at,
                *([] if label_at is None else [label_at]),
                *map(header.index, self.keep),
            ]
            for batch in batches:
                columns = [batch.column(i).to_pylist() for i in chosen]
                for values in zip(*columns, strict=True):
                    self._line += 1
                    yield from self._columnar_row(list(values))
        except (pyarrow.ArrowException, OSError) as err:
            reason = " ".join(str(err).split())
            raise DataError(
                f"not a readable {self.format} file: {reason}", where=self.name
            ) from err

    def _columnar_row(self, values: list[object]) -> Iterator[Row]:
        text = values.pop(0)
        label = values.pop(0) if self.labelled else None
        if not isinstance(text, str) or (self.labelled and label is None):
            what = self.text_column if not isinstance(text, str) else self.label_column
            self._reject(
                self.error(f"'{what}' is {json.dumps(text, default=str)[:40]}, expected a string")
            )
            return
        kept = tuple(None if value is None else str(value) for value in values)
        spelt = None if label is None else str(_join_labels(label))
        yield Row(text, spelt, self._line, kept, listed=isinstance(label, list))

    def _choose_keys(self, value: dict[str, object]) -> None:
        keys = list(value)
        self.text_column = self.text_column or _known_name(keys, TEXT_NAMES)
        if self.labelled:
            self.label_column = self.label_column or _known_name(keys, LABEL_NAMES)
        for column, role in (
            (self.text_column, "text"),
            (self.label_column if self.labelled else "", "label"),
        ):
            if column is None:
                raise self.error(
                    f"no {role} key found in {', '.join(keys)}; name it with --{role}-column"
                )

    def _wrong_value(self, value: dict[str, object], key: str) -> str:
        if key not in value:
            return f"no key '{key}'; found {', '.join(value) or 'none'}"
        return f"'{key}' is {json.dumps(value[key])[:40]}, expected a string"

    def _replace_surrogates(self, text: str) -> str:
        clean = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        self.n_replaced += clean != text
        return clean

    def notes(self) -> list[str]:
        """Say what was guessed, skipped and replaced, for the user to see."""
        notes = []
        if self.format != "txt" and self.guessed and self.text_column is not None:
            label = f", label = '{self.label_column}'" if self.labelled else ""
            notes.append(
                f"{self.name}: text = '{self.text_column}'{label} (guessed; --text-column,"
                f" --label-column)"
            )
        if self.n_blank:
            notes.append(f"{self.name}: {self.n_blank:,} blank lines are no rows")
        if self.rejects:
            notes.append(
                f"{self.name}: {len(self.rejects):,} bad rows were left out, the first:"
                f" {self.rejects[0]}"
            )
        if self.n_replaced:
            notes.append(
                f"{self.name}: lone surrogates became U+FFFD in {self.n_replaced:,} fields"
            )
        return notes


def _join_labels(label: object) -> object:
    return LABEL_SEPARATOR.join(map(str, label)) if isinstance(label, list) else label


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _guess_delimiter(header: str) -> str:
    """Take the comma unless the header has none and has another usual delimiter."""
    return next((mark for mark in ",;\t|" if mark in header), ",")


def _known_name(header: list[str], known: tuple[str, ...]) -> str | None:
    lowered = {name.strip().lower(): name for name in reversed(header)}
    return next((lowered[name] for name in known if name in lowered), None)


def _guess_pair(header: list[str], sample: list[list[str]]) -> tuple[str, str]:
    """Of two columns, the one with fewer distinct values is the label.

    On a tie, the shorter one.
    """
    rows = [row for row in sample if len(row) == 2]
    columns = [[row[i] for row in rows] for i in (0, 1)]
    weight = [(len(set(column)), sum(map(len, column))) for column in columns]
    return (header[0], header[1]) if weight[0] >= weight[1] else (header[1], header[0])


def _unclosed_quote(lines: list[str], delimiter: str) -> int:
    """Find on which of a record's lines (from 0) the last quoted field opened."""
    opened, quoted, start_of_field = 0, False, True
    for number, line in enumerate(lines):
        for char in line:
            if char == '"' and (quoted or start_of_field):
                quoted = not quoted
                if quoted:
                    opened = number
                start_of_field = quoted is False  # a doubled quote opens the same field again
            else:
                start_of_field = not quoted and char == delimiter
        if not quoted:
            start_of_field = False
    return opened
