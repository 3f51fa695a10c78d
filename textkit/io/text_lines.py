"""The lines of a text file, decoded as UTF-8 and numbered; what is no UTF-8 text is told by its
content.

In: an open binary file. Out: strings with their line ends, only \\n ends a line. A line that is no
UTF-8 is given with U+FFFD, and `bad` says what is wrong with it, so that whoever puts records
together from lines can leave the whole record out. UTF-16 and UTF-32, with a mark or without,
pointers and archives are a DataError that says how to make text of them.
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal

from textkit.errors import DataError, LimitError, StorageError
from textkit.io.packed import READ_ERRORS
from textkit.io.stand_ins import START_BYTES, describe_stand_in

# What the texts of a .txt file are.
TextsAre = Literal["lines", "paragraphs", "files"]
_BLOCK_BYTES = 1 << 20
# So much of a file tells its encoding.
_HEAD_BYTES = 4096
_PICKLE = "a pickle, which is not read: write its texts as csv, jsonl or parquet"
# Told by their first bytes where those are no text.
_BINARIES = (
    (b"PAR1", "a Parquet file: give it the ending .parquet"),
    (b"ARROW1\x00\x00", "an Arrow file: give it the ending .arrow"),
    (b"\xff\xff\xff\xff", "an Arrow stream: give it the ending .arrow"),
    (b"ORC", "an ORC file: convert it to Parquet"),
    (b"Obj\x01", "an Avro file: convert it to Parquet or jsonl"),
    (b"\x1f\x8b", "packed twice by gzip: unpack it once (gunzip)"),
    (b"\x5d\x00\x00", "packed by lzma: unpack it first (unlzma)"),
    (b"x\x9c", "packed by zlib: unpack it first (pigz -dz)"),
    (b"x\xda", "packed by zlib: unpack it first (pigz -dz)"),
    (b"\xff\x06\x00\x00sNaPpY", "packed by snappy: unpack it first (snzip -d)"),
    (b"\x93NUMPY", "an array of NumPy: write its texts as txt, csv or jsonl"),
    (b"\x89HDF\r\n", "an HDF5 file: write its texts as csv, jsonl or parquet"),
    *((bytes((0x80, protocol)), _PICKLE) for protocol in (2, 3, 4, 5)),
    (b"\x89PNG\r\n", "a picture (PNG), no text"),
    (b"\xff\xd8\xff", "a picture (JPEG), no text"),
    (b"GIF8", "a picture (GIF), no text"),
    (b"\x7fELF", "a program, no text"),
)
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
# Bytes that no text in UTF-8 has but by accident: controls other than white space and escape.
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# Of bytes drawn by chance 11 % are such controls; a text of another encoding has next to none.
_CONTROL_SHARE = 0.05
_WIDE = (("UTF-32LE", 4, 3), ("UTF-32BE", 4, 0), ("UTF-16LE", 2, 1), ("UTF-16BE", 2, 0))


@dataclass(frozen=True)
class RowLimit:
    """How many bytes a row may have. option: what raises it, where the caller has one."""

    megabytes: int = 32
    option: str | None = None

    @property
    def n_bytes(self) -> int:
        return self.megabytes << 20

    def error(self, what: str, where: str) -> LimitError:
        """Make the error of a row that is longer."""
        more = "" if self.option is None else f", or pass a larger {self.option}"
        return LimitError(
            f"{what} has more than {self.megabytes} MB, the most that a row may have; cut it into"
            f" rows{more}",
            where=where,
        )


DEFAULT_LIMIT = RowLimit()


class TextLines:
    """Iterate over the lines of an open file; each is given once.

    markup: the text may be a web page's. limit: a longer line is a LimitError. number: of the line
    given last, from 1. bad: why that line is no UTF-8, else None. n_nul: lines with a NUL
    character, the first of them first_nul.

    >>> lines = TextLines(io.BytesIO(b"one\\ncaf\\xe9\\n"), "a.txt")
    >>> [(line, lines.number, lines.bad is not None) for line in lines]
    [('one\\n', 1, False), ('caf\\ufffd\\n', 2, True)]
    """

    def __init__(
        self,
        file: IO[bytes],
        name: str,
        *,
        markup: bool = True,
        limit: RowLimit = DEFAULT_LIMIT,
    ) -> None:
        self.file, self.name, self.markup, self.limit = file, name, markup, limit
        self.number = 0
        self.bad: DataError | None = None
        self.n_nul = self.first_nul = 0

    def __iter__(self) -> Iterator[str]:
        try:
            for block in self._blocks():
                # A block at once costs less than line by line.
                try:
                    decoded = list(map(bytes.decode, io.BytesIO(block)))
                except UnicodeDecodeError:
                    yield from self._one_by_one(block)
                    continue
                if b"\0" in block:
                    self._count_nul(block.decode("utf-8"))
                first = self.number + 1
                for self.number, line in enumerate(decoded, first):
                    yield line
        except READ_ERRORS as err:  # pyarrow's errors of reading are OSErrors
            if isinstance(err, StorageError):
                raise
            raise StorageError(
                f"cannot read on after line {self.number}: {err}", where=self.name
            ) from err

    def _blocks(self) -> Iterator[bytes]:
        """Give whole lines, about a megabyte at a time or as many as there are by now."""
        block = self._read_block()
        refuse_no_text(block, self.name, markup=self.markup)
        block = block.removeprefix(codecs.BOM_UTF8)
        while block:
            yield block
            block = self._read_block()

    def _read_block(self) -> bytes:
        block: bytes = self.file.read1(_BLOCK_BYTES)  # type: ignore[attr-defined]
        if block.endswith(b"\n") or not block:
            return block
        room = self.limit.n_bytes - (len(block) - block.rfind(b"\n") - 1)
        rest = self.file.readline(max(room, 0) + 1)
        if len(rest) - rest.endswith(b"\n") > room:
            number = self.number + block.count(b"\n") + 1
            raise self.limit.error("the line", f"{self.name}:{number}")
        return block + rest

    def _one_by_one(self, block: bytes) -> Iterator[str]:
        """Give the lines of a block of which one or more are no UTF-8."""
        for raw in io.BytesIO(block):
            self.number += 1
            if b"\0" in raw:
                self._count_nul("\0", before=self.number - 1)
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as err:
                line = raw.decode("utf-8", "replace")
                at = err.start + 1
                self.bad = DataError(
                    f"not UTF-8: byte 0x{raw[err.start]:02X} at byte column {at}; convert the"
                    " file from its encoding, e.g. iconv -f WINDOWS-1252 -t UTF-8",
                    where=f"{self.name}:{self.number}:{at}",
                )
                self.bad.__cause__ = err
            yield line
            self.bad = None

    def _count_nul(self, text: str, *, before: int | None = None) -> None:
        lines = [number for number, line in enumerate(text.split("\n"), start=1) if "\0" in line]
        if not self.n_nul:
            self.first_nul = lines[0] + (self.number if before is None else before)
        self.n_nul += len(lines)

    def notes(self) -> list[str]:
        """Say what is odd in the text, for the user to see."""
        if not self.n_nul:
            return []
        return [
            f"{self.name}: {self.n_nul:,} lines hold NUL characters, the first is line"
            f" {self.first_nul:,}; they were kept as they are"
        ]


def join_lines(
    lines: TextLines, texts_are: Literal["paragraphs", "files"]
) -> Iterator[tuple[str, int, DataError | None]]:
    """Put lines together to paragraphs, between which blank lines stand, or to the whole file.

    Gives each text as it is but for the line ends behind it, the line on which it begins, and why
    it is no UTF-8, if so. A file without a line is one empty text, and has no paragraph. A text
    longer than the limit of the lines is a LimitError.

    >>> lines = TextLines(io.BytesIO(b"one\\ntwo\\n\\n \\nthree"), "a.txt")
    >>> [(text, line) for text, line, _ in join_lines(lines, "paragraphs")]
    [('one\\ntwo', 1), ('three', 5)]
    """
    held: list[str] = []
    size, first = 0, 1
    bad: DataError | None = None
    for line in lines:
        if texts_are == "paragraphs" and not line.strip():
            if held:
                yield "".join(held).rstrip("\r\n"), first, bad
            held, size, bad = [], 0, None
            continue
        if not held:
            first = lines.number
        held.append(line)
        bad = bad or lines.bad
        size += len(line)
        if size > lines.limit.n_bytes:
            what = "the file" if texts_are == "files" else "the paragraph"
            raise lines.limit.error(what, f"{lines.name}:{first}")
    if held or texts_are == "files":
        yield "".join(held).rstrip("\r\n"), first, bad


def refuse_no_text(start: bytes, name: str, *, markup: bool = True) -> None:
    """Raise DataError where the first bytes of a file show that it is no text in UTF-8.

    markup: a web page will do.
    """
    what = describe_stand_in(start[:START_BYTES], page=not markup) if start else None
    head = start[:_HEAD_BYTES]
    is_binary = bool(_CONTROLS.search(head)) or not _decodes(head)
    if what is None and is_binary:
        what = next((what for mark, what in _BINARIES if start.startswith(mark)), None)
    if what is not None:
        raise DataError(f"the file is {what}", where=name)
    encoding = wide_encoding(start)
    if encoding is not None:
        raise DataError(
            f"file is {encoding[:6]}, expected UTF-8; convert it: iconv -f {encoding} -t UTF-8",
            where=f"{name}:1",
        )
    n_nul, n_controls = head.count(0), len(_CONTROLS.findall(head))
    is_noise = n_controls > len(head) * _CONTROL_SHARE and not _decodes(head)
    if n_nul * 5 > len(head) or is_noise:
        share = f"{n_controls / len(head):.0%} of its first bytes are control characters"
        if n_nul * 5 > len(head):
            share = f"{n_nul / len(head):.0%} of its first bytes are NUL"
        raise DataError(f"not a text: {share}; expected UTF-8", where=f"{name}:1")


def wide_encoding(start: bytes) -> str | None:
    """Name UTF-16 or UTF-32 as iconv knows it where a file begins so, with or without a mark.

    Without one, it has control bytes and decodes to characters that texts have; and where it would
    do for UTF-8 too, most of its bytes in the places of the upper bytes are small.

    >>> wide_encoding("été\\n".encode("utf-16-be")), wide_encoding("été\\n".encode())
    ('UTF-16BE', None)
    """
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    head = start[:_HEAD_BYTES]
    if not _CONTROLS.search(head):
        return None
    is_utf8 = _decodes(head)
    for tells in (_has_upper_bytes, _has_upper_nuls):
        for name, width, upper in _WIDE:
            if tells(head, width, upper):
                try:
                    text = codecs.getincrementaldecoder(name)().decode(head)
                except UnicodeDecodeError:
                    continue
                if text and all(map(_is_written, set(text))):
                    return name
        if is_utf8:
            break
    return None


def _decodes(head: bytes) -> bool:
    """Tell whether bytes are UTF-8, but for a last character that is cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _has_upper_bytes(head: bytes, width: int, upper: int) -> bool:
    """Tell whether most upper bytes are small, as those of alphabets are, and not white space."""
    places = head[upper::width]
    small = sum(byte < 0x20 for byte in places)
    return bool(_CONTROLS.search(places)) and small * 4 >= len(places) * (4 if width == 4 else 3)


def _has_upper_nuls(head: bytes, width: int, upper: int) -> bool:
    """Tell whether NULs stand where upper bytes do, and nowhere else: Chinese with line ends."""
    return 0 < head.count(0) == head[upper::width].count(0)


def _is_written(char: str) -> bool:
    return char in "\t\n\v\f\r\x1b\ufeff" or unicodedata.category(char) not in (
        "Cc",
        "Cn",
        "Co",
        "Cs",
    )
