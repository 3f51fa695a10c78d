"""What campaigns share: forked children that are waited for, a folder in memory, what one shows."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
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
    """Give the bytes of a file, or of all that a folder shows; None where there is nothing.

    What says how long a run took stands still.
    """
    if path.is_file():
        return {"": path.read_bytes()}
    if not path.is_dir():
        return None
    found = {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not _is_hidden(file.relative_to(path))
    }
    for name in ("run.json", "state.json"):
        for place in (place for place in found if place.rpartition("/")[2] == name):
            found[place] = _without_times(found[place])
    return found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _without_times(data: bytes) -> bytes:
    with contextlib.suppress(ValueError):
        report = json.loads(data)
        times = ("seconds", "tokens_per_second", "train_seconds")
        return json.dumps({**report, **{name: 0 for name in times if name in report}}).encode()
    return data


def all_contents(folder: Path, names: Sequence[str]) -> Contents | None:
    """Give what lies under some names of a folder, together; None where there is nothing."""
    found = {name: contents(folder / name) for name in names}
    merged = {
        f"{name}/{place}": data
        for name, held in found.items()
        if held
        for place, data in held.items()
    }
    return merged if any(held is not None for held in found.values()) else None


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
