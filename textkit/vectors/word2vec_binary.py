"""word2vec's binary format: a header `n_words dim`, then each word, a space, `dim` float32, and a
newline or none.

In: a file, also .gz or .zst. Out: batches of words and rows, in constant memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from textkit.errors import ArtifactError, StorageError
from textkit.io.packed import READ_ERRORS, open_bytes, plain_size
from textkit.vectors.text_format import DIM_LIMIT, Batch, shown

_BLOCK_BYTES = 8 << 20
_WORD_BYTES = (
    1 << 16
)  # what stands before a space is a word up to here; more means another width or another format


class BinaryRows:
    """Read a word2vec binary file; iterate for (words as UTF-8, rows (n, dim) float32)."""

    ngrams = None

    def __init__(
        self, path: Path, *, progress: Callable[[int, int | None], None] | None = None
    ) -> None:
        self.path, self.progress = path, progress
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[Batch]:
        with open_bytes(self.path) as file:
            n_words, dim = self._header(file)
            total = plain_size(self.path)
            held, n_read, done = b"", 0, 0
            while n_read < n_words:
                read = self._read(file, n_read)
                done += len(read)
                words, rows, held = self._take(
                    held + read, dim, n_words - n_read, n_read, last=not read
                )
                n_read += len(words)
                if words:
                    yield words, rows
                if self.progress is not None:
                    self.progress(done, total)
            if held.strip(b"\n") or self._read(file, n_read).strip(b"\n"):
                raise self._error(f"more bytes follow the {n_words:,} words that the header says")

    def _header(self, file: IO[bytes]) -> tuple[int, int]:
        try:
            line = file.readline(100)
        except READ_ERRORS as err:
            raise StorageError(f"cannot read: {err}", where=str(self.path)) from err
        parts = line.split()
        if len(parts) != 2 or not all(part.isdigit() for part in parts):
            raise self._error("no header 'n_words dim'")
        n_words, dim = int(parts[0]), int(parts[1])
        if not n_words or not 0 < dim <= DIM_LIMIT:
            raise self._error(f"the header says {n_words:,} words of {dim:,} values")
        return n_words, dim

    def _read(self, file: IO[bytes], n_read: int) -> bytes:
        try:
            return file.read(_BLOCK_BYTES)
        except (*READ_ERRORS, ValueError) as err:
            raise StorageError(
                f"cannot read on after word {n_read:,}: {err}", where=str(self.path)
            ) from err

    def _take(
        self, data: bytes, dim: int, limit: int, n_before: int, *, last: bool
    ) -> tuple[list[bytes], np.ndarray[tuple[int, int], np.dtype[np.float32]], bytes]:
        """Cut whole words and rows off the data; gives what is left."""
        words: list[bytes] = []
        values: list[bytes] = []
        position, size = 0, 4 * dim
        while len(words) < limit:
            space = data.find(b" ", position, position + _WORD_BYTES)
            if space < 0 and len(data) - position >= _WORD_BYTES:
                raise self._error(
                    f"no end of word {n_before + len(words) + 1:,} within 64 KB; the width or"
                    f" format is another"
                )
            if space < 0 or space + 1 + size > len(data):
                break
            words.append(data[position:space].lstrip(b"\n"))
            values.append(data[space + 1 : space + 1 + size])
            position = space + 1 + size
        if last and len(words) < limit:
            at = n_before + len(words)
            after = f", after {shown(words[-1])}" if words else ""
            raise self._error(
                f"file ends inside word {at + 1:,} of {at + limit - len(words):,}{after}; it is"
                f" cut short"
            )
        rows = np.frombuffer(b"".join(values), "<f4").reshape(-1, dim)
        wrong = ~np.isfinite(rows).all(axis=1)
        if wrong.any():
            raise self._error(
                f"{shown(words[int(wrong.argmax())])} has a value that is not finite; the width"
                f" or data is wrong"
            )
        return words, rows, data[position:]

    def _error(self, message: str) -> ArtifactError:
        return ArtifactError(message, where=str(self.path))
