"""The one writer and the one manifest: everything that textkit leaves on disk goes through here.

A file is written under a temporary name in its own folder, flushed to the disk and renamed, so a
name that exists is a file that is whole. A folder (a model, a tokenizer) is written the same way
and sealed by `manifest.json`, which holds a format number and the SHA-256 of every file. Reading
back checks all of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from textkit.errors import ArtifactError, StorageError, UsageError
from textkit.io.exchange import claim, remove, replace_folder, settle, sync_folder, sync_folders
from textkit.io.stand_ins import refuse_stand_in

MANIFEST = "manifest.json"
JSON_LIMIT_BYTES = 512 << 20  # a tokenizer.json of a million tokens is about 60 MB


def storage_error(path: Path, err: OSError, *, action: str) -> StorageError:
    """Turn an operating-system error into one line that names the file and the reason."""
    return StorageError(f"cannot {action}: {err.strerror or err}", where=str(path))


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a binary file for writing that appears under its name only when it is whole.

    On any error, Ctrl-C included, the temporary file is removed and an older file of that name
    stays as it was. A symbolic link is followed; a device or a pipe takes the bytes as they come.

    >>> with atomic_file("a.txt") as file:
    ...     _ = file.write(b"whole")
    >>> Path("a.txt").read_bytes()
    b'whole'
    """
    path = settle(path)
    is_device = path.is_char_device() or path.is_fifo()
    with _storage_errors(path), contextlib.ExitStack() as stack:
        place = path if is_device else stack.enter_context(claim(path, is_folder=False))
        try:
            with open(place, "wb") as file:
                yield file
                file.flush()
                if not is_device:
                    os.fsync(file.fileno())
            if not is_device:
                place.replace(path)
                sync_folder(path.parent)
        except BaseException:
            if not is_device:
                place.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Turn an operating-system error of the block into one that names the file."""
    try:
        yield
    except OSError as err:
        if isinstance(err, StorageError):
            raise
        raise storage_error(path, err, action="write") from err


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_file(path) as file:
        file.write(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a whole UTF-8 file atomically; lone surrogates become their \\uXXXX escapes."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: str | Path, value: object) -> None:
    """Write JSON atomically: UTF-8, two-space indent, keys in the order given, a newline at the
    end.
    """
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


@contextlib.contextmanager
def atomic_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder that takes the place of `path` when the block ends without an error.

    A folder of finished work is replaced, in one step, if `overwrite` says so or if it holds the
    same bytes; else it is refused, as `refuse_finished` does. One that holds files but no manifest
    is somebody else's, and always refused. A symbolic link is followed.
    """
    path = settle(path)
    if path.exists() and not path.is_dir():
        raise StorageError("cannot write a folder: a file of that name exists", where=str(path))
    if path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).exists():
        raise StorageError(
            "folder exists and was not written by textkit; choose another name", where=str(path)
        )
    with _storage_errors(path), claim(path, is_folder=True) as temporary:
        try:
            yield temporary
            if not _same_manifest(temporary, path):
                refuse_finished(path, overwrite=overwrite)
            sync_folders(temporary)
            replace_folder(temporary, path)
        finally:  # the new folder where it failed, else the old one
            remove(temporary)


def refuse_finished(folder: str | Path, *, overwrite: bool, seal: str = MANIFEST) -> None:
    """Refuse to write where finished work lies, unless `overwrite` says that it may go.

    seal: the file without which a folder is not finished.

    >>> refuse_finished("nowhere", overwrite=False)
    """
    if not overwrite and (Path(folder) / seal).exists():
        raise UsageError(
            f"{folder} holds finished work; choose another name, or replace it with --overwrite (in"
            " Python overwrite=True)"
        )


def _same_manifest(one: Path, other: Path) -> bool:
    """Tell whether two folders are sealed by the same bytes, the hashes of all their files."""
    seals = one / MANIFEST, other / MANIFEST
    return all(seal.is_file() for seal in seals) and seals[0].read_bytes() == seals[1].read_bytes()


def sha256(path: str | Path) -> str:
    """Hash a file in constant memory; hex digits."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        raise storage_error(Path(path), err, action="read") from err


def read_json(path: str | Path, *, limit_bytes: int = JSON_LIMIT_BYTES) -> Any:
    """Read a JSON file of a bounded size.

    Anything wrong is an ArtifactError that names the file.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > limit_bytes:
            raise ArtifactError(
                f"{size:,} bytes of JSON; at most {limit_bytes:,} are read", where=str(path)
            )
        data = path.read_bytes()
    except FileNotFoundError as err:
        raise ArtifactError("file is missing", where=str(path)) from err
    except OSError as err:
        raise storage_error(path, err, action="read") from err
    return parse_json(data, path)


