"""Small files about words - pairs, analogies, lists - line by line.

In: a file, also .gz or .zst. Out: its lines with their numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from textkit.errors import DataError, StorageError
from textkit.io.inputs import READ_ERRORS, open_bytes

_LINE_BYTES = 1 << 20


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Give the lines that are not blank, without their ends, numbered from 1.

    DataError for what is no UTF-8.

    >>> _ = Path("w.txt").write_text("king\\n\\nqueen\\n", encoding="utf-8")
    >>> list(read_lines("w.txt"))
    [(1, 'king'), (3, 'queen')]
    """
    path = Path(path)
    number = 0
    with open_bytes(path) as file:
        while True:
            number += 1
            try:
                raw = file.readline(_LINE_BYTES)
            except READ_ERRORS as err:
                raise StorageError(
                    f"cannot read on after line {number - 1}: {err}", where=str(path)
                ) from err
            if not raw:
                return
            if len(raw) == _LINE_BYTES:
                raise DataError(
                    "line of more than a megabyte; this is no list of words",
                    where=f"{path}:{number}",
                )
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as err:
                raise DataError("line is not UTF-8", where=f"{path}:{number}") from err
            if line.strip():
                yield number, line
