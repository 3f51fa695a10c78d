"""Files that stand where another was meant: pointers of Git LFS and git-annex, saved web pages,
archives that nobody unpacked, empty files.

In: the first bytes of a file. Out: an ArtifactError that says what the file is and what to do.
"""

from __future__ import annotations

from pathlib import Path

from textkit.errors import ArtifactError

# So much of a file tells what it is.
START_BYTES = 512
_LFS = "a Git LFS pointer, not the file itself: run `git lfs pull`"
_ANNEX = "a git-annex pointer, not the file itself: run `git annex get`"
_OFFICE = "an Office file: of those a workbook alone is read, under a name that ends in .xlsx"
_PAGE = "a web page, not the file itself: download the raw file"
_ANSWER = "XML, as servers answer, not the file itself: download the raw file"
# What the first name in a zip archive of that kind says.
_ARCHIVES = (
    (b"[Content_Types].xml", _OFFICE),
    (b"xl/", _OFFICE),
    (b"docProps/", _OFFICE),
    (b"data.pkl", "a pickle of torch, which is not read: save its tensors as safetensors"),
    (
        b".npy",
        "arrays of NumPy (.npz), which are not read: write what they hold as text or safetensors",
    ),
    (b"opendocument.spreadsheet", "a spreadsheet of OpenDocument: save it as .xlsx or csv"),
)
_EXPLAINED = (
    (b"version https://git-lfs", _LFS),
    (b"version https://hawser", _LFS),
    (b"/annex/objects/", _ANNEX),
    (b"<!doctype html", _PAGE),
    (b"<html", _PAGE),
    (b"<?xml", _ANSWER),
    (b"{\\rtf", "an RTF file: save it as plain text"),
    (b"PK\x03\x04", "a zip archive: unpack it (unzip) and name the file within"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xfd7zXZ\x00", "packed by xz: unpack it first"),
    (b"BZh91AY&SY", "packed by bzip2: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd: unpack it first"),
    (b"\x04\x22\x4d\x18", "packed by lz4: unpack it first (lz4 -d)"),
    (b"\x1f\x9d", "packed by compress: unpack it first (uncompress)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it (7z x) and name the file within"),
    (b"Rar!\x1a\x07", "a rar archive: unpack it (unrar x) and name the file within"),
    (b"%PDF-", "a PDF: extract its text first (pdftotext)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file, as xls is: save it as .xlsx or csv"),
    (b"SQLite format 3\x00", "an SQLite database: export a table as csv (sqlite3 -csv)"),
)


def describe_stand_in(start: bytes, *, page: bool = True) -> str | None:
    """Say what a file is that begins so and is no data itself, and what to do; None for any other.

    page: a web page, or other markup, is no data.

    >>> describe_stand_in(b"version https://git-lfs.github.com/spec/v1")
    'a Git LFS pointer, not the file itself: run `git lfs pull`'
    >>> describe_stand_in(b"[UNK]")
    """
    if not start:
        return "empty: download or copy it again"
    if start.startswith(b"PK\x03\x04"):
        for inside, what in _ARCHIVES:
            if inside in start:
                return what
    bare = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:64]
    folded = bare.lower()
    for mark, what in _EXPLAINED:
        if bare.startswith(mark) or (mark.islower() and folded.startswith(mark)):
            return what if page or what not in (_PAGE, _ANSWER) else None
    if start[257:262] == b"ustar":
        return "a tar archive: unpack it (tar xf) and name the file within"
    is_link = bare.startswith((b".git/annex", b"../")) and b".git/annex/objects/" in start
    return _ANNEX if is_link else None


def refuse_stand_in(start: bytes, path: str | Path) -> None:
    """Raise ArtifactError where the first bytes of a file show that it only stands for another."""
    what = describe_stand_in(start[:START_BYTES])
    if what is not None:
        raise ArtifactError(f"the file is {what}", where=str(path))
