"""What token shards are made of: rows of files or of the caller's, which can be gone through twice.

In: names of files with the options to read them, or rows. Out: each row's text and what a
LabelReader makes of its label, and a digest that changes with the data.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from textkit.data.labels import EmptyLabelError, LabelReader, RowLabel
from textkit.errors import DataError, UsageError
from textkit.io import files
from textkit.io.corpus import ReadOptions, RowReader
from textkit.io.inputs import refuse_streams, split_sheet

CallersRows = Iterable[str] | Iterable[tuple[str, RowLabel]]
Numbered = tuple[str, int | list[float]]  # a text, and what LabelReader makes of its label


class FileRows:
    """Rows of files, one after the other, and the SHA-256 of each file's bytes."""

    def __init__(self, names: list[str], options: ReadOptions) -> None:
        refuse_streams(names)
        self.names, self.options = names, options
        self.name = re.sub(r"[^\w.-]", "_", Path(names[0]).name)[:60]
        self.notes: list[str] = []

    def digest(self) -> list[list[str]]:
        """Give each file's name and hash."""
        return [[Path(name).name, files.sha256(split_sheet(name)[0])] for name in self.names]

    def rows(self, labels: LabelReader) -> Iterator[Numbered]:
        """Give each row's text and the number of its label; DataError with file:line for another.

        Afterwards `notes` says what reading had to say.
        """
        for name in self.names:
            options: ReadOptions = {**self.options, "labelled": labels.task is not None}
            reader = RowReader(name, **options)
            for row in reader:
                try:
                    if row.label is None and labels.task is not None:
                        raise EmptyLabelError
                    number = labels.read(row.label, listed=row.listed)
                except ValueError as err:
                    raise reader.error(str(err), line=row.line) from err
                yield row.text, number
            self.notes += reader.notes() + labels.cells.notes(reader.name)


class HeldRows:
    """Rows that the caller holds, and the SHA-256 of what they say."""

    def __init__(self, data: CallersRows) -> None:
        if iter(data) is data:
            raise UsageError(
                "expected rows that can be gone through twice, as a list; found an iterator"
            )
        self.data = data
        self.name = "rows"
        self.notes: list[str] = []

    def digest(self) -> str:
        """Hash all texts and labels."""
        found = hashlib.sha256()
        for row in self.data:
            text, label = _pair(row)
            found.update(json.dumps([text, label]).encode() + b"\n")
        return found.hexdigest()

    def rows(self, labels: LabelReader) -> Iterator[Numbered]:
        """Give each row's text and the number of its label; DataError names the row of another."""
        for index, row in enumerate(self.data):
            text, label = _pair(row)
            try:
                number = labels.read(label)
            except ValueError as err:
                raise DataError(str(err), where=f"row {index}") from err
            yield text, number


def _pair(row: object) -> tuple[str, RowLabel]:
    """Take a row of the caller's apart: a text, or a text and its label, numpy values turned
    into Python's own.
    """
    text, label = row if isinstance(row, tuple | list) and len(row) == 2 else (row, None)
    label = label.tolist() if isinstance(label, np.generic | np.ndarray) else label
    plain = label if isinstance(label, list | tuple) else [label]
    if not isinstance(text, str) or not all(
        item is None or isinstance(item, str | int | float) for item in plain
    ):
        raise DataError(
            f"a row is {str(row)[:60]!r}, expected a text, or (text, label) with str or number"
            f" labels"
        )
    return text, label
