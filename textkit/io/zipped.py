"""A sealed folder as one .zip file, and back.

In: a folder that holds files alone. Out: the same bytes for the same files; what is opened lies in
a folder for the time of a block.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from textkit.errors import ArtifactError
from textkit.io import files

ENDING = ".zip"
_LIMIT_BYTES, _LIMIT_FILES = 4 << 30, 1000
_YEAR = (1980, 1, 1, 0, 0, 0)  # the first that a .zip can say: its bytes tell no time


def is_zipped(path: str | Path) -> bool:
    """Tell by its ending whether a path is that of a .zip file.

    >>> is_zipped("model.zip"), is_zipped("model")
    (True, False)
    """
    return Path(path).suffix.lower() == ENDING


@contextlib.contextmanager
def place_for(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder to fill, which becomes `path` when the block ends without an error: a folder,
    or one file where `path` ends in .zip.

    What is finished there already is refused unless `overwrite` says so.

    >>> with place_for("a.zip") as folder:
    ...     _ = (folder / "text").write_text("whole", encoding="utf-8")
    >>> with unzipped("a.zip") as folder:
    ...     (folder / "text").read_text(encoding="utf-8")
    'whole'
    """
    path = Path(path)
    if not is_zipped(path):
        with files.atomic_folder(path, overwrite=overwrite) as folder:
            yield folder
        return
    files.refuse_finished(path.parent, overwrite=overwrite, seal=path.name)
    with tempfile.TemporaryDirectory() as beside:
        folder = Path(beside)
        yield folder
        with files.atomic_file(path) as file, zipfile.ZipFile(file, "w") as packed:
            for source in sorted(folder.rglob("*")):
                if source.is_file():
                    entry = zipfile.ZipInfo(source.relative_to(folder).as_posix(), _YEAR)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    packed.writestr(entry, source.read_bytes())


@contextlib.contextmanager
def unzipped(path: str | Path) -> Iterator[Path]:
    """Give the folder that a .zip file holds, for the time of the block; a folder is given as it
    is.

    Raises ArtifactError for what is no .zip file, or one that would write elsewhere.
    """
    path = Path(path)
    if not is_zipped(path) or path.is_dir():
        yield path
        return
    if not path.is_file():
        raise ArtifactError("no such file", where=str(path))
    with tempfile.TemporaryDirectory() as beside:
        folder = Path(beside) / path.name  # which errors then name
        folder.mkdir()
        try:
            _unpack(path, folder)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as err:
            raise ArtifactError(f"not readable as a .zip file: {err}", where=str(path)) from err
        yield folder


def _unpack(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as packed:
        entries = [entry for entry in packed.infolist() if not entry.is_dir()]
        n_bytes = sum(entry.file_size for entry in entries)
        if len(entries) > _LIMIT_FILES or n_bytes > _LIMIT_BYTES:
            raise ArtifactError(
                f"{len(entries):,} files of {n_bytes:,} bytes; at most {_LIMIT_FILES:,} of"
                f" {_LIMIT_BYTES:,} are read",
                where=str(path),
            )
        for entry in entries:
            target = folder / entry.filename
            if not target.resolve().is_relative_to(folder.resolve()):
                raise ArtifactError(f"'{entry.filename}' is outside of it", where=str(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(entry) as source, open(target, "wb") as file:
                shutil.copyfileobj(source, file)  # no more than file_size: zipfile holds it to that


def has_file(path: Path, name: str) -> bool:
    """Tell whether a .zip file holds a file of a name; False for what is no .zip file."""
    try:
        with zipfile.ZipFile(path) as packed:
            return name in packed.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def hash_manifest(path: str | Path) -> str:
    """Give the SHA-256 of the manifest of a sealed folder, or of a .zip file of one."""
    with unzipped(path) as folder:
        return files.sha256(folder / files.MANIFEST)


def size_of(path: str | Path) -> int:
    """Give the bytes of a file, or of all files in a folder."""
    path = Path(path)
    within = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in within if file.is_file())
