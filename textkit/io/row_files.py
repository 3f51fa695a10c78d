"""Copy chosen rows of a file into other files of the same format, row for row and, in text formats,
byte for byte.

In: a txt, csv, tsv, jsonl (also .gz, .bz2, .xz, .zst), parquet or arrow file or a sheet of a
workbook, and which of its rows go where.
Out: the files, each written whole or not at all. Two passes in constant memory but for 8 bytes a
row: RowReader says where each row begins, then bytes are copied, so quoting, column order, further
columns and line ends stay as they were.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError, UsageError
from textkit.io import files
from textkit.io.arrow_rows import open_arrow
from textkit.io.inputs import guess_format, split_sheet, unchanged
from textkit.io.packed import open_bytes
from textkit.io.workbook_copies import Destination, copy_sheet

_BATCH_ROWS = 16_384
_FRAME_BYTES = 4 << 20


def copy_rows(
    source: str | Path,
    lines: Sequence[int] | NDArray[np.int64],
    destinations: Sequence[Destination],
    *,
    last: Callable[[], object] | None = None,
) -> None:
    """Write each destination's rows, sorted row numbers from 0, in the order of the source.

    lines: (n_rows,) the line on which each row begins, from 1, as RowReader gives it; in parquet,
    arrow and workbooks unused. last: called when all is written and nothing has its name yet. What
    stands before the first row, a header, goes into every file; a last line without an end gets one
    where rows follow. Raises StorageError when the source changes meanwhile, UsageError when it
    would be overwritten.

    >>> _ = Path("a.csv").write_text('text,label\\n"one\\ntwo",x\\nthree,y\\n', encoding="utf-8")
    >>> copy_rows("a.csv", [2, 4], [(Path("b.csv"), np.array([1])), (Path("c.csv"), np.array([0]))])
    >>> Path("b.csv").read_text(encoding="utf-8"), Path("c.csv").read_text(encoding="utf-8")
    ('text,label\\nthree,y\\n', 'text,label\\n"one\\ntwo",x\\n')
    """
    file, sheet = split_sheet(source)
    source = Path(source)
    for path, _ in destinations:
        if path.resolve() == file.resolve():
            raise UsageError(f"{path} is the input itself; choose another -o")
    with ExitStack() as stack, unchanged(file, advice="run again"):
        if guess_format(source) == "jsonl":
            _refuse_array(source)
        if guess_format(source) == "xlsx":
            copy_sheet(file, sheet, destinations, last)
        elif guess_format(source) in ("parquet", "arrow"):
            _copy_columnar(source, destinations, stack)
        else:
            _copy_lines(source, np.asarray(lines, dtype=np.int64), destinations, stack)
        if last is not None and guess_format(source) != "xlsx":
            last()


def _refuse_array(source: Path) -> None:
    """Refuse one array of JSON, which has no line for each row."""
    with open_bytes(source) as file:
        start = next((line for line in file if line.strip(b"\xef\xbb\xbf \t\r\n")), b"")
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        raise DataError(
            "one JSON array cannot be divided by lines; write one object a line first: jq -c '.[]'",
            where=str(source),
        )


def _copy_lines(
    source: Path, lines: NDArray[np.int64], destinations: Sequence[Destination], stack: ExitStack
) -> None:
    writers = [
        _Packed(stack.enter_context(files.atomic_file(path)), source.suffix)
        for path, _ in destinations
    ]
    chosen = np.zeros((len(lines), len(destinations)), dtype=bool)
    for column, (_, rows) in enumerate(destinations):
        chosen[rows, column] = True
    file = stack.enter_context(open_bytes(source))
    for row, data in _records(file, lines):
        for column, writer in enumerate(writers):
            if row < 0 or chosen[row, column]:
                writer.write(data)
    for writer in writers:
        writer.finish()
        _flush(writer.file)


def _records(file: IO[bytes], lines: NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
    """Give (row, its bytes) line by line; what stands before the first row is row -1."""
    starts = iter([*lines.tolist(), -1])
    row, following = -1, next(starts)
    for number, line in enumerate(file, start=1):
        if number == following:
            row, following = row + 1, next(starts)
        yield row, line


class _Packed:
    """Bytes into a file, packed as its ending says.

    A line end is put between lines where one is missing.
    """

    def __init__(self, file: IO[bytes], ending: str) -> None:
        self.file, self.ending = file, ending.lower()
        self.held = bytearray()
        self.packer = _packer(file, self.ending)

    def write(self, data: bytes) -> None:
        if self.held and not self.held.endswith(b"\n"):
            self.held += b"\n"
        self.held += data
        if len(self.held) > _FRAME_BYTES:
            self._flush(len(self.held) - 1)  # the last byte stays, to know whether the line ended

    def finish(self) -> None:
        self._flush(len(self.held))
        if self.packer is not None:
            self.packer.close()

    def _flush(self, size: int) -> None:
        data = bytes(self.held[:size])
        del self.held[:size]
        if self.packer is not None:
            self.packer.write(data)
        elif self.ending == ".zst":
            import pyarrow

            self.file.write(
                pyarrow.compress(data, codec="zstd", asbytes=True)
            )  # frames one after the other
        else:
            self.file.write(data)


def _packer(file: IO[bytes], ending: str) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | None:
    if ending == ".gz":
        return gzip.GzipFile("", "wb", fileobj=file, mtime=0)
    if ending == ".bz2":
        return bz2.BZ2File(file, "wb")
    return lzma.LZMAFile(file, "wb") if ending == ".xz" else None


def _copy_columnar(source: Path, destinations: Sequence[Destination], stack: ExitStack) -> None:
    """Filter batch by batch; the schema stays as it was."""
    import pyarrow
    from pyarrow import ipc, parquet

    format = guess_format(source)
    rows_of_source = stack.enter_context(open_arrow(source, format, batch_rows=_BATCH_ROWS))
    of_arrow = ipc.new_stream if rows_of_source.is_stream else ipc.new_file
    make = parquet.ParquetWriter if format == "parquet" else of_arrow
    places = [stack.enter_context(files.atomic_file(path)) for path, _ in destinations]
    with ExitStack() as ends:
        writers = []
        for file in places:
            # pyarrow closes what it is given; the file is ours to flush and close.
            sink = pyarrow.output_stream(_Kept(file))
            writers.append(ends.enter_context(make(sink, rows_of_source.schema)))
        first = 0
        for batch in rows_of_source.batches:
            if format == "arrow":  # parquet's columns are made while it is read
                batch.validate(full=True)
            for (_, rows), writer in zip(destinations, writers, strict=True):
                low, high = np.searchsorted(rows, [first, first + batch.num_rows])
                if high > low:
                    writer.write_batch(batch.take(pyarrow.array(rows[low:high] - first)))
            first += batch.num_rows
    for file in places:
        _flush(file)


def _flush(file: IO[bytes]) -> None:
    """Have the bytes on the disk: what cannot be written shows before anything has its name."""
    file.flush()
    os.fsync(file.fileno())


class _Kept:
    """A writable file that closing does not close."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.closed = False

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def tell(self) -> int:
        return self._file.tell()

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True
