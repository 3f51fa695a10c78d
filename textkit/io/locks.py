"""Locks between processes: wait for one, or be told who holds it.

A lock is the operating system's own (flock; msvcrt on Windows), on a small file: it ends with its
process, however that ends, and a lock file that a killed process left is nobody's.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from textkit.errors import StorageError, UsageError


@contextlib.contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Let one process at a time run the block; the others wait.

    The lock is an empty file of this name, which stays.

    >>> with locked("cache/.lock"):
    ...     Path("cache/.lock").exists()
    True
    """
    descriptor = _open(Path(path))
    try:
        _wait_for_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def held(folder: str | Path) -> Iterator[None]:
    """Keep a folder of work to this process while the block runs, from others and other threads.

    Raises UsageError that names the process which holds it. The lock is the file `.NAME.lock`
    beside the folder, which goes with the block.

    >>> with held("run"), held("run"):
    ...     pass
    Traceback (most recent call last):
    ...
    textkit.errors.UsageError: run is being written by process ...
    """
    folder = Path(os.path.realpath(folder))
    path = folder.with_name(f".{folder.name}.lock")
    descriptor = _take(path)
    if descriptor is None:
        raise UsageError(
            f"{folder.name} is being written by {_read_holder(path)}; wait for it to end, or choose"
            " another -o"
        )
    try:
        who = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%F %T')}"
        with contextlib.suppress(OSError):  # on a full disk a lock without a name is one too
            os.truncate(descriptor, 0)
            os.write(descriptor, who.encode("utf-8", "backslashreplace"))
        yield
    finally:
        if sys.platform != "win32":  # Windows removes no file that is open
            path.unlink(missing_ok=True)
        os.close(descriptor)


def try_lock(descriptor: int) -> bool | None:
    """Take the lock of an open file or folder if nobody holds it, and tell whether it was taken.

    None where the file system has no such lock.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import errno
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        return False if err.errno == errno.EWOULDBLOCK else None
    return True


def is_same_file(descriptor: int, path: Path) -> bool:
    """Tell whether a name still stands for the open file: another process may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False


def _take(path: Path) -> int | None:
    """Open the lock file and lock it; None where another holds it."""
    while True:
        descriptor = _open(path)
        if try_lock(descriptor) is False:
            os.close(descriptor)
            return None
        if is_same_file(descriptor, path):
            return descriptor
        os.close(descriptor)  # its holder removed it while we opened it: there may be a new one


def _read_holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as err:
        for place in path.parents:
            if place.exists() and not place.is_dir():
                name = place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place
                raise StorageError("is a file, expected a folder", where=str(name)) from err
        raise StorageError(f"cannot lock: {err.strerror or err}", where=str(path)) from err


def _wait_for_lock(descriptor: int) -> None:
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    import errno
    import msvcrt

    while True:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            return
        except OSError as err:  # after 10 s of waiting Windows gives up, and we ask again
            if err.errno != errno.EDEADLK:
                raise
