"""The parts of a workbook of Excel: a zip archive of XML files, each read as a stream and guarded.

In: the path of an .xlsx or .xlsm file. Out: its parts by name, how they refer to one another, and
the XML of each as calls of handlers, a block at a time. What is no workbook, what is protected by a
password, unpacks to far more than it holds or declares a document type (as an entity bomb has to)
is a DataError or LimitError that says what to do.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol
from xml.parsers import expat

from textkit.errors import DataError, LimitError, StorageError, UsageError
from textkit.io.inputs import is_stream
from textkit.io.packed import packing_of
from textkit.io.stand_ins import START_BYTES, describe_stand_in

_BLOCK_BYTES = 1 << 16
_ZIP, _OLD_OFFICE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Sheets of a million rows pack 10 to 60 times; zip itself ends at about 1000.
_LARGE_BYTES, _MOST_RATIO = 64 << 20, 200
# What is held in memory: the elements of a part that lists things, and a tag that goes on.
_MOST_ELEMENTS, _MOST_TAG_BYTES = 1_000_000, 16 << 20
_SAVE_AGAIN = "open it in a spreadsheet program and save it anew as .xlsx"
_OFFICE_DOCUMENT = "/officeDocument"
_MERGE = re.compile(rb'mergeCell\s[^>]*?\bref=["\']([A-Z]+)([0-9]+):[A-Z]+([0-9]+)["\']')
_MERGE_BYTES = 256


class XmlHandler(Protocol):
    """What hears of a part's XML: names without their prefix."""

    def start(self, name: str, attributes: dict[str, str], /) -> None: ...

    def end(self, name: str, /) -> None: ...

    def text(self, data: str, /) -> None: ...


