"""Bulk work as a job: every part of a corpus goes through one piece of work, in any number of
processes.

In: options that say which rows and how the work on them is shared out, and a piece of work that can
be pickled: what it needs stands in it, and each process is given it once. Out: the results in the
order of the parts, or a folder of them, sealed, and what was counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar, get_args

from textkit.errors import StorageError, UsageError, unknown_name
from textkit.io import locks
from textkit.io.bulk import Inputs, Job, Part, part_name
from textkit.io.corpus import ReadOptions
from textkit.io.exchange import settle
from textkit.io.inputs import expand_inputs
from textkit.io.part_log import PartFacts
from textkit.io.remote import url_of
from textkit.io.remote_folder import RemoteFolder, sent_on, shadow_of
from textkit.io.text_lines import DEFAULT_LIMIT, RowLimit, TextsAre
from textkit.jobs.on_ray import parse_on
from textkit.jobs.workers import Workers
from textkit.watch import Progress, Watch

# A part ends once it holds so many characters, however few its rows.
PART_CHARACTERS = 8 << 20


class Counts(Protocol):
    """What was counted of a part; two of them add up."""

    n_rows: int

    def add(self, other: Self) -> None: ...
    def pack(self) -> Mapping[str, object]: ...
    @classmethod
    def unpack(cls, values: Mapping[str, Any]) -> Self: ...
    def speed(self, seconds: float) -> str: ...


Counted = TypeVar("Counted", bound=Counts)
Counting = TypeVar("Counting", bound=Counts, covariant=True)


class PartWork(Protocol[Counting]):
    """What makes the file of a part; it can be pickled.

    - title: what stands before the progress, as "tokenizing".
    - ending: what the names of its files end in.
    - describe: say all that decides their bytes beside the rows, as JSON.
    - write: make the file of one part in a folder, and count.
    - facts: say what the manifest of the finished job has beside the numbers of parts and rows.
    """

    @property
    def title(self) -> str: ...
    @property
    def ending(self) -> str: ...
    def describe(self) -> Mapping[str, object]: ...
    def write(self, part: Part, folder: Path) -> Counting: ...
    def facts(self, job: Job) -> Mapping[str, object]: ...


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """Which rows are read, and how the work on them is shared out.

    - inputs: files, globs, folders; txt, csv, tsv, jsonl, also .gz and .zst, parquet, arrow, xlsx;
      `-` is standard input.
    - text_column, delimiter, format: by default guessed.
    - texts_are: of .txt files "lines", "paragraphs", between which blank lines stand, or "files".
    - keep: columns to carry along.
    - on_bad: stop at a bad row, or skip it and write it down.
    - max_row_mb: a longer row is a LimitError, before it takes many times as much memory.
    - workers: processes, this one among them, each on one core. None is this one alone, whose
      engine takes what cores there are. The bytes are the same for any number.
    - on: "ray" or "ray:ADDRESS" makes the parts on Ray, in the place of processes here.
    - shard: "i/n" makes the parts p with p % n = i - 1.
    - part_rows: rows of a part at most; 8 million characters end it too.
    - overwrite: a job in the folder may go; a finished one stays until the new one is finished.
    - resume: go on with a job in its folder, skipping finished parts.
    """

    # Whether kept columns are read as the values that a file has, or as text.
    keeps_values: ClassVar[bool] = False

    inputs: Sequence[str | Path]
    text_column: str | None = None
    delimiter: str | None = None
    format: str | None = None
    texts_are: TextsAre = "lines"
    keep: tuple[str, ...] = ()
    on_bad: Literal["stop", "skip"] = "stop"
    max_row_mb: int = DEFAULT_LIMIT.megabytes
    workers: int | None = None
    on: str | None = None
    shard: str | None = None
    part_rows: int = 50_000
    overwrite: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        for name, names in (("inputs", self.inputs), ("keep", self.keep)):
            if isinstance(names, str | Path):
                raise UsageError(f"{name} is one name, expected a list: {name}=['{names}']")
        numbers = {
            "workers": self.workers,
            "part_rows": self.part_rows,
            "max_row_mb": self.max_row_mb,
        }
        if self.texts_are not in get_args(TextsAre):
            raise UsageError(unknown_name("texts_are", self.texts_are, get_args(TextsAre)))
        for name, number in numbers.items():
            if number is not None and number < 1:
                raise UsageError(f"{name} is {number}, expected at least 1")
        if self.on is not None:
            parse_on(self.on)
            if self.workers is not None:
                raise UsageError("--workers is for processes here, Ray has its own; leave it out")

    def open_inputs(self) -> Inputs:
        """Find the files; they are read when they are iterated."""
        notes: list[str] = []
        names = self.find_files(notes.append)
        options: ReadOptions = {
            "text_column": self.text_column,
            "delimiter": self.delimiter,
            "format": self.format,
            "keep": self.keep,
            "keep_values": self.keeps_values,
            "on_bad": self.on_bad,
            "limit": RowLimit(self.max_row_mb, "--max-row-mb"),
            "texts_are": self.texts_are,
        }
        return Inputs(names, options, notes)

    def find_files(self, note: Callable[[str], None]) -> list[str]:
        """Turn the inputs into files; `note` hears what is passed over."""
        return expand_inputs([str(name) for name in self.inputs], note=note)


@dataclass(frozen=True)
class PartsReport(Generic[Counted]):
    """What a job on a corpus did.

    counts, seconds: of the rows that went through the work now; whole: of the parts that were
    finished before too. folder: where the parts lie, None where no files were asked for. n_parts,
    n_rows: of this shard, and n_ready of the parts were finished before. stopped: the watch ended
    it early, and the folder waits to be resumed.
    """

    counts: Counted
    seconds: float
    whole: Counted
    folder: Path | None = None
    n_parts: int = 0
    n_rows: int = 0
    n_ready: int = 0
    stopped: bool = False

    @property
    def place(self) -> str:
        """The folder as it was named, which for a URL no Path is."""
        return "" if self.folder is None else url_of(self.folder) or str(self.folder)


class Stoppable:
    """Pass parts on until the watch says stop; `stopped` tells whether one was held back."""

    def __init__(self, parts: Iterable[Part], watch: Watch) -> None:
        self.parts, self.watch = parts, watch
        self.stopped = False

    def __iter__(self) -> Iterator[Part]:
        for part in self.parts:
            if self.watch.should_stop():
                self.stopped = True
                return
            yield part


def write_parts(
    work: PartWork[Counted],
    folder: Path,
    source: Inputs,
    options: CorpusOptions,
    *,
    counting: type[Counted],
    watch: Watch,
    workers: Workers[Any] | None = None,
) -> PartsReport[Counted]:
    """Make the parts of a job that are missing, each a whole file, and seal the folder, which
    nobody else writes meanwhile.

    counting: what the work counts in a part. workers: they open the same work; by default they are
    started here, and given it as it is.
    """
    if workers is None:
        with Workers.of(options.workers, work, on=options.on) as started:
            return write_parts(
                work, folder, source, options, counting=counting, watch=watch, workers=started
            )
    url = url_of(folder)
    if url is not None:
        with shadow_of(url, resume=options.resume, overwrite=options.overwrite) as remote:
            job = _open(remote.shadow, work, source, options, remote.is_whole)
            made = _fill(job, work, workers, counting=counting, watch=watch, remote=remote)
        return replace(made, folder=folder)
    folder = settle(folder)
    with locks.held(folder):
        job = _open(folder, work, source, options, PartFacts.is_whole)
        return _fill(job, work, workers, counting=counting, watch=watch)


def _open(
    folder: Path,
    work: PartWork[Counted],
    source: Inputs,
    options: CorpusOptions,
    is_whole: Callable[[PartFacts, Path], bool],
) -> Job:
    """Begin a job in a folder, or take it up."""
    return Job.open(
        folder,
        source,
        work.describe(),
        ending=work.ending,
        part_rows=options.part_rows,
        n_characters=PART_CHARACTERS,
        shard=options.shard,
        overwrite=options.overwrite,
        resume=options.resume,
        is_whole=is_whole,
    )


def _fill(
    job: Job,
    work: PartWork[Counted],
    workers: Workers[Any],
    *,
    counting: type[Counted],
    watch: Watch,
    remote: RemoteFolder | None = None,
) -> PartsReport[Counted]:
    """Make what is missing of a job, and finish it; what its shadow gets is sent on."""
    if job.folder != job.stage.folder:
        watch.note(f"{job.stage.folder} stays as it is until the new job is finished")
    counts, whole = counting(), counting()
    parts = Stoppable(job.missing(), watch)
    started = time.perf_counter()
    watch.progress(Progress(work.title, 0))
    for facts, counted in write_files(work, job.folder, parts, workers, remote):
        job.log.add(facts)
        counts.add(counted)
        speed = counts.speed(time.perf_counter() - started)
        watch.progress(Progress(work.title, counts.n_rows, details=speed))
    if not parts.stopped:
        job.finish(work.facts(job))
        if remote is not None:
            remote.seal()
    seconds = time.perf_counter() - started
    for line in job.source.notes:
        watch.note(line)
    for facts in job.log.parts.values():
        whole.add(counting.unpack(facts.counts))
    return PartsReport(
        counts, seconds, whole, job.folder, job.n_parts, job.n_rows, len(job.ready), parts.stopped
    )


@dataclass(frozen=True)
class Writing:
    """Write parts in a folder by a piece of work, and tell their hash as they were written."""

    folder: Path
    url: str | None = None

    def __call__(self, work: PartWork[Counting]) -> Callable[[Part], tuple[PartFacts, Counting]]:
        return partial(_write_part, work, self)


def _write_part(work: PartWork[Counting], to: Writing, part: Part) -> tuple[PartFacts, Counting]:
    with sent_on(to.folder, to.url) as folder:
        counted = work.write(part, folder)
        file = folder / part_name(part.number, work.ending)
        return PartFacts.of(file, n_rows=part.n_rows, counts=counted.pack()), counted


def write_files(
    work: PartWork[Counted],
    folder: Path,
    parts: Iterable[Part],
    workers: Workers[Any],
    remote: RemoteFolder | None = None,
) -> Iterator[tuple[PartFacts, Counted]]:
    """Write the files of parts in a folder, wherever the workers are, and give what is known of
    each in their order. remote: what the folder is the shadow of.
    """
    # On another machine the working directory is another; here errors say what was asked for.
    place = folder.absolute() if workers.are_elsewhere else folder
    writing = Writing(place, None if remote is None else remote.url)
    for facts, counted in workers.map(work, writing, parts):
        if remote is not None:
            remote.add_part(facts)
        file = folder / facts.name
        if not file.is_file() or file.stat().st_size != facts.n_bytes:
            raise StorageError(
                "a machine wrote this part, and it is not here; -o must be a folder that all"
                " machines share",
                where=str(file),
            )
        yield facts, counted
