"""Index a corpus, and ask an index: whole pieces of work.

In: SearchBuildOptions or SearchQueryOptions. Out: a report, or Hits. Nothing is printed: what is
guessed, skipped and how far the work is goes to a Watch.

1. Parts are made beside the index, in `NAME.parts`, as `textkit tokenize` makes them: each whole,
   by several processes if asked, so that a stopped job goes on to the same bytes.
2. They are joined to the index, one sealed folder that is whole or not there, and go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textkit.embedders.embedder import TextEmbedder
from textkit.errors import UsageError
from textkit.io import files
from textkit.io.bulk import Job, Part, kept_columns, part_name
from textkit.io.exchange import remove_folder
from textkit.io.kept_values import declared_types, describe_types
from textkit.io.remote import refuse_url
from textkit.jobs.parts import CorpusOptions, PartsReport, write_parts
from textkit.jobs.runs import find_model
from textkit.search.building import (
    IndexOptions,
    VectorFacts,
    assemble,
    describe_parts,
    part_arrays,
    write_part,
)
from textkit.search.in_memory import check_options, describe_vectors
from textkit.search.index import Hit, Method, SearchIndex, as_model
from textkit.search.model import SearchModel
from textkit.watch import Watch

if TYPE_CHECKING:
    import pyarrow

_ENDING = "safetensors"


@dataclass(frozen=True, kw_only=True)
class SearchBuildOptions(CorpusOptions):
    """What is indexed, by what, and where.

    - model: what makes the vectors: what `TextEmbedder.open` takes, a SearchModel with options, or
      an open TextEmbedder; without one texts are found by their words alone.
    - out: the folder of the index. index: what it holds.
    - keep: columns to find rows by, and to get back.
    """

    keeps_values: ClassVar[bool] = True

    out: Path
    model: str | SearchModel | TextEmbedder | None = None
    index: IndexOptions = field(default_factory=IndexOptions)
    part_rows: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shard is not None:
            raise UsageError("--shard makes parts of a folder; an index is one")

    @property
    def parts(self) -> Path:
        """The folder of the parts, beside the index."""
        return self.out.with_name(f"{self.out.name}.parts")

    @property
    def rejects(self) -> Path:
        """The file of the rows that were left out, beside the index."""
        return self.out.with_name(f"{self.out.name}.rejects.txt")


@dataclass(frozen=True, kw_only=True)
class SearchQueryOptions:
    """How an index is asked.

    index: its folder. top to exact: as `SearchIndex.query` takes them, top being its k. model: what
    makes the vectors of queries, where not the one that the index names.
    """

    index: Path
    top: int = 10
    method: Method | None = None
    where: Sequence[str] = ()
    exact: bool = False
    model: str | SearchModel | TextEmbedder | None = None


@dataclass
class RowCounts:
    """n_rows, of which n_truncated were cut at the model's length and n_empty have no vector."""

    n_rows: int = 0
    n_truncated: int = 0
    n_empty: int = 0

    def add(self, other: RowCounts) -> None:
        """Count the rows of another part too."""
        self.n_rows += other.n_rows
        self.n_truncated += other.n_truncated
        self.n_empty += other.n_empty

    def pack(self) -> Mapping[str, object]:
        """Give what `unpack` takes, as JSON can hold it."""
        return dict(vars(self))

    @classmethod
    def unpack(cls, values: Mapping[str, Any]) -> RowCounts:
        """Take up what `pack` gave."""
        return cls(**values)

    def speed(self, seconds: float) -> str:
        """Say how fast rows went by."""
        return f"{self.n_rows / max(seconds, 1e-9):,.0f} rows/s"


@dataclass(frozen=True)
class SearchReport(PartsReport[RowCounts]):
    """What building an index did; index: the index, opened, None where the watch stopped it."""

    index: SearchIndex | None = None


