"""The bytes of a file, unpacked where they are packed: gzip, bzip2, xz and zstd, told by content.

In: a path, or None for standard input. Out: an open binary file. A file that cannot be sought, as a
pipe, is read once, from its first byte on.
"""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from textkit.errors import StorageError
from textkit.io.remote import open_url, url_of

# What reading may raise once `open_bytes` has opened a file.
READ_ERRORS = (OSError,)
_BUFFER_BYTES = 1 << 20
_MAGICS = {
    "gzip": b"\x1f\x8b\x08",
    "zstd": b"\x28\xb5\x2f\xfd",
    "xz": b"\xfd7zXZ\x00",
    "bzip2": b"BZh",
}
# After its level: a block of data, or the end of a file of nothing.
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")
_MAGIC_BYTES = 10
PACKED_ENDINGS = (".gz", ".bz2", ".xz", ".zst")


def open_bytes(path: Path | None) -> IO[bytes]:
    """Open a file, unpacked by what it holds, or standard input for None; the caller closes it.

    A path that is a URL is read where it lies.

    Raises StorageError that names what cannot be opened; reading on may raise READ_ERRORS.

    >>> import bz2
    >>> _ = Path("a.txt").write_bytes(bz2.compress(b"king\\n"))
    >>> with open_bytes(Path("a.txt")) as file:
    ...     file.read()
    b'king\\n'
    """
    url = None if path is None else url_of(path)
    name = "standard input" if path is None else url or str(path)
    if url is None and path is not None and path.is_dir():
        raise StorageError("is a folder, expected a file", where=name)
    try:
        raw = _open_raw(path, url)
        file = _look_ahead(io.BufferedReader(raw, _BUFFER_BYTES))
        packing = packing_of(file.peek(_MAGIC_BYTES))
        if packing is None:
            return file
        return io.BufferedReader(_Unpacked(file, packing), _BUFFER_BYTES)
    except OSError as err:
        if isinstance(err, StorageError):
            raise
        raise StorageError(f"cannot open: {err.strerror or err}", where=name) from err


def _open_raw(path: Path | None, url: str | None) -> io.RawIOBase:
    if url is not None:
        return open_url(url)
    return io.FileIO(sys.stdin.fileno(), closefd=False) if path is None else io.FileIO(path)


def packing_of(start: bytes) -> str | None:
    """Name what packed a file that begins so; None where nothing did.

    >>> packing_of(b"\\x1f\\x8b\\x08\\0"), packing_of(b"BZh is a word")
    ('gzip', None)
    """
    for name, magic in _MAGICS.items():
        if start.startswith(magic) and (name != "bzip2" or start[4:10] in _BZIP2_BLOCKS):
            return name
    return None


def plain_size(path: Path) -> int | None:
    """Give the bytes that `open_bytes` will read from a file, None where it has to unpack them, or
    where only reading tells.

    >>> import gzip
    >>> _ = Path("a.txt").write_bytes(b"king\\n")
    >>> _ = Path("b.txt").write_bytes(gzip.compress(b"king\\n"))
    >>> plain_size(Path("a.txt")), plain_size(Path("b.txt")), plain_size(Path("/dev/null"))
    (5, None, None)
    """
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        return None if packing_of(file.read(_MAGIC_BYTES)) else path.stat().st_size


def _look_ahead(file: io.BufferedReader) -> io.BufferedReader:
    """Make sure that a peek shows enough to tell a packing, where a pipe gave less at first."""
    start = file.peek(_MAGIC_BYTES)
    begun = any(magic.startswith(start[: len(magic)]) for magic in _MAGICS.values())
    if not start or len(start) >= _MAGIC_BYTES or not begun:
        return file
    return io.BufferedReader(_Joined(file.read(_MAGIC_BYTES), file), _BUFFER_BYTES)


class _Joined(io.RawIOBase):
    """Bytes that were read, and the rest of the file that they were read from."""

    def __init__(self, start: bytes, rest: io.BufferedReader) -> None:
        self.start, self.rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.start or self.rest.read1(len(buffer))
        self.start = b""
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.rest.close()
        super().close()


class _Unpacked(io.RawIOBase):
    """What a packed file holds; whatever is wrong with it is an OSError."""

    def __init__(self, source: IO[bytes], packing: str) -> None:
        self.source = source
        self.read_some, self.errors = _UNPACKERS[packing](source)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self.read_some(len(buffer))
        except self.errors as err:
            raise OSError(str(err)) from err
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.source.close()
        super().close()


Unpacker = tuple[Callable[[int], bytes], tuple[type[Exception], ...]]


def _gzip(source: IO[bytes]) -> Unpacker:
    import gzip

    return gzip.GzipFile(fileobj=source, mode="rb").read1, (EOFError, zlib.error)


def _bzip2(source: IO[bytes]) -> Unpacker:
    import bz2

    return bz2.BZ2File(source, "rb").read1, (EOFError,)


def _xz(source: IO[bytes]) -> Unpacker:
    import lzma

    return lzma.LZMAFile(source, "rb").read1, (EOFError, lzma.LZMAError)


def _zstd(source: IO[bytes]) -> Unpacker:
    """Unpack through pyarrow's own codec."""
    import pyarrow

    stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(source, mode="r"), "zstd")
    return stream.read, (pyarrow.ArrowException,)


_UNPACKERS: dict[str, Callable[[IO[bytes]], Unpacker]] = {
    "gzip": _gzip,
    "bzip2": _bzip2,
    "xz": _xz,
    "zstd": _zstd,
}
