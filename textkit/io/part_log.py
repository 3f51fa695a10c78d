"""What is known of the parts of a job: a line for each, written down when the part was.

In: the files of the parts as they are made. Out: `_parts.jsonl`, and after a stop those parts whose
bytes are still the ones that were written: a part that was damaged since is made again, never
sealed with the hash of the damage. A line holds its own hash: one that a kill cut off, or that was
changed since, is none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from textkit.io import files

LOG = "_parts.jsonl"


@dataclass(frozen=True)
class PartFacts:
    """A part as it was written: its hash, its rows, and what the work counted in it."""

    name: str
    sha256: str
    n_bytes: int
    n_rows: int
    counts: Mapping[str, object]

    @classmethod
    def of(cls, file: Path, *, n_rows: int, counts: Mapping[str, object]) -> PartFacts:
        """Read the hash of a part that has just been written."""
        return cls(file.name, files.sha256(file), file.stat().st_size, n_rows, counts)

    def is_whole(self, folder: Path) -> bool:
        """Tell whether the part still holds the bytes that were written."""
        file = folder / self.name
        return (
            file.is_file()
            and file.stat().st_size == self.n_bytes
            and files.sha256(file) == self.sha256
        )


class PartLog:
    """The parts of a job by their files' names; `add` one when it is written.

    is_whole: whether the folder has a part as it was written.

    >>> log = PartLog(Path("job"))
    >>> log.parts
    {}
    """

    def __init__(
        self, folder: Path, is_whole: Callable[[PartFacts, Path], bool] = PartFacts.is_whole
    ) -> None:
        self.folder = folder
        self.parts: dict[str, PartFacts] = {}
        path = folder / LOG
        if not path.exists():
            return
        for facts in _read(path):
            if is_whole(facts, folder):
                self.parts[facts.name] = facts
        self.write()  # without the lines that no longer hold

    def add(self, facts: PartFacts) -> None:
        """Append the line of a part."""
        self.parts[facts.name] = facts
        path = self.folder / LOG
        try:
            with open(path, "ab") as file:
                file.write(_line(facts))
                file.flush()
                os.fsync(file.fileno())
        except OSError as err:
            raise files.storage_error(path, err, action="write") from err

    def write(self) -> None:
        """Write the lines in the order of the parts, whatever order they were made in."""
        lines = [_line(self.parts[name]) for name in sorted(self.parts)]
        files.write_bytes(self.folder / LOG, b"".join(lines))


def _line(facts: PartFacts) -> bytes:
    values = vars(facts)
    return json.dumps({**values, "line": _seal(values)}, allow_nan=False).encode() + b"\n"


def _seal(values: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path) -> Iterator[PartFacts]:
    try:
        data = path.read_bytes()
    except OSError as err:
        raise files.storage_error(path, err, action="read") from err
    for line in data.splitlines(keepends=True):
        try:
            values = json.loads(line)
            seal = values.pop("line", None)
            facts = PartFacts(**values)
        except (ValueError, TypeError, AttributeError, RecursionError):
            continue
        if line.endswith(b"\n") and seal == _seal(values) and Path(facts.name).name == facts.name:
            yield facts