@dataclass(frozen=True)
class SearchParts:
    """Embed the texts of a part, count their words, and write both with the rows."""

    title: ClassVar[str] = "indexing"
    ending: ClassVar[str] = _ENDING
    embedder: TextEmbedder | None
    vectors: VectorFacts | None
    options: IndexOptions
    keep: tuple[str, ...]
    types: Mapping[str, pyarrow.DataType] = field(default_factory=dict)

    def describe(self) -> Mapping[str, object]:
        """Say all that decides the bytes beside the rows."""
        return {**describe_parts(self.options, self.vectors), **describe_types(self.types)}

    def facts(self, job: Job) -> Mapping[str, object]:
        """Say nothing more of a finished job."""
        return {}

    def write(self, part: Part, folder: Path) -> RowCounts:
        """Write the file of a part."""
        import pyarrow

        made = None if self.embedder is None else self.embedder.embed(part.texts)
        kept = None
        if self.keep:
            kept = pyarrow.table(kept_columns(part, keep=self.keep, types=self.types))
        vectors = None if made is None else made.vectors
        arrays = part_arrays(part.texts, kept, vectors, self.options, first_row=part.first_row)
        write_part(folder / part_name(part.number, self.ending), arrays)
        if made is None:
            return RowCounts(len(part.rows))
        n_empty = int((~made.vectors.any(axis=1)).sum())
        return RowCounts(len(part.rows), int((made.truncated > 0).sum()), n_empty)


def build_search(options: SearchBuildOptions, *, watch: Watch = Watch()) -> SearchReport:
    """Index a corpus into the folder `options.out`; a stopped job goes on with resume.

    >>> _ = Path("a.csv").write_text("id,text\\n7,a king\\n8,a tree\\n", encoding="utf-8")
    >>> options = SearchBuildOptions(inputs=["a.csv"], keep=("id",), out=Path("index"))
    >>> index = build_search(options).index
    >>> [hit.kept for hit in index.query("king")]
    [{'id': '7'}]
    """
    _check_place(options)
    model = as_model(_find_folder(options.model))
    source = options.open_inputs()
    embedder = model.open() if isinstance(model, SearchModel) else model
    for line in () if embedder is None else embedder.notes:
        watch.note(line)
    if embedder is not None and (options.workers or 1) > 1 and not embedder.backend.parallel:
        raise UsageError("--workers is for words, and texts by vectors; leave it out here")
    vectors = None if embedder is None else describe_vectors(model, embedder)
    check_options(options.index, vectors)
    types = declared_types(source.names, options.format, options.keep)
    work = SearchParts(embedder, vectors, options.index, options.keep, types)
    if options.overwrite:
        remove_folder(options.parts)
    made = write_parts(work, options.parts, source, options, counting=RowCounts, watch=watch)
    if made.stopped:
        return SearchReport(**vars(made))
    paths = [options.parts / part_name(number, _ENDING) for number in range(made.n_parts)]
    # A job that goes on was let begin: what lies in `out` may go, or is the same.
    overwrite = options.overwrite or options.resume
    assemble(paths, options.out, options.index, vectors=vectors, overwrite=overwrite, watch=watch)
    _move_rejects(options, source.rejects, watch)
    remove_folder(options.parts)
    index = SearchIndex.open(options.out, model=options.model)
    return SearchReport(**vars(replace(made, folder=options.out)), index=index)


def query_search(
    options: SearchQueryOptions, queries: Sequence[str], *, watch: Watch = Watch()
) -> list[list[Hit]]:
    """Ask an index: the hits of each query, the best first."""
    index = SearchIndex.open(options.index, model=_find_folder(options.model))
    if options.method != "bm25" and index.method != "bm25":
        for line in index.embedder.notes:
            watch.note(line)
    return index.query(
        list(queries),
        options.top,
        method=options.method,
        where=options.where,
        exact=options.exact,
    )


def _find_folder(
    model: str | SearchModel | TextEmbedder | None,
) -> str | SearchModel | TextEmbedder | None:
    """Name the model folder where a run folder was named."""
    if isinstance(model, SearchModel):
        spec = _find_folder(model.spec)
        return replace(model, spec=spec) if isinstance(spec, str) else model
    return str(find_model(model)) if isinstance(model, str) and Path(model).is_dir() else model


def _check_place(options: SearchBuildOptions) -> None:
    """Refuse to write over finished work, or beside a job that could go on."""
    parts = options.parts
    refuse_url(options.out)
    if options.resume and options.overwrite:
        raise UsageError("--resume goes on with a job, --overwrite begins anew; leave one out")
    if parts.is_dir() and not (options.resume or options.overwrite):
        raise UsageError(
            f"{parts} holds a job that was stopped; go on with --resume, or begin anew with"
            " --overwrite"
        )
    files.refuse_finished(options.out, overwrite=options.overwrite or parts.is_dir())


def _move_rejects(options: SearchBuildOptions, rejects: Sequence[str], watch: Watch) -> None:
    """Write down beside the index why rows were left out; none of an earlier job stay."""
    options.rejects.unlink(missing_ok=True)
    if rejects:
        files.write_text(options.rejects, "\n".join(rejects) + "\n")
        watch.note(f"left out: {options.rejects}")
