"""A folder of texts: a folder in it for each label, and in that a file for each text.

In: its path. Out: the texts in order of label and name, each with its label; and the hash of all of
them. Names that begin with a dot are passed over, as are files beside the folders of the labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from textkit.errors import DataError, StorageError
from textkit.io import files
from textkit.io.inputs import split_sheet
from textkit.io.text_lines import RowLimit


@dataclass(frozen=True)
class TextFile:
    """A file of a text, and the label that the folder it stands in says."""

    path: Path
    label: str

    def read(self, limit: RowLimit) -> str:
        """Give the text without the line ends behind it; DataError where it is no UTF-8."""
        try:
            if self.path.stat().st_size > limit.n_bytes:
                raise limit.error("the text", str(self.path))
            data = self.path.read_bytes()
        except OSError as err:
            raise StorageError(f"cannot read: {err.strerror}", where=str(self.path)) from err
        try:
            return data.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError as err:
            where = f"byte 0x{data[err.start]:02X} at byte {err.start + 1}"
            raise DataError(f"not UTF-8 ({where})", where=str(self.path)) from err


def list_texts(folder: Path) -> list[TextFile]:
    """Give the texts of a folder, sorted; DataError where it has no folder with a file.

    >>> for name in ("pos/1.txt", "neg/1.txt", "readme.md"):
    ...     Path("films", name).parent.mkdir(parents=True, exist_ok=True)
    ...     _ = Path("films", name).write_text("a film", encoding="utf-8")
    >>> [(text.label, text.path.as_posix()) for text in list_texts(Path("films"))]
    [('neg', 'films/neg/1.txt'), ('pos', 'films/pos/1.txt')]
    """
    found = [
        TextFile(path, label.name)
        for label in _visible(folder)
        if label.is_dir()
        for path in _walk(label)
    ]
    if not found:
        raise DataError(
            "no texts in this folder; expected a folder for each label, and in it a file for each"
            " text",
            where=str(folder),
        )
    return found


def hash_data(path: Path) -> str:
    """Hash a file, or the names and contents of a folder of texts; hex digits.

    The hash of a sheet of a workbook is that of the file and of its name.
    """
    if not path.is_dir():
        file, sheet = split_sheet(path)
        digest = files.sha256(file)
        return digest if sheet is None else hashlib.sha256(f"{digest} {sheet}".encode()).hexdigest()
    whole = hashlib.sha256()
    for text in list_texts(path):
        name = text.path.relative_to(path).as_posix()
        whole.update(f"{files.sha256(text.path)} {name}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _walk(folder: Path) -> Iterator[Path]:
    for path in _visible(folder):
        if path.is_dir():
            yield from _walk(path)
        elif path.is_file():
            yield path


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as err:
        raise StorageError(f"cannot read the folder: {err.strerror}", where=str(folder)) from err
