"""A folder of texts: a file for each text, in a folder for each label where labels are asked for.

In: its path. Out: the texts in order of label and name, each with its label; and the hash of all of
them. Names that begin with a dot are passed over, as are files beside the folders of the labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from textkit.errors import DataError, StorageError
from textkit.io import files
from textkit.io.inputs import expand_inputs, is_table, split_sheet
from textkit.io.text_lines import RowLimit


@dataclass(frozen=True)
class TextFile:
    """A file of a text, its name in the folder, and the label that the folder it stands in says,
    "" for one that stands in none.
    """

    path: Path
    name: str
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


def list_texts(
    folder: Path, *, labelled: bool = True, note: Callable[[str], None] = lambda line: None
) -> list[TextFile]:
    """Give the texts of a folder, sorted; DataError where it has none, or has a table and labels
    are not asked for.

    Where folders stand in it they are the texts' labels, and `note` hears which files beside them
    are passed over. labelled: such folders must be there.

    >>> for name in ("pos/1.txt", "neg/1.txt", "readme.md"):
    ...     Path("films", name).parent.mkdir(parents=True, exist_ok=True)
    ...     _ = Path("films", name).write_text("a film", encoding="utf-8")
    >>> [(text.label, text.path.as_posix()) for text in list_texts(Path("films"), note=print)]
    films: 1 file beside the folders of texts passed over, the first: readme.md
    [('neg', 'films/neg/1.txt'), ('pos', 'films/pos/1.txt')]
    >>> [text.name for text in list_texts(Path("films/pos"), labelled=False)]
    ['1.txt']
    """
    inside, beside = list[TextFile](), list[TextFile]()
    for path in _walk(folder):
        name = path.relative_to(folder)
        if not labelled and is_table(path.name):
            raise DataError(f"{path} is a table; name the files, as {folder}/*", where=str(folder))
        label = name.parts[0] if len(name.parts) > 1 else ""
        (inside if label else beside).append(TextFile(path, name.as_posix(), label))
    if not labelled and not inside:
        inside, beside = beside, []
    if not inside:
        expected = "a folder for each label, and in it a file for each text"
        raise DataError(
            f"no texts in this folder; expected {expected if labelled else 'a file for each text'}",
            where=str(folder),
        )
    if beside:
        some = f"{len(beside):,} file{'s' if len(beside) > 1 else ''}"
        note(
            f"{folder}: {some} beside the folders of texts passed over, the first: {beside[0].name}"
        )
    return inside


def expand_texts(
    patterns: Sequence[str], *, note: Callable[[str], None] = lambda line: None
) -> list[str]:
    """Turn names, globs and folders into files as `expand_inputs` does, but keep a folder of texts
    as it is: one that holds no table.

    >>> for name in ("mails/1.txt", "mails/2.txt", "tables/a.csv", "tables/b.txt"):
    ...     Path(name).parent.mkdir(exist_ok=True)
    ...     Path(name).touch()
    >>> expand_texts(["mails", "tables"])
    ['mails', 'tables/a.csv', 'tables/b.txt']
    """
    found = []
    for pattern in patterns:
        path = Path(pattern)
        is_texts = path.is_dir() and not any(is_table(inside.name) for inside in _walk(path))
        found += [pattern] if is_texts else expand_inputs([pattern], note=note)
    return found


def hash_data(path: Path, *, labelled: bool = True) -> str:
    """Hash a file, or the names and contents of a folder of texts; hex digits.

    labelled: as of `list_texts`.
    The hash of a sheet of a workbook is that of the file and of its name.
    """
    if not path.is_dir():
        file, sheet = split_sheet(path)
        digest = files.sha256(file)
        return digest if sheet is None else hashlib.sha256(f"{digest} {sheet}".encode()).hexdigest()
    whole = hashlib.sha256()
    for text in list_texts(path, labelled=labelled):
        line = f"{files.sha256(text.path)} {text.name}\n"
        whole.update(line.encode("utf-8", "surrogateescape"))
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
