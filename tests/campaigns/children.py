"""What campaigns share: forked children that are waited for, a folder in memory, what one shows."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

Contents = dict[str, bytes]
CHILD_SECONDS = 120.0


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder, in memory where there is such a place: a disk would take most of the time."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def contents(path: Path) -> Contents | None:
    """Give the bytes of a file, or of all that a folder shows; None where there is nothing."""
    if path.is_file():
        return {"": path.read_bytes()}
    if not path.is_dir():
        return None
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    }


def wait(child: int) -> int:
    """Wait for a child, but not for ever; give its exit code, or minus the signal."""
    ends = time.monotonic() + CHILD_SECONDS
    while time.monotonic() < ends:
        process, status = os.waitpid(child, os.WNOHANG)
        if process:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGALRM
