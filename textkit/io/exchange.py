"""A new folder in the place of an old one: there is no moment with neither.

In: two folders beside each other. Out: each under the other's name, by one call of the system
(Linux: renameat2). Where that is missing the old one is set aside under the name `.NAME.old` for
the time of two renames, put back on an error, and found again by `settle` after a kill.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from textkit.errors import StorageError

# What `temporary_name` makes, as a glob.
PARTLY_WRITTEN = ".*.????????????.part"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def settle(path: str | Path) -> Path:
    """Follow a symbolic link to what is to be written, and take back what a killed exchange left.

    >>> Path("link").symlink_to("model")
    >>> settle("link").name
    'model'
    """
    path = Path(path)
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
    hidden = temporary_name(folder)
    with contextlib.suppress(FileNotFoundError):
        folder.rename(hidden)
        import shutil  # with its archive formats 4 ms

        shutil.rmtree(hidden, ignore_errors=True)


def temporary_name(path: Path) -> Path:
    """Give a name in the same folder that no other process or thread uses."""
    return path.with_name(f".{path.name[:100]}.{os.urandom(6).hex()}.part")


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
