"""Packed files are unpacked by what they hold; archives are refused with the command that helps."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pytest

from textkit.errors import DataError, StorageError
from textkit.io.corpus import RowReader
from textkit.io.inputs import expand_inputs, guess_format
from textkit.io.packed import open_bytes
from textkit.io.row_files import copy_rows


def zstd(data: bytes) -> bytes:
    return bytes(pyarrow.compress(data, codec="zstd", asbytes=True))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}
packings = pytest.mark.parametrize(("ending", "pack"), PACKERS.items(), ids=PACKERS)


def feed(name: str, pieces: list[bytes]) -> threading.Thread:
    """Write pieces into a new pipe, each by a call of its own."""
    os.mkfifo(name)

    def write() -> None:
        with open(name, "wb", buffering=0) as file:
            for piece in pieces:
                file.write(piece)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


@packings
@pytest.mark.parametrize("named", [True, False])
def test_a_packed_corpus_is_read_whatever_its_name(
    ending: str, pack: Callable[[bytes], bytes], named: bool
) -> None:
    name = f"a.csv{ending}" if named else "a.csv"
    Path(name).write_bytes(pack(b"text,y\none,1\n") + pack(b"two,2\n" * 30_000))
    assert guess_format(name) == "csv"
    texts = [row.text for row in RowReader(name)]
    assert texts == ["one", *["two"] * 30_000]
    assert expand_inputs(["."]) == [name]


@packings
def test_a_packed_corpus_comes_through_a_pipe(ending: str, pack: Callable[[bytes], bytes]) -> None:
    data = pack(b"one\ntwo\n")
    thread = feed("pipe.txt", [data[:1], data[1:3], data[3:]])
    assert [row.text for row in RowReader("pipe.txt")] == ["one", "two"]
    thread.join()


@pytest.mark.parametrize("text", [b"BZh is a word\n", b"B\n", b"\xfd", b"(\xb5", b""])
def test_what_only_begins_as_packed_bytes_do_comes_as_it_is(text: bytes) -> None:
    thread = feed("pipe.txt", [text])
    with open_bytes(Path("pipe.txt")) as file:
        assert file.read() == text
    thread.join()


@packings
def test_a_packed_file_that_is_cut_is_one_line(ending: str, pack: Callable[[bytes], bytes]) -> None:
    data = pack(random.Random(1).randbytes(5000).hex().encode() + b"\n")
    Path(f"a.txt{ending}").write_bytes(data[: len(data) // 2])
    with pytest.raises(StorageError, match=rf"^a\.txt\{ending}: cannot read on after line 0: "):
        list(RowReader(f"a.txt{ending}"))


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])
def test_a_packed_file_that_was_changed_is_one_line(ending: str) -> None:
    data = bytearray(PACKERS[ending](random.Random(1).randbytes(5000).hex().encode() + b"\n"))
    data[len(data) // 2] ^= 0xFF
    Path(f"a.txt{ending}").write_bytes(data)
    with pytest.raises(StorageError, match=rf"^a\.txt\{ending}: cannot read on after line \d: "):
        list(RowReader(f"a.txt{ending}"))


@packings
def test_rows_of_a_packed_file_are_copied_into_packed_files(
    ending: str, pack: Callable[[bytes], bytes]
) -> None:
    Path(f"a.txt{ending}").write_bytes(pack(b"one\ntwo\nthree\n"))
    copy_rows(f"a.txt{ending}", [1, 2, 3], [(Path(f"b.txt{ending}"), np.array([0, 2]))])
    assert Path(f"b.txt{ending}").read_bytes()[:2] == pack(b"")[:2]
    with open_bytes(Path(f"b.txt{ending}")) as file:
        assert file.read() == b"one\nthree\n"


def zipped() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.csv", "text\none\n")
    return archive.getvalue()


def tarred() -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as file:
        entry = tarfile.TarInfo("a.csv")
        entry.size = 4
        file.addfile(entry, io.BytesIO(b"one\n"))
    return archive.getvalue()


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    ("data", "what"),
    [
        (zipped(), "a zip archive.*unzip"),
        (tarred(), r"a tar archive.*tar xf"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive.*7z x"),
        (b"Rar!\x1a\x07\1\0", "a rar archive.*unrar x"),
        (b"\x04\x22\x4d\x18dd", "packed by lz4.*lz4 -d"),
        (b"%PDF-1.7\n", "a PDF.*pdftotext"),
    ],
)
def test_an_archive_is_refused_with_the_command_that_helps(
    name: str, data: bytes, what: str
) -> None:
    for start in (data, gzip.compress(data)) if not name.endswith("parquet") else (data,):
        Path(name).write_bytes(start)
        with pytest.raises(DataError, match=rf"^{name}: the file is {what}"):
            list(RowReader(name, on_bad="skip"))


def test_text_that_begins_with_the_letters_of_an_archive_is_text() -> None:
    Path("a.txt").write_text("PK is a word\n", encoding="utf-8")
    assert [row.text for row in RowReader("a.txt")] == ["PK is a word"]
