"""Bulk work on a corpus: rows in, numbered parts out, resumable, always the same bytes.

A job reads rows in order and cuts them into parts of a fixed number of rows. Each part becomes one
file `part-00000.parquet`, written whole or not at all. What a job is stands in `_job.json`; when it
is finished `_manifest.json` seals the folder. A resumed job skips the parts that exist; a job on
shard i of n makes the parts p with p % n = i - 1, so that machines can share one corpus.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from textkit.batch import cut_rows
from textkit.errors import ArtifactError, StorageError, UsageError
from textkit.io import files
from textkit.io.corpus import ReadOptions, Row, RowReader
from textkit.io.inputs import expand_inputs
from textkit.threads import computed_once

if TYPE_CHECKING:
    import pyarrow

# Names with an underscore: pyarrow, Spark and others pass over such files when they read a folder
# as one table.
JOB, REJECTS, MANIFEST = "_job.json", "_rejects.txt", "_manifest.json"
MANIFEST_KIND, FORMAT = "parts", 1


@dataclass(frozen=True)
class Part:
    """A numbered run of rows.

    `first_row` is the number of its first row in the whole corpus, from 0.
    """

    number: int
    first_row: int
    rows: list[Row]

    @computed_once
    def texts(self) -> list[str]:
        """The rows' texts."""
        return [row.text for row in self.rows]


@dataclass
class Inputs:
    """The files of a corpus, read one after the other.

    Notes and rejects are gathered as the files end.
    """

    names: list[str]
    options: ReadOptions
    notes: list[str] = field(default_factory=list)
    rejects: list[str] = field(default_factory=list)
    n_bytes: int = 0

    @classmethod
    def of(cls, patterns: Sequence[str], **options: Unpack[ReadOptions]) -> Inputs:
        """Expand names, globs and folders; options are RowReader's."""
        return cls(expand_inputs(patterns), options)

    def __iter__(self) -> Iterator[Row]:
        for name in self.names:
            reader = RowReader(name, **self.options)
            yield from reader
            self.notes += reader.notes()
            self.rejects += reader.rejects
            self.n_bytes += 0 if name == "-" else Path(name).stat().st_size


def cut_parts(
    rows: Iterable[Row], *, n_rows: int, n_characters: int | None = None
) -> Iterator[Part]:
    """Cut rows into parts of `n_rows`, or fewer once they hold `n_characters`, so that neither
    fills the memory.

    >>> [len(part.rows) for part in cut_parts([Row("a", None, 1)] * 5, n_rows=2)]
    [2, 2, 1]
    """
    first = 0
    lists = cut_rows(rows, n_rows=n_rows, n_characters=n_characters, text_of=lambda row: row.text)
    for number, held in enumerate(lists):
        yield Part(number, first, held)
        first += len(held)


def check_kept(names: Iterable[str], *, own: Sequence[str]) -> None:
    """Refuse to keep a column under the name of one that the output has of its own: one would
    replace the other.
    """
    for name in names:
        if name in own:
            raise UsageError(
                f"--keep {name}: the output has a column '{name}' of its own; rename it in the"
                f" input"
            )


def part_name(number: int, ending: str) -> str:
    """Name a part's file so that names sort as numbers do."""
    return f"part-{number:05d}.{ending}"


