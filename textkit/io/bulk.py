"""Bulk work on a corpus: rows in, numbered parts out, resumable, always the same bytes.

A job reads rows in order and cuts them into parts of a fixed number of rows. Each part becomes one
file `part-00000.parquet`, written whole or not at all, with a line in `_parts.jsonl`. What a job is
stands in `_job.json`, its inputs by what they hold; when it is finished `_manifest.json` seals the
folder. A resumed job skips the parts that are as they were written; a job on shard i of n makes the
parts p with p % n = i - 1, so that machines can share one corpus.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from textkit.batch import cut_rows
from textkit.errors import ArtifactError, StorageError, UsageError
from textkit.io import files
from textkit.io.corpus import ReadOptions, Row, RowReader
from textkit.io.exchange import PARTLY_WRITTEN
from textkit.io.inputs import expand_inputs, refuse_streams, split_sheet
from textkit.io.kept_values import spell_cell
from textkit.io.part_log import LOG, PartFacts, PartLog
from textkit.io.remote import describe_url, url_of
from textkit.io.staging import Stage
from textkit.io.text_folders import hash_data
from textkit.threads import computed_once

if TYPE_CHECKING:
    import pyarrow

# Names with an underscore: pyarrow, Spark and others pass over such files when they read a folder
# as one table.
JOB, REJECTS, MANIFEST = "_job.json", "_rejects.txt", "_manifest.json"
MANIFEST_KIND, FORMAT = "parts", 1
# A file of at most so many bytes is known by all of them; of a larger one the ends are read.
_WHOLE_BYTES, _END_BYTES = 64 << 20, 1 << 20


@dataclass(frozen=True)
class Part:
    """A numbered run of rows.

    `first_row` is the number of its first row in the whole corpus, from 0.
    """

    number: int
    first_row: int
    rows: list[Row]

    @property
    def n_rows(self) -> int:
        """How many rows it has."""
        return len(self.rows)

    @computed_once
    def texts(self) -> list[str]:
        """The rows' texts."""
        return [row.text for row in self.rows]

    def __getstate__(self) -> dict[str, Any]:
        """Go to another process by columns, in half of the time that rows one by one take."""
        return {**vars(self), "rows": list(zip(*self.rows, strict=True))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        rows = zip(*state["rows"], strict=True)
        vars(self).update({**state, "rows": list(map(Row._make, rows))})


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
        notes: list[str] = []
        return cls(expand_inputs(patterns, note=notes.append), options, notes)

    def __iter__(self) -> Iterator[Row]:
        for name in self.names:
            reader = RowReader(name, **self.options)
            yield from reader
            self.notes += reader.notes()
            self.rejects += reader.rejects
            self.n_bytes += _size_of(name)

    def cut(self, *, n_rows: int, n_characters: int) -> Iterator[Part]:
        """Read all rows, and cut them into parts."""
        return cut_parts(self, n_rows=n_rows, n_characters=n_characters)


def _size_of(name: str) -> int:
    """Give the bytes of an input as it lies there; 0 of standard input, and of a URL."""
    is_elsewhere = name == "-" or url_of(name) is not None
    return 0 if is_elsewhere else split_sheet(name)[0].stat().st_size


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
            raise UsageError(
                f"{folder} holds a job already; go on with --resume, begin anew with --overwrite,"
                " or choose another -o"
            )
        wanted = json.loads(json.dumps(description))
        changed = _find_changed(known.get("inputs"), wanted.get("inputs"))
        if changed is not None:
            raise ArtifactError(
                f"{changed} is not as it was when the job began; bring it back, or begin anew with"
                " --overwrite",
                where=str(path),
            )
        different = sorted(key for key in {*known, *wanted} if known.get(key) != wanted.get(key))
        if different:
            key = different[0]
            if key == "inputs":
                was, now = (
                    ", ".join(str(file["name"]) for file in said["inputs"]) or "none"
                    for said in (known, wanted)
                )
                raise ArtifactError(
                    f"the files were {was} and are {now} now; a resumed job reads the same",
                    where=str(path),
                )
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
    """Say which files a job reads and what they hold, so that a changed input is not resumed."""
    refuse_streams(names)
    return [{"name": name, **_describe_content(split_sheet(name)[0])} for name in names]


def _describe_content(path: Path) -> dict[str, object]:
    """Tell a file by its bytes, a folder of texts by all of them; a large file by its ends and when
    it was written.
    """
    url = url_of(path)
    if url is not None:
        return describe_url(url)
    if path.is_dir():
        return {"sha256": hash_data(path, labelled=False)}
    try:
        facts = path.stat()
        if facts.st_size <= _WHOLE_BYTES:
            return {"bytes": facts.st_size, "sha256": files.sha256(path)}
        with open(path, "rb") as file:
            ends = hashlib.sha256(file.read(_END_BYTES))
            file.seek(-_END_BYTES, 2)
            ends.update(file.read())
    except OSError as err:
        raise files.storage_error(path, err, action="read") from err
    return {"bytes": facts.st_size, "written": facts.st_mtime_ns, "ends_sha256": ends.hexdigest()}


def _find_changed(known: object, wanted: object) -> str | None:
    """Name the first input that is the same file by name and another by content."""
    if not isinstance(known, list) or not isinstance(wanted, list):
        return None
    before = {str(entry.get("name")): entry for entry in known if isinstance(entry, dict)}
    changed = (entry["name"] for entry in wanted if before.get(entry["name"], entry) != entry)
    return next(changed, None)


@dataclass
class Job:
    """A job that writes a folder of parts: which parts are its own, which are missing, and its end.

    stage: where its folder is to be; `folder`: where the parts are made, beside a finished job that
    it is to replace. `n_parts` and `n_rows` count this shard's parts as they pass, finished ones
    too; `rows` has their rows by file name.
    """

    stage: Stage
    folder: Path
    source: Inputs
    ending: str
    part_rows: int
    n_characters: int
    index: int = 1
    n_shards: int = 1
    is_whole: Callable[[PartFacts, Path], bool] = PartFacts.is_whole
    log: PartLog = field(init=False)
    ready: dict[str, PartFacts] = field(init=False)
    rows: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log = PartLog(self.folder, self.is_whole)
        self.ready = dict(self.log.parts)

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
        overwrite: bool = False,
        resume: bool = False,
        is_whole: Callable[[PartFacts, Path], bool] = PartFacts.is_whole,
    ) -> Job:
        """Begin a job or take it up again; the caller holds the folder.

        Description says what it is, beside its inputs, options and shard. is_whole: as PartLog has
        it.
        """
        if overwrite and resume:
            raise UsageError("--resume goes on with a job, --overwrite begins anew; leave one out")
        stage = Stage(folder, MANIFEST, (JOB, LOG, REJECTS, MANIFEST, "part-[0-9]*"))
        stage.clear(resume=resume, overwrite=overwrite)
        folder = stage.locate(resume=resume)
        index, n_shards = parse_shard(shard or "1/1")
        whole = {
            "inputs": describe_inputs(source.names),
            # How long a row may be decides no byte: a resumed job may allow more. Texts that are
            # lines go unsaid: a job that began when they were nothing else goes on.
            "options": {
                key: value
                for key, value in source.options.items()
                if value and key != "limit" and (key, value) != ("texts_are", "lines")
            },
            "part_rows": part_rows,
            "shard": f"{index}/{n_shards}",
            **description,
        }
        _clear(folder, (PARTLY_WRITTEN,))  # by a process that was killed: this one holds the folder
        if overwrite and (folder / JOB).exists():
            _clear(folder, stage.own)
        open_job(folder, whole, resume=resume)
        return cls(
            stage, folder, source, ending, part_rows, n_characters, index, n_shards, is_whole
        )

    @property
    def n_parts(self) -> int:
        return len(self.rows)

    @property
    def n_rows(self) -> int:
        return sum(self.rows.values())

    def missing(self) -> Iterator[Part]:
        """Read the corpus and give the parts that are still to be made."""
        for part in self.source.cut(n_rows=self.part_rows, n_characters=self.n_characters):
            if part.number % self.n_shards != self.index - 1:
                continue
            name = part_name(part.number, self.ending)
            self.rows[name] = part.n_rows
            if name not in self.ready or self.ready[name].n_rows != part.n_rows:
                yield part

    def finish(self, facts: Mapping[str, object]) -> None:
        """Bring the parts to their folder; write the rejects and the manifest, with facts beside
        the numbers of parts and rows.
        """
        write_rejects(self.folder, self.source.rejects)
        self.log.write()
        if self.folder != self.stage.folder:
            self.stage.finish()
            self.folder = self.stage.folder
        files.write_manifest(
            self.folder,
            kind=MANIFEST_KIND,
            format=FORMAT,
            name=MANIFEST,
            own=self.stage.own,
            facts={"n_parts": self.n_parts, "n_rows": self.n_rows, **facts},
            hashes={part.name: part.sha256 for part in self.log.parts.values()},
        )


