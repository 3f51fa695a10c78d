"""The quick-start data: docstrings of the running Python's standard library, labelled by module
family.

In: the `.py` files beside the interpreter, read with `ast` and never imported. Out: train.csv and
test.csv with columns text,label. Real English under the PSF licence, and no download. The counts
vary a little with the Python version.
"""

from __future__ import annotations

import ast
import csv
import functools
import hashlib
import io
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from textkit.errors import DataError
from textkit.io import files

# Only modules that every Python 3.11+ has, also Debian's, which ships tkinter, idlelib and
# distutils apart.
FAMILIES = {
    "concurrency": "asyncio multiprocessing threading concurrent subprocess queue sched selectors",
    "files": "os pathlib shutil tarfile zipfile tempfile _pyio gzip bz2 lzma _compression glob"
    " fnmatch posixpath ntpath"
    " genericpath stat fileinput filecmp linecache zipimport",
    "language": "importlib inspect ast typing enum dis symtable pkgutil pyclbr modulefinder runpy",
    "network": "email http urllib wsgiref xmlrpc imaplib smtplib ftplib poplib ssl socket"
    " socketserver ipaddress",
    "numbers": "_pydecimal datetime _pydatetime statistics fractions numbers random calendar"
    " _strptime zoneinfo",
    "testing": "unittest doctest pdb bdb logging",
}
SEED = 0
TEST_SHARE = 0.2
_MIN_WORDS = 3


def docstring_rows() -> list[tuple[str, str]]:
    """Collect (first paragraph, family), each text once.

    A text that two families share is left out.

    >>> len(docstring_rows()) > 2000
    True
    """
    return list(_collect(Path(sysconfig.get_paths()["stdlib"])))


@functools.cache  # it parses 350 files, which takes a second
def _collect(library: Path) -> tuple[tuple[str, str], ...]:
    families: dict[str, set[str]] = {}
    for family, modules in FAMILIES.items():
        for module in modules.split():
            for path in _sources(library, module):
                for text in _first_paragraphs(path):
                    families.setdefault(text, set()).add(family)
    rows = tuple((text, found.pop()) for text, found in families.items() if len(found) == 1)
    if not rows:
        raise DataError(
            "no Python sources found; this interpreter ships without its .py files",
            where=str(library),
        )
    return rows


def split_rows(rows: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Deal rows into train and test by a seeded hash of the text alone: the same text, the same
    part, always.
    """
    ordered = sorted(
        (hashlib.sha256(f"{SEED} {text}".encode()).digest(), text, label) for text, label in rows
    )
    limit = int(TEST_SHARE * 256)
    train = [(text, label) for digest, text, label in ordered if digest[0] >= limit]
    test = [(text, label) for digest, text, label in ordered if digest[0] < limit]
    return train, test


def write_docstrings(folder: str | Path) -> dict[str, int]:
    """Write train.csv and test.csv; return the number of rows in each."""
    parts = dict(zip(("train.csv", "test.csv"), split_rows(docstring_rows()), strict=True))
    for name, rows in parts.items():
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["text", "label"])
        writer.writerows(rows)
        files.write_text(Path(folder) / name, buffer.getvalue())
    return {name: len(rows) for name, rows in parts.items()}


def _sources(library: Path, module: str) -> Iterator[Path]:
    """Give the module's own files, its tests left out."""
    if (library / module).is_dir():
        inner = sorted((library / module).rglob("*.py"))
        yield from (
            path for path in inner if not {"test", "tests"} & set(path.relative_to(library).parts)
        )
    elif (library / f"{module}.py").is_file():
        yield library / f"{module}.py"


def _first_paragraphs(path: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in old sources
        tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            paragraph = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
            if len(paragraph.split()) >= _MIN_WORDS:
                yield paragraph
