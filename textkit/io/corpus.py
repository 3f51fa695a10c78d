"""Rows from files: txt, csv, tsv, json lines and arrays, each also packed, parquet and arrow,
workbooks, and folders of a file a text; streamed in constant memory.

In: a path, or `-` for standard input. Out: rows of text and, when asked, label, with the line each
began on. Whatever cannot be read is a DataError that says file:line and what to do; blank lines and
replaced characters are counted.

Longer than other modules: it is one reader, whose formats share their rejects and counts.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, NamedTuple, TypedDict, Unpack

from textkit.errors import DataError, UsageError, unknown_name
from textkit.io.arrow_rows import column_values, open_arrow
from textkit.io.column_choice import (
    LABEL_NAMES,
    TEXT_NAMES,
    ColumnChoice,
    WantedColumns,
    guess_delimiter,
    known_name,
)
from textkit.io.composed import find_composed
from textkit.io.inputs import (
    FORMATS,
    guess_format,
    names_format,
    refuse_other_workbook,
    split_sheet,
)
from textkit.io.json_arrays import ArrayReader
from textkit.io.packed import open_bytes
from textkit.io.remote import url_of
from textkit.io.text_folders import list_texts
from textkit.io.text_lines import DEFAULT_LIMIT, RowLimit, TextLines, TextsAre, join_lines

if TYPE_CHECKING:
    from textkit.io.workbooks import Sheet

FASTTEXT_PREFIX = "__label__"
# Between the labels of a row that has several: a JSON list, an Arrow list, or several __label__ in
# a .txt line.
LABEL_SEPARATOR = "\x1f"
_SAMPLE_ROWS = 200
_START_BYTES = 64
# A first line by which Excel is told what stands between fields.
_SEPARATOR = re.compile(r"\ufeff?sep=(.)\r?\n?", re.IGNORECASE)
_JSON = json.JSONDecoder()
_NO_LABELS = (bytes, list, dict)


class Row(NamedTuple):
    """One row: its text, its label if one was asked for, the line it began on (from 1), and the
    columns to keep, as text or None unless the reader was asked for their values.

    Several labels stand in one string with LABEL_SEPARATOR between them. listed: the file itself
    told the labels apart, as a list of one does too; see textkit.data.labels.
    """

    text: str
    label: str | None
    line: int
    kept: tuple[object, ...] = ()
    listed: bool = False


class ReadOptions(TypedDict, total=False):
    """The options of a RowReader, for those who hand them on."""

    format: str | None
    text_column: str | None
    label_column: str | None
    labelled: bool
    delimiter: str | None
    keep: Sequence[str]
    keep_values: bool
    on_bad: Literal["stop", "skip"]
    limit: RowLimit
    texts_are: TextsAre


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
    surrogate, which no UTF-8 file can hold). keep: further columns that each row carries, as text;
    with keep_values as the values that JSON, parquet and arrow have. on_bad="skip" leaves a bad row
    out and says why in `rejects`; what damages more than its own row, as a quote that never closes,
    stops all the same. limit: a longer row is a LimitError. texts_are: of a .txt file without
    labels "lines", "paragraphs", between which blank lines stand, or "files": one text a file.
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
        keep_values: bool = False,
        on_bad: Literal["stop", "skip"] = "stop",
        limit: RowLimit = DEFAULT_LIMIT,
        texts_are: TextsAre = "lines",
    ) -> None:
        self.name = "standard input" if str(path) == "-" else url_of(path) or str(path)
        file, self.sheet = split_sheet(path)
        self.path = None if str(path) == "-" else file
        self.format = format or guess_format(path)
        self._is_named = format is not None
        if self.format not in FORMATS:
            raise UsageError(unknown_name("format", self.format, FORMATS))
        self.text_column, self.label_column = text_column, label_column
        self.labelled = labelled or label_column is not None
        self.is_folder = self.path is not None and self.path.is_dir()
        self.delimiter = delimiter
        self.keep, self.keep_values = tuple(keep), keep_values
        self.on_bad = on_bad
        self.limit = limit
        self.texts_are = texts_are
        if texts_are != "lines" and (self.format != "txt" or self.labelled):
            what = "labels stand in lines" if self.labelled else f"{self.format} has rows"
            raise UsageError(f"{self.name}: {what}; texts are {texts_are} in .txt files alone")
        self.rejects: list[
            str
        ] = []  # with on_bad="skip": why each bad row was left out, as file:line: reason
        self.guessed = text_column is None or (self.labelled and label_column is None)
        self.n_rows = self.n_blank = self.n_replaced = 0
        self._of_folder: list[str] = []  # what was passed over in a folder of texts
        self._swallowing: list[int] = []  # lines of csv on which a quote opens that holds rows
        self._place: int | None = None  # where the row begins, where lines alone do not tell
        self._lines: TextLines | None = None
        self._sheet: Sheet | None = None
        self._first_reject: DataError | None = None
        self._of_text: set[str] = set()  # columns of parquet and arrow that hold text
        self._quoted: tuple[str, ...] = ()  # the keys of JSON as they are written, once chosen
        self._choice: ColumnChoice | None = None  # of JSON, where a value is made of several keys

    def __iter__(self) -> Iterator[Row]:
        if self.is_folder:
            yield from self._count(self._folder())
            return
        if self.format in ("parquet", "arrow"):
            yield from self._count(self._columnar())
            return
        if self.format == "xlsx":
            yield from self._count(self._workbook())
            return
        if not self._is_named:
            refuse_other_workbook(self.name)
        with open_bytes(self.path) as file:
            is_asked = self.labelled or self.text_column is not None
            if is_asked and not self._is_named and not names_format(self.name):
                self.format = _asked_format(file)
            self._lines = TextLines(file, self.name, markup=self.format == "txt", limit=self.limit)
            rows = {"txt": self._txt, "csv": self._csv, "tsv": self._csv, "jsonl": self._jsonl}[
                self.format
            ](self._lines)
            yield from self._count(rows)

    def _count(self, rows: Iterator[Row]) -> Iterator[Row]:
        first = self.n_rows + 1
        for self.n_rows, row in enumerate(rows, first):
            yield row

    def _reject(self, error: DataError) -> None:
        """Stop with the error of one row, or note it and go on."""
        if self.on_bad == "stop":
            raise error
        if not self.rejects:
            self._first_reject = error
        self.rejects.append(str(error))

    def _last_line(self) -> int:
        if self._place is not None:
            return self._place
        return 0 if self._lines is None else self._lines.number

    def error(
        self, message: str, *, line: int | None = None, column: int | None = None
    ) -> DataError:
        """Make a DataError at a line of this file, the current one unless given."""
        where = f"{self.name}:{self._last_line() if line is None else line}"
        return DataError(message, where=where if column is None else f"{where}:{column}")

    def _folder(self) -> Iterator[Row]:
        """Read a folder of texts, in a folder for each label where labels are asked for; `line` is
        the row's number. `file` and `label` can be kept.
        """
        for name in (self.text_column, self.label_column, *self.keep):
            if name is not None and not (name in self.keep and name in ("file", "label")):
                raise UsageError(
                    f"{self.name} is a folder of texts, without a column '{name}'; it has: file,"
                    " label"
                )
        assert self.path is not None
        texts = list_texts(self.path, labelled=self.labelled, note=self._of_folder.append)
        for number, text in enumerate(texts, start=1):
            self._place = number
            named = {"file": text.name, "label": text.label}
            kept = tuple([named[name] for name in self.keep])
            label = text.label if self.labelled else None
            try:
                yield Row(text.read(self.limit), label, number, kept, listed=True)
            except DataError as err:
                self._reject(err)

    def _txt(self, lines: TextLines) -> Iterator[Row]:
        if self.keep:
            raise UsageError(
                f"{self.name} has lines, no columns; --keep {self.keep[0]} needs csv, tsv, jsonl,"
                " parquet, arrow or xlsx"
            )
        if self.texts_are != "lines":
            for text, number, bad in join_lines(lines, self.texts_are):
                if bad is not None:
                    self._reject(bad)
                else:
                    yield Row(text, None, number)
            return
        for line in lines:
            if lines.bad is not None:
                self._reject(lines.bad)
                continue
            text = line.removesuffix("\n").removesuffix("\r")
            if not self.labelled:
                yield Row(text, None, lines.number)
                continue
            labels = []
            while text.startswith(FASTTEXT_PREFIX):
                label, _, text = text.partition(" ")
                labels.append(label.removeprefix(FASTTEXT_PREFIX))
            if all(labels) and labels:
                yield Row(text, LABEL_SEPARATOR.join(labels), lines.number, listed=True)
            else:
                message = (
                    "no label; a .txt line for training is '__label__NAME text'; or use csv, tsv"
                    " or jsonl"
                )
                self._reject(self.error(message))

    def _csv(self, lines: TextLines) -> Iterator[Row]:
        csv.field_size_limit(
            max(csv.field_size_limit(), self.limit.n_bytes)
        )  # the module's default is 131,072 characters
        source = iter(lines)
        header_line = next(source, None)
        if header_line is None:
            raise DataError("file is empty; expected a header line, then rows", where=self.name)
        said = None if self.format == "tsv" else _SEPARATOR.fullmatch(header_line)
        if said is not None:
            header_line = next(source, "")
        if header_line.lstrip()[:1] in ("{", "[") and _is_json(header_line):
            raise self.error("the header line is JSON: give the file the ending .jsonl", line=1)
        self._swallowing = []
        delimiter = self.delimiter or (said[1] if said is not None else None)
        if delimiter is None:
            is_tsv = self.format == "tsv"
            delimiter = "\t" if is_tsv else guess_delimiter(header_line, self.text_column)
        records = self._records(itertools.chain((header_line,), source), delimiter)
        _, header, bad = next(records, (1, [], None))
        if bad is not None:
            raise bad  # whoever skips rows does not skip the names of the columns
        wanted = self._wanted()
        # Rows are looked at ahead of time only where the header's names do not tell the columns.
        n_sample = 0 if wanted.known_by_name(header) else _SAMPLE_ROWS
        sample = list(itertools.islice(records, n_sample))
        choice = self._choose(header, [fields for _, fields, _ in sample])
        if choice.composed:
            yield from self._composed(choice, header, itertools.chain(sample, records))
            return
        text_at, label_at, kept_at = choice.places(header, self.keep)
        for line, fields, bad in itertools.chain(sample, records):
            if bad is None and len(fields) == len(header):
                label = None if label_at is None else fields[label_at]
                kept = tuple([fields[i] for i in kept_at]) if kept_at else ()
                yield Row(fields[text_at], label, line, kept)
                continue
            self._reject(bad or self._misfit(header, fields, line))

    def _misfit(self, header: list[str], fields: list[str], line: int) -> DataError:
        message = (
            f"expected {len(header)} fields, found {len(fields)}; quote the text"
            f" or pass --delimiter"
        )
        return self.error(message, line=line)

    def _composed(
        self,
        choice: ColumnChoice,
        header: list[str],
        records: Iterable[tuple[int, list[str], DataError | None]],
    ) -> Iterator[Row]:
        """Read records whose text or label is made of several columns."""
        for line, fields, bad in records:
            if bad is not None or len(fields) != len(header):
                self._reject(bad or self._misfit(header, fields, line))
                continue
            record = dict(zip(header, fields, strict=True))
            try:
                text, label = choice.compose(record)
            except ValueError as err:
                self._reject(self.error(str(err), line=line))
                continue
            kept = tuple(record[name] for name in self.keep)
            listed = isinstance(label, list)
            yield Row(str(text), spell_label(label), line, kept, listed=listed)

    def _records(
        self, lines: Iterator[str], delimiter: str
    ) -> Iterator[tuple[int, list[str], DataError | None]]:
        """Give the first line and the fields of each record, and why it is no UTF-8, if so; say
        where an unclosed quote opened.
        """
        held: list[
            str
        ] = []  # the lines of the record being read, to find the quote if it never closes
        bad: DataError | None = None
        source = self._lines
        assert source is not None

        def hold() -> Iterator[str]:
            nonlocal bad
            size = 0
            for line in lines:
                if held:
                    size += len(line)
                    if size > self.limit.n_bytes:
                        where = f"{self.name}:{first + _unclosed_quote(held, delimiter)}"
                        raise self.limit.error("the row of a quote that opens here", where)
                else:
                    size = len(line)
                held.append(line)
                if source.bad is not None:
                    bad = bad or source.bad
                yield line

        quoting: Literal[0, 3] = csv.QUOTE_NONE if self.format == "tsv" else csv.QUOTE_MINIMAL
        reader = csv.reader(hold(), delimiter=delimiter, strict=True, quoting=quoting)
        first = source.number
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as err:
                raise self._broken_record(err, first, held, delimiter) from err
            if fields is None:
                return
            if fields:
                if len(held) > 2 and _holds_rows(held, delimiter, n_fields=len(fields)):
                    self._swallowing.append(first)
                yield first, fields, bad
            else:
                self.n_blank += 1
            held.clear()
            bad = None
            first = source.number + 1

    def _broken_record(
        self, err: csv.Error, first: int, held: list[str], delimiter: str
    ) -> DataError:
        """Say what ends the reading: after it nobody knows where the next record begins."""
        if "new-line character" in str(err):
            return self.error(
                "a bare carriage return inside a row; save the file with \\n line ends"
            )
        if "expected after" in str(err):
            how = ', not as \\"' if any('\\"' in line for line in held) else ""
            return self.error(
                f'text follows a closing quote; write a quote inside a quoted field as ""{how}'
            )
        return self.error(
            "a quote opens on this line and is not closed (read on to line"
            f' {self._last_line()}); write a quote inside a quoted field as ""',
            line=first + _unclosed_quote(held, delimiter),
        )

    def _wanted(self) -> WantedColumns:
        return WantedColumns(self.text_column, self.label_column, self.labelled, self.keep)

    def _choose(self, header: list[str], sample: list[list[str]], *, line: int = 1) -> ColumnChoice:
        """Choose the columns and remember which."""
        try:
            choice = self._wanted().choose(header, sample)
        except ValueError as err:
            raise self.error(str(err), line=line) from err
        self.text_column, self.label_column = choice.text, choice.label
        return choice

    def _jsonl(self, lines: TextLines) -> Iterator[Row]:
        source = iter(lines)
        for line in source:
            text = line.strip(" \t\r\n")
            if not text.strip():
                self.n_blank += 1
                continue
            if self._place is None and text[0] == "[":
                yield from self._json_array(ArrayReader(line, source, lines))
                break
            self._place = lines.number
            try:
                if lines.bad is not None:
                    raise lines.bad
                row = self._json_row(self._parse(text), text)
            except DataError as err:
                self._reject(err)
            else:
                yield row
        if self.text_column is None and self._first_reject is not None:
            raise self._first_reject  # no row told the columns: this is another kind of file

    def _json_array(self, elements: ArrayReader) -> Iterator[Row]:
        for value, text, line, bad in elements:
            self._place = line
            try:
                if bad is not None:
                    raise bad
                row = self._json_row(value, text)
            except DataError as err:
                self._reject(err)
            else:
                yield row

    def _parse(self, line: str) -> object:
        try:
            value, end = _JSON.raw_decode(line)
            if end != len(line):
                raise json.JSONDecodeError("Extra data", line, end)
            return value
        except RecursionError as err:
            raise self.error("not valid JSON: nested too deeply") from err
        except ValueError as err:
            goes_on = isinstance(err, json.JSONDecodeError) and err.pos >= len(line)
            hint = "; expected one object a line, or one array of objects" if goes_on else ""
            if line[0] not in "{[" and not self.n_rows:
                hint = "; if its rows are csv, tsv or plain lines, give the file that ending"
            raise self.error(f"not valid JSON: {err}{hint}") from err

    def _json_row(self, value: object, line: str) -> Row:
        if not isinstance(value, dict):
            raise self.error(f"expected a JSON object, found {type(value).__name__}")
        if not self._quoted:
            self._choose_keys(value)
        text, label = self._json_pair(value)
        for quoted in self._quoted:
            if line.count(quoted) > 1:
                self._refuse_repeated(line)
        cell = spell_label(label)
        if "\\u" in line:
            text = self._replace_surrogates(text)
        kept = tuple(self._kept_value(value, name) for name in self.keep)
        spelt = None if cell is None else self._replace_surrogates(cell)
        assert self._place is not None
        return Row(text, spelt, self._place, kept, listed=isinstance(label, list))

    def _json_pair(self, value: dict[str, object]) -> tuple[str, object]:
        """Give the text and the label of an object, None for a label that is missing."""
        text_key, label_key = str(self.text_column), self.label_column
        if self._choice is not None:
            for key in self._choice.sources:
                if key not in value:
                    raise self.error(_wrong_value(value, key))
            try:
                text, label = self._choice.compose(value)
            except ValueError as err:
                raise self.error(str(err)) from err
        else:
            text = value.get(text_key)
            label = value.get(label_key) if label_key is not None and self.labelled else None
        if not isinstance(text, str):
            raise self.error(_wrong_value(value, text_key))
        if not self.labelled or (self._choice is not None and isinstance(label, list)):
            return text, label
        if label_key not in value and self._choice is None:
            raise self.error(_wrong_value(value, str(label_key)))
        if not _is_usable(label):
            raise self.error(f"'{label_key}' is {_shown(label)}, expected a string")
        return text, label

    def _refuse_repeated(self, line: str) -> None:
        """Refuse an object that has the text's or the label's key twice: json takes the last."""
        label = [self.label_column] if self.labelled else []
        mine = [self.text_column, *label] if self._choice is None else self._choice.sources
        top = json.loads(line, object_pairs_hook=_Pairs)
        keys = [key for key, _ in top]
        repeated = next((key for key in mine if keys.count(str(key)) > 1), None)
        if repeated is not None:
            raise self.error(f"the key '{repeated}' is there twice; expected it once")

    def _kept_value(self, value: dict[str, object], name: str) -> object:
        if name not in value:
            raise self.error(f"no key '{name}'; found {', '.join(value) or 'none'}")
        found = value[name]
        if isinstance(found, str):
            return self._replace_surrogates(found)
        if found is None or (self.keep_values and not isinstance(found, list | dict)):
            return found
        spelled = json.dumps(found, ensure_ascii=False)
        clean = self._replace_surrogates(spelled)
        if not self.keep_values:
            return clean
        return found if clean == spelled else json.loads(clean)

    def _columnar(self) -> Iterator[Row]:
        """Read parquet and arrow, a batch of rows at a time; `line` is the row's number, from 1."""
        with open_arrow(self.path, self.format) as file:
            header = list(file.schema.names)
            self._of_text = {field.name for field in file.schema if "string" in str(field.type)}
            choice = self._choose(header, [])
            names = [*choice.sources, *self.keep]
            chosen = [header.index(name) for name in names]
            for batch in file.batches:
                columns = [column_values(batch.column(i)) for i in chosen]
                for values in zip(*columns, strict=True):
                    self._place = (self._place or 0) + 1
                    try:
                        if choice.composed:
                            values = self._compose(choice, dict(zip(names, values, strict=True)))
                        row = self._columnar_row(list(values))
                    except DataError as err:
                        self._reject(err)
                    else:
                        yield row

    def _workbook(self) -> Iterator[Row]:
        """Read a sheet of a workbook; `line` is the row's number in it."""
        from textkit.io.workbooks import open_sheet

        with open_sheet(self.path, self.sheet, limit=self.limit) as sheet:
            self.name, self._sheet = sheet.name, sheet
            self._place = sheet.header_row.number
            rows, header = sheet.rows(), sheet.header
            n_sample = 0 if self._wanted().known_by_name(header) else _SAMPLE_ROWS
            sample = list(itertools.islice(rows, n_sample))
            choice = self._choose(header, [sheet.show(row) for row in sample], line=self._place)
            sources = [(name, header.index(name)) for name in choice.sources]
            kept_at = [header.index(name) for name in self.keep]
            for row in itertools.chain(sample, rows):
                self._place = row.number
                try:
                    record = {name: sheet.spell(row, at) for name, at in sources}
                    text, label = choice.compose(record)
                    kept = tuple([sheet.spell(row, at, errors=True) for at in kept_at])
                except ValueError as err:
                    self._reject(self.error(str(err)))
                    continue
                text, spelt = self._replace_surrogates(str(text)), spell_label(label)
                spelt = None if spelt is None else self._replace_surrogates(spelt)
                kept = tuple(map(self._replace_surrogates, kept))
                yield Row(text, spelt, row.number, kept, listed=isinstance(label, list))
            self.n_blank += sheet.n_blank

    def _compose(self, choice: ColumnChoice, record: dict[str, object]) -> tuple[object, ...]:
        """Give text, label where one is asked for, and the kept values of a record."""
        try:
            text, label = choice.compose(record)
        except ValueError as err:
            raise self.error(str(err)) from err
        kept = (record[name] for name in self.keep)
        return (text, label, *kept) if self.labelled else (text, *kept)

    def _columnar_row(self, values: list[object]) -> Row:
        text = values.pop(0)
        if not isinstance(text, str):
            raise self.error(f"'{self.text_column}' is {_shown(text)}, expected a string")
        if len(text) > self.limit.n_bytes:
            raise self.limit.error("the text", f"{self.name}:{self._last_line()}")
        label = values.pop(0) if self.labelled else None
        if not _is_usable(label):
            raise self.error(f"'{self.label_column}' is {_shown(label)}, expected a string")
        cell = spell_label(label)
        for name, value in zip(self.keep, values, strict=True):
            if isinstance(value, bytes) and name in self._of_text:
                raise self.error(f"'{name}' is {_shown(value)}, expected a string")
        kept = tuple(
            values
            if self.keep_values
            else [None if value is None else str(value) for value in values]
        )
        return Row(text, cell, self._last_line(), kept, listed=isinstance(label, list))

    def _choose_keys(self, value: dict[str, object]) -> None:
        """Choose the keys by the first object that has them."""
        keys = list(value)
        try:
            text = self.text_column or known_name(keys, TEXT_NAMES, role="text")
            label = self.label_column
            if self.labelled and label is None:
                label = known_name(keys, LABEL_NAMES, role="label")
        except ValueError as err:
            raise self.error(str(err)) from err
        if text is None or (self.labelled and label is None):
            role = "text" if text is None else "label"
            raise self.error(
                f"no {role} key found in {', '.join(keys) or 'an empty object'}; name it with"
                f" --{role}-column"
            )
        self.text_column, self.label_column = text, label
        template, indicators = find_composed(text, label, keys)
        choice = ColumnChoice(text, label if self.labelled else None, True, template, indicators)
        self._choice = choice if choice.composed else None
        self._quoted = tuple(f'"{key}"' for key in choice.sources)

    def _replace_surrogates(self, text: str) -> str:
        clean = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        self.n_replaced += clean != text
        return clean

    def notes(self) -> list[str]:
        """Say what was guessed, skipped and replaced, for the user to see."""
        notes = [*self._of_folder]
        if self.is_folder and not self.labelled:
            notes.append(f"{self.name}: {self.n_rows:,} texts, a file each")
        if self.format != "txt" and self.guessed and self.text_column is not None:
            label = f", label = '{self.label_column}'" if self.labelled else ""
            options = "--text-column" + (", --label-column" if self.labelled else "")
            notes.append(f"{self.name}: text = '{self.text_column}'{label} (guessed; {options})")
        if self._sheet is not None:
            notes += self._sheet.notes()
        if self.n_blank:
            what = "lines" if self._sheet is None else "rows of the sheet"
            notes.append(f"{self.name}: {self.n_blank:,} blank {what} are no rows")
        if self._lines is not None:
            notes += self._lines.notes()
        if self._swallowing:
            notes.append(
                f"{self.name}: {len(self._swallowing):,} quoted texts hold lines that look like"
                f" rows, the first begins on line {self._swallowing[0]:,}; is its quote closed?"
            )
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