def _clear(folder: Path, patterns: Sequence[str]) -> None:
    """Remove the files and folders of these names."""
    for pattern in patterns:
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def write_table(
    path: Path,
    part: Part,
    columns: Mapping[str, pyarrow.Array],
    *,
    keep: Sequence[str],
    parquet: Mapping[str, object],
    types: Mapping[str, pyarrow.DataType] | None = None,
    sources: NDArray[np.int64] | None = None,
) -> None:
    """Write a part as Parquet or Arrow: the number of each row, the kept columns, then `columns`.

    sources: (n_values,) the row of the part that each value of `columns` is of; by default they are
    the rows. types: of the kept columns that have one; the others are spelled as text. parquet: how
    Parquet stores them, as options of `pyarrow.parquet.write_table`.
    """
    import pyarrow

    rows = np.arange(part.first_row, part.first_row + len(part.rows), dtype=np.int64)
    kept = kept_columns(part, keep=keep, types=types)
    if sources is not None:
        rows = rows[sources]
        kept = {name: column.take(share_numbers(sources)) for name, column in kept.items()}
    table = pyarrow.table({"row": share_numbers(rows), **kept, **columns})
    with files.atomic_file(path) as file:
        if path.suffix == ".parquet":
            from pyarrow.parquet import write_table as write

            write(table, file, **parquet)
        else:
            from pyarrow import ipc

            with ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)


def kept_columns(
    part: Part, *, keep: Sequence[str], types: Mapping[str, pyarrow.DataType] | None = None
) -> dict[str, pyarrow.Array]:
    """Give the kept columns of a part; those that have no type are spelled as text.

    >>> part = Part(0, 0, [Row("a text", None, 1, ("en",))])
    >>> kept_columns(part, keep=["lang"])["lang"].to_pylist()
    ['en']
    """
    import pyarrow

    kept: dict[str, pyarrow.Array] = {}
    for at, name in enumerate(keep):
        values, kind = [row.kept[at] for row in part.rows], (types or {}).get(name)
        if kind is None:
            values = [value if value is None else spell_cell(value) for value in values]
        kept[name] = pyarrow.array(values, kind or pyarrow.string())
    return kept


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


def write_rejects(folder: Path, rejects: Sequence[str]) -> Path | None:
    r"""Write why rows were left out, a line each, and say where; no file where none was.

    >>> write_rejects(Path(), ["a.csv:2: the label is empty"]).read_text(encoding="utf-8")
    'a.csv:2: the label is empty\n'
    """
    if not rejects:
        return None
    files.write_text(folder / REJECTS, "\n".join(rejects) + "\n")
    return folder / REJECTS
