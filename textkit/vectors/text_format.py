"""Word vectors as text: word2vec's and fastText's `.vec` with a header `n_words dim`, GloVe's
without.

In: a file, also .gz or .zst. Out: batches of words and rows, in constant memory. One line is a word
and `dim` numbers with single spaces (or tabs) between; where the first row has runs of them, or
both, every run counts as one. A word may hold spaces, as some of GloVe's 840B do, but no number
after a space.

Whole blocks of lines go through pyarrow's CSV parser; a block that it cannot take is read line by
line, which finds the fault and names its line and word.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from textkit.errors import ArtifactError, StorageError
from textkit.io.packed import READ_ERRORS, open_bytes, plain_size

Floats = npt.NDArray[np.float32]
Batch = tuple[list[bytes], Floats]

_BLOCK_BYTES = 8 << 20
_LINE_BYTES = 16 << 20  # 65,536 values of 200 characters: no line of vectors is longer
DIM_LIMIT = 1 << 16


class TextRows:
    """Read a text file of vectors; iterate for (words as UTF-8, rows (n, dim) float32)."""

    ngrams = None

    def __init__(
        self, path: Path, *, progress: Callable[[int, int | None], None] | None = None
    ) -> None:
        self.path, self.progress = path, progress
        self.notes: list[str] = []
        self.n_words: int | None = None  # as the header says, if there is one
        self.dim = 0
        self.delimiter = b" "
        self._has_runs = False  # of white space between numbers
        self._line = 0  # lines read before the present block

    def __iter__(self) -> Iterator[Batch]:
        n_read = 0
        with open_bytes(self.path) as file:
            total = plain_size(self.path)
            done = 0
            for block in self._blocks(file):
                done += len(block)
                if not self.dim:
                    block = self._begin(block)
                if self._has_runs:
                    block = _collapse(block)
                for batch in self._parse(block):
                    n_read += len(batch[0])
                    yield batch
                self._line += block.count(b"\n") + (not block.endswith(b"\n"))
                if self.progress is not None:
                    self.progress(done, total)
        if self.n_words is not None and n_read != self.n_words:
            raise ArtifactError(
                f"the header says {self.n_words:,} words, the file has {n_read:,}; it is cut short"
                f" or was changed",
                where=f"{self.path}:1",
            )
        if not n_read:
            raise ArtifactError("file holds no vectors", where=str(self.path))

    def _blocks(self, file: IO[bytes]) -> Iterator[bytes]:
        """Read blocks of whole lines, the first of two lines at least where there are so many."""
        held, begun = b"", False
        while True:
            try:
                read = file.read(_BLOCK_BYTES)
            except (*READ_ERRORS, ValueError) as err:
                raise StorageError(
                    f"cannot read on after line {self._line}: {err}", where=str(self.path)
                ) from err
            end = read.rfind(b"\n") + 1
            if end and (begun or (held + read).count(b"\n") > 1):
                begun = True
                yield held + read[:end]
                held = read[end:]
            else:
                held += read
            if len(held) > _LINE_BYTES:
                raise self._error("a line of more than 16 MB; this is no text file of vectors", 0)
            if not read:
                if held:
                    yield held
                return

    def _begin(self, block: bytes) -> bytes:
        """Take the header, if there is one, and the width from the first row."""
        block = block.removeprefix(codecs.BOM_UTF8)
        first, _, rest = block.partition(b"\n")
        header = first.split()
        self.n_words = None
        if len(header) == 2 and all(part.isdigit() and len(part) < 19 for part in header):
            self.n_words, self.dim = int(header[0]), int(header[1])
            if not (self.n_words and 0 < self.dim <= DIM_LIMIT):
                raise self._error(
                    f"the header says {self.n_words:,} words of {self.dim:,} values", 0
                )
            self._line, block = 1, rest
        row = block.partition(b"\n")[0].rstrip(b" \t\r")
        self.delimiter = b"\t" if b"\t" in row and b" " not in row else b" "
        if not row:
            raise self._error("file holds no vectors" if not block.strip() else "line is empty", 0)
        parts = row.split(self.delimiter)
        n_values = _count_values(parts)
        front = self.delimiter.join(parts[:-n_values])
        if _count_values(row.split()) > n_values or front != front.strip(b" \t"):
            self._has_runs, self.delimiter, row = True, b" ", _collapse(row)
            n_values = _count_values(row.split(b" "))
        if self.n_words is not None and n_values != self.dim:
            begin = shown(row.split(self.delimiter)[0])
            raise self._error(
                f"the header says {self.dim} values a row, {begin} has {n_values}; the header or"
                f" this row is wrong",
                0,
            )
        if not 0 < n_values <= DIM_LIMIT:
            raise self._error(f"expected a word and numbers, found {shown(row)}", 0)
        self.dim = n_values
        return block

    def _parse(self, block: bytes) -> Iterator[Batch]:
        if not block:
            return
        yield self._parse_fast(block) or self._parse_lines(block)

    def _parse_fast(self, block: bytes) -> Batch | None:
        """Parse a block that is exactly as it should be; None for any other."""
        import pyarrow as pa
        from pyarrow import csv

        trailing = (
            block.partition(b"\n")[0].rstrip(b"\r").endswith(self.delimiter)
        )  # as fastText and word2vec write
        names = ["word", *map(str, range(self.dim)), *(["end"] if trailing else [])]
        types: dict[str, Any] = dict.fromkeys(names[1 : self.dim + 1], pa.float32())
        try:
            table = csv.read_csv(
                pa.BufferReader(block),
                read_options=csv.ReadOptions(
                    column_names=names, use_threads=False, block_size=len(block) + 1
                ),
                parse_options=csv.ParseOptions(
                    delimiter=self.delimiter.decode(),
                    quote_char=False,
                    double_quote=False,
                    ignore_empty_lines=False,
                ),
                convert_options=csv.ConvertOptions(
                    column_types={**types, "word": pa.binary(), "end": pa.binary()}, null_values=[]
                ),
            )
        except pa.ArrowException:
            return None
        if trailing and any(table.column("end").to_pylist()):
            return None
        rows = np.empty((table.num_rows, self.dim), np.float32)
        for column in range(self.dim):
            # Not to_numpy: it imports pandas wherever that is installed, for half a second.
            values = table.column(column + 1).combine_chunks()
            rows[:, column] = np.frombuffer(values.buffers()[1], np.float32)[
                values.offset : values.offset + len(rows)
            ]
        words: list[bytes] = table.column(0).to_pylist()
        if not np.isfinite(rows).all() or b"" in words:
            return None
        return words, rows

    def _parse_lines(self, block: bytes) -> Batch:
        """Parse line by line; ArtifactError names the first line that is wrong."""
        words: list[bytes] = []
        rows: list[list[float]] = []
        for number, line in enumerate(block.removesuffix(b"\n").split(b"\n")):
            parts = line.rstrip(b" \t\r").split(self.delimiter)
            word, values = self.delimiter.join(parts[: -self.dim]), parts[-self.dim :]
            n_values = _count_values(parts)
            if n_values != self.dim or not word:
                if len(parts) == 1 and not parts[0]:
                    raise self._error("line is empty", number)
                if n_values == self.dim:
                    raise self._error("a space where the word should be", number)
                bad = (
                    next((part for part in parts[1:] if _number(part) is None), b"")
                    if n_values < self.dim
                    else b""
                )
                hint = f" ({shown(bad)} is no number)" if bad else ""
                raise self._error(
                    f"{shown(parts[0])} has {n_values} values, expected {self.dim}{hint}", number
                )
            numbers = [float(value) for value in values]
            if not all(math.isfinite(value) and abs(value) < 3.4e38 for value in numbers):
                bad = next(
                    v
                    for v, n in zip(values, numbers, strict=True)
                    if not math.isfinite(n) or abs(n) >= 3.4e38
                )
                raise self._error(
                    f"{shown(word)} has the value {shown(bad)}, expected finite numbers", number
                )
            words.append(word)
            rows.append(numbers)
        return words, np.array(rows, np.float32).reshape(len(words), self.dim)

    def _error(self, message: str, number: int) -> ArtifactError:
        return ArtifactError(message, where=f"{self.path}:{self._line + number + 1}")


def _collapse(block: bytes) -> bytes:
    """Make one space of each run of spaces and tabs, and none of those that begin a line."""
    return re.sub(rb"(?m)^ ", b"", re.sub(rb"[ \t]+", b" ", block))


def looks_like_row(line: bytes) -> bool:
    """Tell whether a line is a word and numbers."""
    parts = line.rstrip(b" \t\r\n").replace(b"\t", b" ").split(b" ")
    return _count_values(parts) > 0


def _count_values(parts: list[bytes]) -> int:
    """Count the numbers at the end of a line, the word left aside."""
    count = 0
    for part in reversed(parts[1:]):
        if _number(part) is None:
            break
        count += 1
    return count


def _number(text: bytes) -> float | None:
    try:
        return None if b"_" in text else float(text)
    except ValueError:
        return None


def shown(text: bytes) -> str:
    """Quote a piece of a file for a message."""
    cut = text[:40].decode("utf-8", "replace")
    return (
        f"'{''.join(c if c.isprintable() else '?' for c in cut)}{'...' if len(text) > 40 else ''}'"
    )