class Elements:
    """Gather the elements of a small part: (the element it stands in, its name, its attributes)."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, dict[str, str]]] = []
        self._above = [""]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.found.append((self._above[-1], name, attributes))
        self._above.append(name)

    def end(self, name: str) -> None:
        self._above.pop()

    def text(self, data: str) -> None:
        pass


class Parts:
    """The parts of an open workbook; `workbook` is the one that lists the sheets."""

    def __init__(self, archive: zipfile.ZipFile, where: str) -> None:
        self.archive, self.where = archive, where
        self._entries = {_key(entry.filename): entry for entry in archive.infolist()}
        documents = [
            part for kind, part in self.relations("").values() if kind.endswith(_OFFICE_DOCUMENT)
        ]
        self.workbook = documents[0] if documents else ""
        if self.workbook.endswith(".bin"):
            raise DataError(
                f"the file is a binary workbook, as xlsb is: {_SAVE_AGAIN}", where=where
            )
        if not self.workbook.endswith(".xml") or not self.has(self.workbook):
            raise DataError(
                f"the zip archive holds no workbook of Excel; {_SAVE_AGAIN}, or as csv", where=where
            )

    def has(self, part: str) -> bool:
        """Tell whether there is a part of that name."""
        return _key(part) in self._entries

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Give what a part refers to: its kind and its name, by id; "" is the workbook file."""
        folder, name = posixpath.split(part)
        place = posixpath.join(folder, "_rels", f"{name}.rels")
        if not self.has(place):
            return {}
        found: dict[str, tuple[str, str]] = {}
        for _, element, attributes in self.elements(place):
            if element == "Relationship" and attributes.get("TargetMode") != "External":
                target = posixpath.join("/", folder, attributes.get("Target", ""))
                kind = attributes.get("Type", "")
                found[attributes.get("Id", "")] = (kind, posixpath.normpath(target).lstrip("/"))
        return found

    def elements(self, part: str) -> list[tuple[str, str, dict[str, str]]]:
        """Give all elements of a small part."""
        handler = Elements()
        for _ in self.parse(part, handler):
            if len(handler.found) > _MOST_ELEMENTS:
                raise self.damaged(f"{part} has more than {_MOST_ELEMENTS:,} elements")
        return handler.found

    def read(self, part: str) -> bytes:
        """Give the bytes of a small part."""
        return b"".join(self._blocks(part))

    def parse(self, part: str, handler: XmlHandler) -> Iterator[None]:
        """Read a part, and stop after each block, so that what the handler gathered can be used."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_document_type
        parser.CharacterDataHandler = handler.text
        parser.EndElementHandler = handler.end

        def start_root(name: str, attributes: dict[str, str]) -> None:
            parser.StartElementHandler = handler.start
            if ":" in name:  # some programs write every name with a prefix
                parser.StartElementHandler = lambda name, given: handler.start(_bare(name), given)
                parser.EndElementHandler = lambda name: handler.end(_bare(name))
            handler.start(_bare(name), attributes)

        parser.StartElementHandler = start_root
        n_fed = 0
        for block in self._blocks(part):
            self._feed(parser, block, part)
            n_fed += len(block)
            if n_fed - parser.CurrentByteIndex > _MOST_TAG_BYTES:
                raise self.damaged(f"{part}: a tag of more than {_MOST_TAG_BYTES:,} bytes")
            yield
        self._feed(parser, b"", part)
        yield

    def merged(self, part: str) -> list[tuple[bytes, int, int]]:
        """Give the merged cells of a sheet that reach over several rows: the letters of their first
        column, their first and last row; in order of the first.

        They stand behind the rows that they concern, so that the sheet is looked through first.
        """
        found: set[tuple[bytes, int, int]] = set()
        rest = b""
        for block in self._blocks(part):
            data = rest + block
            if b"mergeCell" in data:
                for column, first, last in _MERGE.findall(data):
                    if first != last:
                        found.add((column, int(first[:9]), int(last[:9])))
            if len(found) > _MOST_ELEMENTS:
                raise self.damaged(f"{part} has more than {_MOST_ELEMENTS:,} merged cells")
            rest = data[-_MERGE_BYTES:]
        return sorted(found, key=lambda merge: merge[1])

    def _refuse_document_type(self, *_: object) -> None:
        raise DataError(
            f"the XML declares a document type, which no workbook does; {_SAVE_AGAIN}",
            where=self.where,
        )

    def _feed(self, parser: expat.XMLParserType, block: bytes, part: str) -> None:
        try:
            parser.Parse(block, not block)
        except (expat.ExpatError, LookupError, ValueError) as err:
            if isinstance(err, DataError):
                raise
            raise self.damaged(f"{part}: {err}") from err

    def damaged(self, reason: object) -> DataError:
        """Make the error of a workbook that cannot be read."""
        shown = " ".join(str(reason).split())
        return DataError(f"not a readable workbook: {shown}; {_SAVE_AGAIN}", where=self.where)

    def _blocks(self, part: str) -> Iterator[bytes]:
        entry = self._entries.get(_key(part))
        if entry is None:
            raise self.damaged(f"it has no part {part}")
        if entry.file_size > max(_LARGE_BYTES, entry.compress_size * _MOST_RATIO):
            raise LimitError(
                f"{part} unpacks from {entry.compress_size:,} to {entry.file_size:,} bytes, more"
                f" than {_MOST_RATIO} times as many; save the sheet as csv",
                where=self.where,
            )
        with self._readable():
            file = self.archive.open(entry)
        with file:
            while True:
                with self._readable():
                    block = file.read(_BLOCK_BYTES)
                if not block:
                    return
                yield block

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as err:
            raise self.damaged(err) from err
        except OSError as err:
            raise StorageError(f"cannot read: {err.strerror or err}", where=self.where) from err


@contextmanager
def open_parts(path: Path | None) -> Iterator[Parts]:
    """Open a workbook, None for standard input; DataError for what is none.

    >>> _ = Path("a.xlsx").write_bytes(b"text,label")
    >>> with open_parts(Path("a.xlsx")):
    ...     pass
    Traceback (most recent call last):
    textkit.errors.DataError: a.xlsx: no workbook of Excel; ...
    """
    name = "standard input" if path is None else str(path)
    if path is not None and path.is_dir():
        raise StorageError("is a folder, expected a file", where=name)
    if path is None or is_stream(path):
        raise UsageError(f"{name}: a workbook cannot be read from a pipe; name a file")
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
            what = describe_no_workbook(file.read(START_BYTES))
            if what is None:
                archive = stack.enter_context(zipfile.ZipFile(file))
        except OSError as err:
            raise StorageError(f"cannot open: {err.strerror or err}", where=name) from err
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as err:
            raise DataError(
                f"not a readable workbook: {err}; the file is cut short or damaged: copy it again",
                where=name,
            ) from err
        if what is not None:
            raise DataError(what, where=name)
        yield Parts(archive, name)


def describe_no_workbook(start: bytes) -> str | None:
    """Say what a file is that begins so and is named as a workbook; None for a zip archive."""
    if start.startswith(_ZIP):
        return None
    if start.startswith(_OLD_OFFICE):
        return (
            "the workbook is protected by a password, or an old .xls under another name; save it"
            " as .xlsx without a password"
        )
    packing = packing_of(start)
    if packing is not None:
        return f"the workbook is packed by {packing}; unpack it first, a workbook is packed already"
    what = describe_stand_in(start)
    if what is not None:
        return f"the file is {what}"
    return "no workbook of Excel; if it is a text, give it the ending .csv or .txt"


def _key(part: str) -> str:
    """Give the name under which a part is looked up: some programs write other case and slashes."""
    return part.replace("\\", "/").lstrip("/").lower()


def _bare(name: str) -> str:
    return name.rpartition(":")[2]


def attribute(attributes: Mapping[str, str], name: str) -> str | None:
    """Give an attribute by its name without a prefix."""
    return next(
        (value for key, value in attributes.items() if key.rpartition(":")[2] == name), None
    )
