"""Input files: their names and their formats, and which can be read only once.

In: names, globs, folders, `-`. Out: a list of files, the format of each, the lines of small ones.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from textkit.errors import DataError, StorageError, UsageError
from textkit.io.packed import PACKED_ENDINGS, READ_ERRORS, open_bytes
from textkit.io.remote import list_url, url_of

_LINE_BYTES = 1 << 20
FORMATS = ("txt", "csv", "tsv", "jsonl", "parquet", "arrow", "xlsx")
_ENDINGS = {
    "ndjson": "jsonl",
    "json": "jsonl",
    "feather": "arrow",
    "arrows": "arrow",
    "xlsm": "xlsx",
}
_OF_SHEET = re.compile(r"(.+\.xls[xm])#(.+)", re.IGNORECASE)
# Workbooks of other kinds; their bytes are no lines of text.
OTHER_WORKBOOKS = (".xls", ".xlsb", ".xlt", ".ods", ".fods", ".numbers")


def guess_format(path: str | Path) -> str:
    """Tell a file's format by its name, without .gz, .bz2, .xz, .zst.

    Standard input and unknown endings are txt.

    >>> guess_format("a.csv.gz"), guess_format("-"), guess_format("notes.md")
    ('csv', 'txt', 'txt')
    """
    ending = without_packing(str(split_sheet(path)[0])).rpartition(".")[2]
    return _ENDINGS.get(ending, ending if ending in FORMATS else "txt")


def names_format(path: str | Path) -> bool:
    """Tell whether a name has an ending of a format that we read.

    >>> names_format("a.txt"), names_format("/dev/fd/63"), names_format("notes.md")
    (True, False, False)
    """
    ending = without_packing(str(split_sheet(path)[0])).rpartition(".")[2]
    return ending in FORMATS or ending in _ENDINGS


def split_sheet(path: str | Path) -> tuple[Path, str | None]:
    """Give the file that a name means, and the sheet of a workbook where it says one behind #.

    A file of that very name is that file.

    >>> split_sheet("tickets.xlsx#May"), split_sheet("tickets.csv#May")
    ((PosixPath('tickets.xlsx'), 'May'), (PosixPath('tickets.csv#May'), None))
    """
    found = _OF_SHEET.fullmatch(str(path))
    if found is None or Path(path).exists():
        return Path(path), None
    return Path(found[1]), found[2]


def without_packing(name: str) -> str:
    """Give a name in small letters, without the ending of a packed file."""
    name = name.lower()
    return next((name.removesuffix(e) for e in PACKED_ENDINGS if name.endswith(e)), name)


def refuse_other_workbook(name: str) -> None:
    """Raise DataError for a workbook of another kind than .xlsx, known by its name: what it holds
    is no lines of text.

    >>> refuse_other_workbook("old.xls")
    Traceback (most recent call last):
    textkit.errors.DataError: old.xls: a workbook of this kind is not read; save it as .xlsx or csv
    """
    if without_packing(name).endswith(OTHER_WORKBOOKS):
        raise DataError("a workbook of this kind is not read; save it as .xlsx or csv", where=name)


def is_stream(path: str | Path) -> bool:
    """Tell whether a file can be read only once: standard input, a pipe.

    >>> is_stream("-"), is_stream("/dev/null"), is_stream("no such file")
    (True, True, False)
    """
    path = Path(path)
    return str(path) == "-" or (path.exists() and not path.is_file() and not path.is_dir())


def refuse_streams(names: Sequence[str | Path]) -> None:
    """Raise UsageError where one of the files that are read twice can be read only once."""
    for name in names:
        if is_stream(name):
            shown = "standard input" if str(name) == "-" else f"{name} is a pipe and"
            raise UsageError(f"{shown} cannot be read a second time: name a file")


@contextmanager
def unchanged(path: Path, *, advice: str) -> Iterator[None]:
    """Raise StorageError after the block where the file was written to while it ran."""
    before = path.stat()
    yield
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise StorageError(f"file was changed while it was read; {advice}", where=str(path))


def expand_inputs(
    patterns: Sequence[str], *, note: Callable[[str], None] = lambda line: None
) -> list[str]:
    """Turn names, globs and folders into files, folders read whole and in order of name.

    `-` stays standard input. In a folder, links are followed; `note` hears what was passed over: a
    link back to a folder above, a link to nothing, what is no file, files of other endings. A link
    to nothing that has the name of a corpus is a StorageError.

    >>> Path("in").mkdir()
    >>> for name in ("b.txt", "a.csv", "c.png"):
    ...     Path("in", name).touch()
    >>> expand_inputs(["in", "in/*.txt"], note=print)
    in: 1 file of other endings passed over, the first: in/c.png
    ['in/a.csv', 'in/b.txt', 'in/b.txt']
    """
    found: list[str] = []
    for pattern in patterns:
        path, url = Path(pattern), url_of(pattern)
        if url is not None:
            found += _of_url(url, note)
        elif path.is_dir():
            inside = _Folder(note).files(path)
            if not inside:
                raise StorageError(
                    f"no files to read in this folder; known: {', '.join(FORMATS)}", where=pattern
                )
            found += inside
        elif pattern == "-" or split_sheet(path)[0].exists():
            found.append(pattern)
        elif path.is_symlink():
            raise _dead_link(path)
        elif any(mark in pattern for mark in "*?["):
            file, sheet = split_sheet(pattern)
            matched = _match(str(file), note)
            found += matched if sheet is None else [f"{name}#{sheet}" for name in matched]
        else:
            raise StorageError("cannot open: No such file or directory", where=pattern)
    return found


def _of_url(url: str, note: Callable[[str], None]) -> list[str]:
    """Give the files that a URL means, of a folder those of known endings."""
    names = list_url(url)
    if names == [url] or any(mark in url for mark in "*?["):
        return names
    known = [name for name in names if is_corpus_name(name.rpartition("/")[2])]
    others = [name for name in names if name not in known]
    if not known:
        raise StorageError(
            f"no files to read in this folder; known: {', '.join(FORMATS)}", where=url
        )
    if others:
        some = _some(others, "file")
        note(f"{url}: {some} of other endings passed over, the first: {others[0]}")
    return known


def _match(pattern: str, note: Callable[[str], None]) -> list[str]:
    """Give the files that a glob names; folders among them are noted."""
    # pathlib globs no absolute pattern.
    matched = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    if not matched:
        raise StorageError("no file matches", where=pattern)
    dead = next((Path(name) for name in matched if not Path(name).exists()), None)
    if dead is not None:
        raise _dead_link(dead)
    files = [name for name in matched if not Path(name).is_dir()]
    folders = [name for name in matched if Path(name).is_dir()]
    if not files:
        raise StorageError(
            f"matches folders alone, the first: {folders[0]}; name a folder to read it whole",
            where=pattern,
        )
    if folders and "**" not in pattern:
        note(f"{pattern}: {_some(folders, 'folder')} passed over, the first: {folders[0]}")
    return files


class _Folder:
    """The walk through a folder; what it passes over is counted for one note each."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self.note = note
        self.others: list[str] = []

    def files(self, folder: Path) -> list[str]:
        """Give the files to read, in order of name."""
        found = self._walk(folder, ())
        if self.others:
            some = _some(self.others, "file")
            self.note(f"{folder}: {some} of other endings passed over, the first: {self.others[0]}")
        return sorted(found)

    def _walk(self, folder: Path, above: tuple[tuple[int, int], ...]) -> list[str]:
        """above: which folders this one stands in, by device and number."""
        found = []
        try:
            state = folder.stat()
            here = (*above, (state.st_dev, state.st_ino))
            inside = sorted(folder.iterdir())
        except OSError as err:
            raise StorageError(
                f"cannot read the folder: {err.strerror}", where=str(folder)
            ) from err
        for path in inside:
            if path.is_dir():
                state = path.stat()
                if (state.st_dev, state.st_ino) in here:
                    self.note(f"{path}: passed over, a link back to a folder that it stands in")
                else:
                    found += self._walk(path, here)
            elif path.is_file():
                if is_corpus_name(path.name):
                    found.append(str(path))
                elif not path.name.startswith("."):
                    self.others.append(str(path))
            elif path.is_symlink():
                if is_corpus_name(path.name):
                    raise _dead_link(path)
                self.note(f"{path}: passed over, {_dead_link(path).message}")
            else:
                self.note(f"{path}: passed over, it is no file; name it to read it")
        return found


def _dead_link(path: Path) -> StorageError:
    try:
        target = f"'{path.readlink()}', which is not there"
    except OSError:  # it was removed meanwhile
        target = "nothing"
    return StorageError(f"a link to {target}; restore the file or remove the link", where=str(path))


def _some(names: Sequence[str], what: str) -> str:
    return f"{len(names):,} {what}{'s' if len(names) > 1 else ''}"


def is_corpus_name(name: str) -> bool:
    """Tell whether a file's ending is one that we read, so that a folder's other files are left
    alone.
    """
    ending = without_packing(name).rpartition(".")[2]
    hidden = name.startswith((".", "~$"))  # ~$ is what Excel has beside a file that it has open
    return not hidden and ending in (*FORMATS, "ndjson", "feather", "arrows", "xlsm")


def is_table(name: str) -> bool:
    """Tell whether a file that we read has rows of columns, by its ending.

    >>> is_table("a.csv.gz"), is_table("a.txt"), is_table("a.py")
    (True, False, False)
    """
    return is_corpus_name(name) and guess_format(name) != "txt"


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Give the lines that are not blank, without their ends, numbered from 1.

    For small files about words: pairs, analogies, lists. DataError for what is no UTF-8, and for a
    line of more than a megabyte.

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
