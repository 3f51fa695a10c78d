"""A new folder in the place of an old one: there is no moment with neither.

In: two folders beside each other. Out: each under the other's name, by one call of the system
(Linux: renameat2). Where that is missing the old one is set aside under the name `.NAME.old` for
the time of two renames, put back on an error, and found again by `settle` after a kill.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from textkit.errors import StorageError
from textkit.io.locks import is_same_file, try_lock
from textkit.io.remote import refuse_url

# The hidden names of `claim`, as a glob.
PARTLY_WRITTEN = ".*.part"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def settle(path: str | Path) -> Path:
    """Follow a symbolic link to what is to be written, and take back what a killed exchange left;
    UsageError for a URL.

    >>> Path("link").symlink_to("model")
    >>> settle("link").name
    'model'
    """
    path = Path(path)
    refuse_url(path)
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    if not path.exists() and _aside(path).is_dir():
        _aside(path).rename(path)
    return path


def replace_folder(new: Path, path: Path) -> None:
    """Give `new` the name `path`; a folder that had it ends under the name of `new`.

    >>> Path("new").mkdir()
    >>> replace_folder(Path("new"), Path("place"))
    >>> Path("place").is_dir(), Path("new").exists()
    (True, False)
    """
    if not path.exists():
        new.rename(path)
    elif not _exchange(new, path):
        aside = _aside(path)
        path.rename(aside)
        try:
            new.rename(path)
        except BaseException:
            aside.rename(path)
            raise
        aside.rename(new)
    sync_folder(path.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that no half of it is ever seen under its name."""
    if not folder.exists():
        return
    with claim(folder, is_folder=True) as hidden:
        hidden.rmdir()
        folder.rename(hidden)
        sync_folder(folder.parent)
        remove(hidden)


@contextlib.contextmanager
def claim(path: Path, *, is_folder: bool) -> Iterator[Path]:
    """Make an empty file or folder under a hidden name beside `path`, for this block alone.

    It is locked, so that what a killed process left under such a name can be told from what a
    living one writes; the first goes here. The caller renames or removes what it was given.
    """
    sweep(path)
    for hidden in (*_hidden_names(path), _hidden_name(path, os.urandom(6).hex())):
        try:
            make_folder(hidden.parent)
            if is_folder:
                hidden.mkdir()
            else:
                os.close(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            continue  # another process or thread writes the same name
        if sys.platform == "win32":
            yield hidden
            return
        descriptor = os.open(hidden, os.O_RDONLY)
        try:
            try_lock(descriptor)
            if is_same_file(descriptor, hidden):
                yield hidden
                return
            # Another took it for abandoned in the moment before the lock: try the next name.
        finally:
            os.close(descriptor)
    raise StorageError("cannot write: too many others write it", where=str(path))


def sweep(path: Path) -> None:
    """Remove what killed processes left half written under the hidden names of `path`."""
    if sys.platform == "win32":  # which has no such locks, and removes no open file
        return
    for hidden in _hidden_names(path):
        try:
            descriptor = os.open(hidden, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            if try_lock(descriptor) and is_same_file(descriptor, hidden):
                remove(hidden)
        finally:
            os.close(descriptor)


def _hidden_names(path: Path) -> list[Path]:
    """List the names under which `path` is written: so many processes at once are usual at most."""
    return [_hidden_name(path, str(number)) for number in range(4)]


def _hidden_name(path: Path, middle: str) -> Path:
    return path.with_name(f".{path.name[:100]}.{middle}.part")


def remove(path: Path) -> None:
    """Remove a file or a whole folder; what cannot be removed stays."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    import shutil  # with its archive formats 4 ms

    shutil.rmtree(path, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing, so that they survive a power cut.

    >>> make_folder(Path("a/b"))
    >>> Path("a/b").is_dir()
    True
    """
    missing = []
    for place in (folder, *folder.parents):
        if place.exists():
            break
        missing.append(place)
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_folder(place.parent)


def sync_folders(folder: Path) -> None:
    """Flush the entries of a folder, and of all folders in it."""
    for place, _, _ in os.walk(folder):
        sync_folder(Path(place))


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that a rename survives a power cut.

    Windows opens no folder, and orders its own.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name[:100]}.old")


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places in one step; False where the system or the disk cannot."""
    import ctypes
    import errno

    library = None if sys.platform == "win32" else ctypes.CDLL(None, use_errno=True)
    rename = getattr(library, "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if not rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE):
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise StorageError(f"cannot replace: {os.strerror(number)}", where=str(other))
