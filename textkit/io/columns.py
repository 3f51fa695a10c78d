"""Columns of numbers on disk: .npy files that are written piece by piece and mapped, not read.

In: arrays, one after the other. Out: one .npy file that numpy.load opens anywhere, whole or not
there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from textkit.errors import ArtifactError
from textkit.io import files


class NpyColumn:
    """A .npy file that is written row by row, each row `shape`.

    Its header is put right at the end.
    """

    def __init__(self, file: IO[bytes], dtype: str) -> None:
        self.file, self.dtype, self.n = file, np.dtype(dtype), 0
        self.shape: tuple[int, ...] = ()
        self._header()
        self._start = file.tell()

    def write(self, values: NDArray[np.generic]) -> None:
        self.file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.n, self.shape = self.n + len(values), values.shape[1:]

    def finish(self) -> None:
        self.file.seek(0)
        self._header()
        assert self.file.tell() == self._start, "numpy leaves room for the number to grow"
        self.file.seek(0, os.SEEK_END)

    def _header(self) -> None:
        description = np.lib.format.dtype_to_descr(self.dtype)
        np.lib.format.write_array_header_1_0(
            self.file,
            {"descr": description, "fortran_order": False, "shape": (self.n, *self.shape)},
        )


@contextlib.contextmanager
def open_column(path: Path, dtype: str) -> Iterator[NpyColumn]:
    """Open a new column; it appears under its name when it is whole.

    >>> with open_column(Path("a.npy"), "<i4") as column:
    ...     column.write(np.array([1, 2]))
    ...     column.write(np.array([3]))
    >>> map_column(Path("a.npy")).tolist()
    [1, 2, 3]
    """
    with files.atomic_file(path) as file:
        column = NpyColumn(file, dtype)
        yield column
        column.finish()


def map_column(path: Path, *, writable: bool = False) -> NDArray[Any]:
    """Map a .npy file: its pages are read when they are touched.

    ArtifactError when it is none, is cut short, or holds what are no numbers.

    writable: writing changes a page in memory, never the file; torch warns of arrays that cannot be
    written.

    >>> np.save("b.npy", np.arange(3))
    >>> map_column(Path("b.npy"))[1:].tolist()
    [1, 2]
    """
    try:
        array: NDArray[np.generic] = np.load(
            path, mmap_mode="c" if writable else "r", allow_pickle=False
        )
    except FileNotFoundError as err:
        raise ArtifactError("file is missing", where=str(path)) from err
    # numpy reads the header as Python: SyntaxError, TokenError, RecursionError and more.
    except Exception as err:
        reason = " ".join(str(err).split())
        raise ArtifactError(f"not a .npy column: {reason[:200]}", where=str(path)) from err
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf" or array.ndim < 1:
        raise ArtifactError("not a .npy column of numbers", where=str(path))
    return array.view(np.ndarray)