def _asked_format(file: IO[bytes]) -> str:
    """Tell by its start what a file without a format is of which labels or a column are asked: txt
    where fastText's labels stand there, else jsonl or csv.
    """
    peeked: bytes = file.peek(_START_BYTES)  # type: ignore[attr-defined]
    start = peeked.removeprefix(codecs.BOM_UTF8).lstrip()
    if start[: len(FASTTEXT_PREFIX)] == FASTTEXT_PREFIX.encode():
        return "txt"
    return "jsonl" if start[:1] in (b"{", b"[") else "csv"


class _Pairs(list[tuple[str, object]]):
    """The pairs of a JSON object, where equal keys count."""


def spell_label(label: object) -> str | None:
    """Write the label of a JSON or Arrow row as a cell; None for what is no label: nothing, not a
    number, bytes, a nested value.

    >>> spell_label(3), spell_label(["a", "b"]), spell_label(float("nan")), spell_label([None])
    ('3', 'a\\x1fb', None, None)
    """
    if isinstance(label, str):
        return label
    items = label if isinstance(label, list) else [label]
    if any(item is None or item != item or isinstance(item, _NO_LABELS) for item in items):
        return None
    return LABEL_SEPARATOR.join(map(str, items))


def _is_usable(label: object) -> bool:
    """Tell whether a label is a cell, or missing: nothing, or not a number."""
    return label is None or label != label or spell_label(label) is not None


