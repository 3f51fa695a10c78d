"""Bulk work on a corpus: rows in, numbered parts out, by any number of workers, resumable, always
the same bytes.

A job reads rows in order and cuts them into parts of a fixed number of rows. Each part becomes one
file `part-00000.parquet`, written whole or not at all. What a job is stands in `_job.json`; when it
is finished `_manifest.json` seals the folder. A resumed job skips the parts that exist; a job on
shard i of n makes the parts p with p % n = i - 1, so that machines can share one corpus.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textkit.errors import ArtifactError, StorageError, UsageError
from textkit.io import files
from textkit.io.corpus import Row, RowReader
from textkit.io.inputs import expand_inputs

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


@dataclass
class Inputs:
    """The files of a corpus, read one after the other.

    Notes and rejects are gathered as the files end.
    """

    names: list[str]
    options: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    rejects: list[str] = field(default_factory=list)
    n_bytes: int = 0

    @classmethod
    def of(cls, patterns: Sequence[str], **options: Any) -> Inputs:
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
    held: list[Row] = []
    number = first = size = 0
    for row in rows:
        held.append(row)
        size += len(row.text)
        if len(held) == n_rows or (n_characters is not None and size >= n_characters):
            yield Part(number, first, held)
            number, first, size, held = number + 1, first + len(held), 0, []
    if held:
        yield Part(number, first, held)


def map_parts(
    work: Callable[[Part], Any],
    parts: Iterable[Part],
    *,
    workers: int,
    start: Callable[..., None],
    arguments: tuple[Any, ...],
) -> Iterator[Any]:
    """Apply `work` to each part and give the results in order.

    At most two parts a worker are waiting.

    `start(*arguments)` runs once in every worker process before its first part. One worker is this
    process, which must be ready for it; a thread that reads ahead would take the interpreter as
    often as it gave time back.
    """
    if workers == 1:
        yield from map(work, parts)
        return
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor

    # Spawned, not forked: thread pools of the engines do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=start, initargs=arguments)
    waiting: deque[Future[Any]] = deque()
    with pool:
        try:
            for part in parts:
                waiting.append(pool.submit(work, part))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


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


def open_job(folder: Path, description: dict[str, Any], *, resume: bool) -> None:
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


def describe_inputs(names: Sequence[str]) -> list[dict[str, Any]]:
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
        description: dict[str, Any],
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

    def finish(self, facts: dict[str, Any] | None = None) -> None:
        """Write the rejects and the manifest."""
        counted = {"n_parts": self.n_parts, "n_rows": self.n_rows, **(facts or {})}
        finish_job(self.folder, counted, self.source.rejects)


def finish_job(folder: Path, facts: dict[str, Any], rejects: Sequence[str]) -> None:
    """Write the rejects and the manifest of a finished job, with facts such as the number of
    rows.
    """
    if rejects:
        files.write_text(folder / REJECTS, "\n".join(rejects) + "\n")
    files.write_manifest(folder, kind=MANIFEST_KIND, format=FORMAT, name=MANIFEST, facts=facts)
