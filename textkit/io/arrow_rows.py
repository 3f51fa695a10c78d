"""Parquet and Arrow files, a batch of rows at a time, each value checked before it is used.

In: a path. Out: a schema and batches whose columns can be read without harm: a file with one wrong
offset is a DataError that names it, where pyarrow alone would end the process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textkit.errors import DataError, TextkitError, UsageError
from textkit.io.packed import open_bytes
from textkit.io.remote import open_url, url_of
from textkit.io.stand_ins import START_BYTES, describe_stand_in

if TYPE_CHECKING:
    import pyarrow

_BATCH_ROWS = 1024
_FETCHED_BYTES = 1 << 20
_ARROW_FILE = b"ARROW1"
_CONTROLS = re.compile(rb"[\0-\x08\x0e-\x1f]")


@dataclass(frozen=True)
class ArrowRows:
    """The schema of a file, and its batches, which are read as they are asked for.

    is_stream: an Arrow stream, not a file of Arrow.
    """

    schema: pyarrow.Schema
    batches: Iterator[pyarrow.RecordBatch]
    is_stream: bool = False


@contextmanager
def open_arrow(
    path: Path | None, format: str, *, batch_rows: int = _BATCH_ROWS
) -> Iterator[ArrowRows]:
    """Open a parquet or arrow file, None for standard input; DataError for what is none, in the
    block too.

    arrow is a file or a stream of Arrow, told by its content; a stream may come from a pipe, and
    packed. batch_rows: rows of a batch of parquet; arrow is cut as it was written.

    >>> import pyarrow
    >>> table = pyarrow.table({"text": ["a", "b"]})
    >>> with pyarrow.ipc.new_stream("a.arrow", table.schema) as writer:
    ...     writer.write_table(table)
    >>> with open_arrow(Path("a.arrow"), "arrow") as rows:
    ...     [column_values(batch.column(0)) for batch in rows.batches]
    [['a', 'b']]
    """
    import pyarrow
    from pyarrow import ipc, parquet

    name = "standard input" if path is None else str(path)
    with ExitStack() as stack:
        file = stack.enter_context(open_bytes(path))
        start = file.peek(START_BYTES)[:START_BYTES]  # type: ignore[attr-defined]
        what = describe_stand_in(start)
        if what is not None:
            raise DataError(f"the file is {what}", where=name)
        try:
            if format == "arrow" and not start.startswith(_ARROW_FILE):
                stream = ipc.open_stream(file)
                yield ArrowRows(stream.schema, iter(stream), is_stream=True)
                return
            url = None if path is None else url_of(path)
            if url is not None:
                yield _of_url(url, format, batch_rows, stack)
                return
            if path is None or not path.is_file():
                raise UsageError(
                    f"{name}: {format} cannot be read from a pipe; name a file, or pipe an Arrow"
                    " stream"
                )
            if format == "parquet":
                table = stack.enter_context(parquet.ParquetFile(path))
                yield ArrowRows(table.schema_arrow, table.iter_batches(batch_size=batch_rows))
            else:
                reader = ipc.open_file(stack.enter_context(pyarrow.memory_map(str(path))))
                numbers = range(reader.num_record_batches)
                yield ArrowRows(reader.schema, map(reader.get_batch, numbers))
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError, MemoryError) as err:
            if isinstance(err, TextkitError):
                raise
            reason = " ".join(str(err).split())
            if start.isascii() and not _CONTROLS.search(start):
                reason = "it is a text; give it the ending .csv, .jsonl or .txt"
            raise DataError(f"not a readable {format} file: {reason}", where=name) from err


def _of_url(url: str, format: str, batch_rows: int, stack: ExitStack) -> ArrowRows:
    """Open a file where it lies; what is not asked for is not fetched."""
    import io

    from pyarrow import ipc, parquet

    file = stack.enter_context(io.BufferedReader(open_url(url), _FETCHED_BYTES))
    if format == "parquet":
        table = stack.enter_context(parquet.ParquetFile(file))
        return ArrowRows(table.schema_arrow, table.iter_batches(batch_size=batch_rows))
    reader = ipc.open_file(file)
    return ArrowRows(reader.schema, map(reader.get_batch, range(reader.num_record_batches)))


def column_values(column: pyarrow.Array) -> list[object]:
    """Give the values of a column; of a text that is no UTF-8, its bytes.

    Raises pyarrow's own error where the column points outside its own memory, and for a value that
    Python has no word for, as a time of nanoseconds.
    """
    import pyarrow

    as_bytes = {
        pyarrow.string(): pyarrow.binary(),
        pyarrow.large_string(): pyarrow.large_binary(),
    }.get(column.type)
    if as_bytes is None:
        column.validate(full=True)
        try:
            return list(column.to_pylist())
        except (ValueError, OverflowError) as err:
            raise pyarrow.ArrowInvalid(str(err)) from err
    raw = column.view(as_bytes)
    raw.validate(full=True)
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [value if value is None else _decode(value) for value in raw.to_pylist()]


def _decode(value: bytes) -> str | bytes:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value