def _is_json(line: str) -> bool:
    """Tell whether a line is an object or a list of JSON, or the opening of one over many lines."""
    try:
        _JSON.raw_decode(line.strip())
    except ValueError:
        return line.strip() in ("{", "[", "[{")
    except RecursionError:
        return True
    return True


def _wrong_value(value: dict[str, object], key: str) -> str:
    if key not in value:
        return f"no key '{key}'; found {', '.join(value) or 'none'}"
    return f"'{key}' is {_shown(value[key])}, expected a string"


def _shown(value: object) -> str:
    """Write a value for a message: as JSON has it, or of bytes the first that is no UTF-8."""
    if isinstance(value, bytes):
        try:
            value.decode("utf-8")
        except UnicodeDecodeError as err:
            return f"not UTF-8 (byte 0x{value[err.start]:02X} at byte {err.start + 1})"
        return "bytes"
    try:
        return json.dumps(value)[:40]
    except (TypeError, ValueError):
        return str(value)[:40]


def _holds_rows(lines: list[str], delimiter: str, *, n_fields: int) -> bool:
    """Tell whether a line within a record looks like a row: as many fields, the last one a word.

    >>> _holds_rows(['"good,pos\\n', "bad,neg\\n", 'fine",pos\\n'], ",", n_fields=2)
    True
    >>> _holds_rows(['"Dear all,\\n', "yes, we can\\n", 'x",pos\\n'], ",", n_fields=2)
    False
    """
    for line in lines[1:-1]:
        fields = line.rstrip("\r\n").split(delimiter)
        if len(fields) == n_fields > 1 and all(fields) and not re.search(r"\s", fields[-1]):
            return True
    return False


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