def parse_shard(text: str) -> tuple[int, int]:
    """Read `i/n`, 1 <= i <= n.

    >>> parse_shard("2/8")
    (2, 8)
    """
    index, slash, count = text.partition("/")
    if not (slash and index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise UsageError(f"expected --shard i/n with 1 <= i <= n, found '{text}'")
    return int(index), int(count)


def open_job(folder: Path, description: Mapping[str, object], *, resume: bool) -> None:
    """Begin a job in a folder, or take one up again.

    A folder of another job is refused by what differs.
    """
    path = folder / JOB
    if path.exists():
        known = files.read_json(path)
        if not resume:
            raise StorageError(
                "folder holds a job already; pass --resume to go on, or choose another",
                where=str(folder),
            )
        wanted = json.loads(json.dumps(description))
        different = sorted(key for key in {*known, *wanted} if known.get(key) != wanted.get(key))
        if different:
            key = different[0]
            raise ArtifactError(
                f"{key} was {known.get(key)!r} and is {wanted.get(key)!r} now; a resumed job must"
                f" be the same",
                where=str(path),
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise StorageError(
            "folder is not empty and holds no job; choose another", where=str(folder)
        )
    files.write_json(path, description)


def describe_inputs(names: Sequence[str]) -> list[dict[str, object]]:
    """Say which files a job reads, with their sizes, so that a changed input is not resumed."""
    if "-" in names:
        raise UsageError(
            "standard input cannot be read a second time: name files when writing a folder"
        )
    return [{"name": name, "bytes": Path(name).stat().st_size} for name in names]


@dataclass
class Job:
    """A job that writes a folder of parts: which parts are its own, which are missing, and its end.

    `n_parts` and `n_rows` count this shard's parts as they pass, finished ones too; `rows` has
    their rows by file name.
    """

    folder: Path
    source: Inputs
    ending: str
    part_rows: int
    n_characters: int
    index: int = 1
    n_shards: int = 1
    ready: frozenset[str] = frozenset()
    rows: dict[str, int] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        folder: Path,
        source: Inputs,
        description: Mapping[str, object],
        *,
        ending: str,
        part_rows: int,
        n_characters: int,
        shard: str | None = None,
        resume: bool = False,
    ) -> Job:
        """Begin a job or take it up again.

        Description says what it is, beside its inputs, options and shard.
        """
        index, n_shards = parse_shard(shard or "1/1")
        whole = {
            "inputs": describe_inputs(source.names),
            "options": {key: value for key, value in source.options.items() if value},
            "part_rows": part_rows,
            "shard": f"{index}/{n_shards}",
            **description,
        }
        open_job(folder, whole, resume=resume)
        ready = frozenset(path.name for path in folder.glob(f"part-*.{ending}"))
        return cls(folder, source, ending, part_rows, n_characters, index, n_shards, ready)

    @property
    def n_parts(self) -> int:
        return len(self.rows)

    @property
    def n_rows(self) -> int:
        return sum(self.rows.values())

    def missing(self) -> Iterator[Part]:
        """Read the corpus and give the parts that are still to be made."""
        for part in cut_parts(self.source, n_rows=self.part_rows, n_characters=self.n_characters):
            if part.number % self.n_shards != self.index - 1:
                continue
            name = part_name(part.number, self.ending)
            self.rows[name] = len(part.rows)
            if name not in self.ready:
                yield part

    def finish(self, facts: Mapping[str, object]) -> None:
        """Write the rejects and the manifest, with facts beside the numbers of parts and rows."""
        if self.source.rejects:
            files.write_text(self.folder / REJECTS, "\n".join(self.source.rejects) + "\n")
        counted = {"n_parts": self.n_parts, "n_rows": self.n_rows, **facts}
        files.write_manifest(
            self.folder, kind=MANIFEST_KIND, format=FORMAT, name=MANIFEST, facts=counted
        )


def write_table(
    path: Path,
    part: Part,
    columns: Mapping[str, pyarrow.Array],
    *,
    keep: Sequence[str],
    parquet: Mapping[str, object],
) -> None:
    """Write a part as Parquet or Arrow: the number of each row, the kept columns, then `columns`.

    parquet: how Parquet stores them, as options of `pyarrow.parquet.write_table`.
    """
    import pyarrow

    rows = np.arange(part.first_row, part.first_row + len(part.rows), dtype=np.int64)
    kept = {
        name: pyarrow.array([row.kept[at] for row in part.rows], pyarrow.string())
        for at, name in enumerate(keep)
    }
    table = pyarrow.table({"row": share_numbers(rows), **kept, **columns})
    with files.atomic_file(path) as file:
        if path.suffix == ".parquet":
            from pyarrow.parquet import write_table as write

            write(table, file, **parquet)
        else:
            from pyarrow import ipc

            with ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)


def share_numbers(values: NDArray[np.generic]) -> pyarrow.Array:
    """Give numbers (n,) as an Arrow column that shares their memory.

    >>> share_numbers(np.array([1, 2], np.int32)).to_pylist()
    [1, 2]
    """
    import pyarrow

    # From a buffer, not pyarrow.array: that looks for pandas first, which costs 0.4 s where it is
    # installed.
    values = np.ascontiguousarray(values)
    kind = pyarrow.from_numpy_dtype(values.dtype)
    return pyarrow.Array.from_buffers(kind, len(values), [None, pyarrow.py_buffer(values)])