def read_object(path: str | Path) -> dict[str, Any]:
    """Read a JSON object; an absent file is an empty one."""
    path = Path(path)
    if not path.is_file():
        return {}
    value = read_json(path)
    if not isinstance(value, dict):
        raise ArtifactError("expected a JSON object", where=str(path))
    return value


def parse_json(data: bytes, path: Path) -> Any:
    """Parse the JSON of a file; what is none is an ArtifactError that names it."""
    refuse_stand_in(data, path)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as err:
        raise ArtifactError(f"not valid JSON: {err}", where=str(path)) from err


def write_manifest(
    folder: Path,
    *,
    kind: str,
    format: int,
    name: str = MANIFEST,
    facts: Mapping[str, object] | None = None,
    own: Sequence[str] = ("*",),
    hashes: Mapping[str, str] | None = None,
) -> None:
    """Seal a folder: list every file in it with its size and SHA-256, and further facts about
    the whole.

    own: patterns of the names that are listed, where others may lie beside them. hashes: those that
    are known since their files were written; the other files are read.
    """
    known = hashes or {}
    files = {
        file.relative_to(folder).as_posix(): {
            "sha256": known.get(file.relative_to(folder).as_posix()) or sha256(file),
            "bytes": file.stat().st_size,
        }
        for file in sorted({file for pattern in own for file in folder.rglob(pattern)})
        if file.is_file() and file != folder / name and not file.name.startswith(".")
    }
    write_json(folder / name, {"kind": kind, "format": format, **(facts or {}), "files": files})


def find_manifest(folder: Path, *, kind: str) -> Path:
    """Give the place of a folder's manifest; ArtifactError where it is no folder or has none."""
    if not folder.is_dir():
        reason = "is a file, not a folder" if folder.exists() else "no such folder"
        raise ArtifactError(f"{reason}; expected a {kind} folder", where=str(folder))
    if not (folder / MANIFEST).exists():
        raise ArtifactError(
            f"no {MANIFEST}: not a {kind} folder written by textkit", where=str(folder)
        )
    return folder / MANIFEST


def check_manifest(
    folder: str | Path, *, kind: str, format: int, hashes: bool = True, reads: Sequence[str] = ()
) -> dict[str, Any]:
    """Check that a folder is whole and of a kind and format that this version reads.

    Return the manifest.

    hashes=False compares sizes only, for files too large to read at every opening. reads: patterns
    of the names that the caller reads; a file of such a name which the manifest does not list is
    refused, while any other, a README say, may lie there.

    Raises ArtifactError that names the first file which is missing, changed, unlisted, or of a
    newer format.
    """
    folder = Path(folder)
    manifest = read_json(find_manifest(folder, kind=kind))
    _check_header(manifest, folder / MANIFEST, kind=kind, format=format)
    for name, entry in manifest["files"].items():
        file = folder / name
        if not isinstance(entry, dict) or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ArtifactError(f"bad entry for '{name}'", where=str(folder / MANIFEST))
        if not _is_file(file):
            raise ArtifactError(f"file is missing (listed in {MANIFEST})", where=str(file))
        if file.stat().st_size != entry.get("bytes"):
            raise ArtifactError(
                f"file was changed: it has {file.stat().st_size:,} bytes, the manifest says"
                f" {entry.get('bytes')}; copy the folder again or save it anew",
                where=str(file),
            )
        if hashes and sha256(file) != entry.get("sha256"):
            raise ArtifactError(
                "file was changed: its SHA-256 is not the manifest's; copy the folder again or"
                " save it anew",
                where=str(file),
            )
    _refuse_unlisted(folder, manifest["files"], reads)
    return dict(manifest)


def _is_file(path: Path) -> bool:
    """Tell whether there is such a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _refuse_unlisted(folder: Path, listed: Mapping[str, object], reads: Sequence[str]) -> None:
    """Refuse a file that would be read although nothing vouches for its bytes."""
    for pattern in reads:
        for file in sorted(folder.glob(pattern)):
            if file.name not in listed and file.name != MANIFEST:
                raise ArtifactError(
                    f"file is not listed in {MANIFEST}, so nothing says whose it is; remove it, or"
                    " save the folder anew",
                    where=str(file),
                )


def _check_header(manifest: object, path: Path, *, kind: str, format: int) -> None:
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise ArtifactError("not a textkit manifest: no table of files", where=str(path))
    if not manifest["files"]:
        raise ArtifactError("the table of files is empty; copy the folder again", where=str(path))
    if manifest.get("kind") != kind:
        raise ArtifactError(f"kind is {manifest.get('kind')!r}, expected '{kind}'", where=str(path))
    found = manifest.get("format")
    if type(found) is not int or found < 1:
        raise ArtifactError(
            f"format is {found!r}, expected a number from 1 to {format}", where=str(path)
        )
    if found > format:
        raise ArtifactError(
            f"format {found} is newer than this textkit reads ({format}); upgrade textkit-nlp",
            where=str(path),
        )
