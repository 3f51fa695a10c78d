"""Pack the tokens of a corpus into blocks of one length: a folder of parts, each a whole file.

In: PackOptions, which name folders that `textkit tokenize` wrote, or Parquet or Arrow files with a
column of ids. Out: a report with what was counted. Rows become parts in their order, each of about
as many tokens as its blocks hold, and each part is packed by itself, so that memory is bounded and
the bytes are the same for any number of workers, kills and shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from textkit.batch import TokenBatch
from textkit.data.blocks import LAYOUTS, write_blocks, write_mds_index
from textkit.data.packing import LEAST_FILL, MANNERS, Manner, pack_rows
from textkit.errors import DataError, UsageError, unknown_name
from textkit.io import files
from textkit.io.bulk import JOB, MANIFEST, Inputs, Job, Part, part_name
from textkit.jobs.parts import CorpusOptions, PartsReport, write_parts
from textkit.watch import Watch

if TYPE_CHECKING:
    import pyarrow

_ROWS_READ = 8192


@dataclass(frozen=True, kw_only=True)
class PackOptions:
    """What is packed, and how.

    - tokens: folders that `tokenize` wrote, or .parquet and .arrow files with a column `column`.
    - out: the folder of the parts. layout: npy, bin, parquet or mds, as textkit/data/blocks.py has
      them.
    - length: tokens of a block. manner: "best-fit" keeps rows whole where they fit, "concat" puts
      one behind the other.
    - end_id: stands behind every row. pad_id: fills what is left of a block.
    - least_fill: rows that would fit are cut where best fit fills less of a part; 0 never.
    - dtype: of the ids, int32 or uint16; positions are uint16 where they fit.
    - part_blocks: a part ends with the row that makes it so many blocks full.
    - workers, on, shard, overwrite, resume: as for `tokenize`.
    """

    tokens: Sequence[str | Path]
    out: Path
    length: int = 2048
    manner: Manner = "best-fit"
    layout: Literal["npy", "bin", "parquet", "mds"] = "npy"
    end_id: int | None = None
    pad_id: int = 0
    least_fill: float = LEAST_FILL
    dtype: Literal["int32", "uint16"] = "int32"
    column: str = "ids"
    part_blocks: int = 8192
    workers: int | None = None
    on: str | None = None
    shard: str | None = None
    overwrite: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (
            ("manner", self.manner, MANNERS),
            ("layout", self.layout, LAYOUTS),
            ("dtype", self.dtype, ("int32", "uint16")),
        ):
            if value not in known:
                raise UsageError(unknown_name(name, value, known))
        for name, number in (("length", self.length), ("part_blocks", self.part_blocks)):
            if number < 1:
                raise UsageError(f"{name} is {number}, expected at least 1")
        if not 0 <= self.least_fill <= 1:
            raise UsageError(f"least_fill is {self.least_fill}, expected 0 to 1")
        bound = 0xFFFF if self.dtype == "uint16" else 0x7FFFFFFF
        for name, token in (("pad_id", self.pad_id), ("end_id", self.end_id)):
            if token is not None and not 0 <= token <= bound:
                raise UsageError(f"{name} is {token}, expected 0 to {bound:,}")


@dataclass
class PackCounts:
    """What was counted: n_cut rows stand in more than one piece."""

    n_rows: int = 0
    n_tokens: int = 0
    n_blocks: int = 0
    n_cut: int = 0

    def add(self, other: PackCounts) -> None:
        """Count another part too."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def pack(self) -> Mapping[str, object]:
        """Give what `unpack` takes, as JSON can hold it."""
        return vars(self)

    @classmethod
    def unpack(cls, values: Mapping[str, Any]) -> PackCounts:
        """Take up what `pack` gave."""
        return cls(**values)

    def speed(self, seconds: float) -> str:
        """Say how fast tokens went by."""
        return f"{self.n_tokens / max(seconds, 1e-9) / 1e6:.1f} M tokens/s"

    def fill(self, length: int) -> float:
        """Give the share of the blocks that tokens fill; 1 where there is no block.

        >>> PackCounts(n_tokens=7, n_blocks=2).fill(4)
        0.875
        """
        return self.n_tokens / (self.n_blocks * length) if self.n_blocks else 1.0


@dataclass(frozen=True)
class PackReport(PartsReport[PackCounts]):
    """As of every job on parts; length: tokens of a block."""

    length: int = 0

    @property
    def fill(self) -> float:
        """The share of the blocks that tokens fill."""
        return self.whole.fill(self.length)

    def to_dict(self) -> dict[str, object]:
        """Give plain values."""
        return {**vars(self.whole), "length": self.length, "fill": self.fill}


@dataclass(frozen=True)
class TokenPart(Part):
    """A numbered run of rows of tokens; it has no texts."""

    tokens: TokenBatch = field(default_factory=lambda: TokenBatch.from_rows([]))

    @property
    def n_rows(self) -> int:
        return len(self.tokens)


@dataclass
class TokenInputs(Inputs):
    """The tokens of files, in order; `cut` makes parts of n_rows * length tokens."""

    column: str = "ids"
    length: int = 1
    n_behind: int = 0  # tokens that each row has behind it

    def cut(self, *, n_rows: int, n_characters: int) -> Iterator[Part]:
        held: list[TokenBatch] = []
        number = first = size = 0
        for name in self.names:
            for batch in _read_tokens(Path(name), self.column):
                start = 0
                while start < len(batch):
                    behind = self.n_behind * np.arange(1, len(batch) - start + 1)
                    ends = batch.offsets[start + 1 :] - batch.offsets[start] + behind
                    wanted = n_rows * self.length - size
                    stop = min(start + int(np.searchsorted(ends, wanted)) + 1, len(batch))
                    held.append(batch.slice(start, stop))
                    size += int(ends[stop - start - 1])
                    start = stop
                    if size >= n_rows * self.length:
                        yield _join(number, first, held)
                        first += sum(map(len, held))
                        number, size, held = number + 1, 0, []
        if held:
            yield _join(number, first, held)


def _join(number: int, first: int, held: Sequence[TokenBatch]) -> TokenPart:
    return TokenPart(number, first, [], TokenBatch.concatenate(held))


@dataclass(frozen=True)
class PackParts:
    """Pack a part, write it and count."""

    title: ClassVar[str] = "packing"
    options: PackOptions

    @property
    def ending(self) -> str:
        return self.options.layout

    def describe(self) -> Mapping[str, object]:
        """Say all that decides the bytes beside the rows."""
        names = ("length", "manner", "layout", "end_id", "pad_id", "least_fill", "dtype", "column")
        return {"kind": "pack", **{name: getattr(self.options, name) for name in names}}

    def write(self, part: Part, folder: Path) -> PackCounts:
        """Write the file of a part."""
        assert isinstance(part, TokenPart)
        options = self.options
        blocks = pack_rows(
            part.tokens,
            length=options.length,
            manner=options.manner,
            end_id=options.end_id,
            pad_id=options.pad_id,
            least_fill=options.least_fill,
        )
        path = folder / part_name(part.number, self.ending)
        write_blocks(path, blocks, ids=options.dtype)
        return PackCounts(part.n_rows, int(blocks.n_tokens.sum()), len(blocks), blocks.n_cut)

    def facts(self, job: Job) -> Mapping[str, object]:
        """Say what the blocks are; a folder of mds parts gets its index now, before its seal."""
        parts = {
            name: PackCounts.unpack(facts.counts)
            for name, facts in job.log.parts.items()
            if name in job.rows
        }
        whole = PackCounts()
        for counts in parts.values():
            whole.add(counts)
        options = self.options
        if options.layout == "mds":
            blocks = {name: counts.n_blocks for name, counts in parts.items()}
            write_mds_index(job.folder, blocks, length=options.length, ids=options.dtype)
        told = {**vars(whole), "fill": whole.fill(options.length)}
        return {**self.describe(), **told, "kind": "parts"}


def pack_tokens(options: PackOptions, *, watch: Watch = Watch()) -> PackReport:
    """Pack tokens into the folder `options.out`, as parts that a stopped job goes on from.

    Raises DataError for a file without ids, or an id that is none; UsageError for tokens whose job
    is not finished.

    >>> from textkit import tokenizers
    >>> from textkit.jobs import TokenizeOptions, tokenize_corpus
    >>> _ = Path("a.txt").write_text("so it goes\\n" * 40, encoding="utf-8")
    >>> tok = tokenizers.train("bpe", ["so it goes"] * 9, size=280)
    >>> options = TokenizeOptions(inputs=["a.txt"], tokenizer=tok, out=Path("tokens"))
    >>> n_tokens = tokenize_corpus(options).counts.n_tokens
    >>> report = pack_tokens(PackOptions(tokens=["tokens"], out=Path("blocks"), length=16))
    >>> report.whole.n_tokens == n_tokens, report.whole.n_rows
    (True, 40)
    """
    names = [name for given in options.tokens for name in _find_files(Path(given))]
    source = TokenInputs(
        names,
        {},
        column=options.column,
        length=options.length,
        n_behind=0 if options.end_id is None else 1,
    )
    running = CorpusOptions(
        inputs=names,
        workers=options.workers,
        on=options.on,
        shard=options.shard,
        part_rows=options.part_blocks,
        overwrite=options.overwrite,
        resume=options.resume,
    )
    made = write_parts(
        PackParts(options), options.out, source, running, counting=PackCounts, watch=watch
    )
    return PackReport(**vars(made), length=options.length)


def _find_files(path: Path) -> list[str]:
    """Name the files of a folder of tokens, or the one file."""
    if not path.is_dir():
        if path.suffix not in (".parquet", ".arrow"):
            raise UsageError(f"{path} holds no tokens: name a folder of tokenize, .parquet, .arrow")
        return [str(path)]
    if (path / JOB).exists():
        if not (path / MANIFEST).exists():
            raise UsageError(f"{path} is not finished; go on with it: textkit tokenize --resume")
        manifest = files.read_object(path / MANIFEST)
        parts = [path / name for name in manifest["files"] if name.startswith("part-")]
    else:
        parts = [file for file in path.iterdir() if file.suffix in (".parquet", ".arrow")]
    found = sorted(str(part) for part in parts)
    if any(Path(name).suffix not in (".parquet", ".arrow") for name in found):
        raise UsageError(f"{path} holds {Path(found[0]).suffix} parts; tokenize --to parquet")
    if not found and not (path / MANIFEST).exists():
        raise UsageError(f"{path} holds no .parquet or .arrow file")
    return found


def _read_tokens(path: Path, column: str) -> Iterator[TokenBatch]:
    """Read the ids of a file, some thousand rows at a time."""
    import pyarrow

    try:
        for batch in _record_batches(path, column):
            yield _to_batch(batch.column(0), path, column)
    except (pyarrow.ArrowException, OSError, KeyError) as err:
        reason = " ".join(str(err).split())[:200]
        raise DataError(f"cannot be read: {reason}", where=str(path)) from err


def _record_batches(path: Path, column: str) -> Iterator[pyarrow.RecordBatch]:
    from pyarrow import ipc, parquet

    if path.suffix == ".parquet":
        with parquet.ParquetFile(path) as file:
            _check_column(column, file.schema_arrow.names, path)
            yield from file.iter_batches(_ROWS_READ, columns=[column])
        return
    with open(path, "rb") as opened, ipc.open_file(opened) as reader:
        _check_column(column, reader.schema.names, path)
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i).select([column])


def _check_column(column: str, known: Sequence[str], path: Path) -> None:
    if column not in known:
        raise DataError(
            f"no column '{column}' of ids; its columns: {', '.join(known)}", where=str(path)
        )


def _to_batch(rows: pyarrow.Array, path: Path, column: str) -> TokenBatch:
    """Take the ids and offsets of an Arrow list; rows that are null are empty."""
    import pyarrow

    if not pyarrow.types.is_list(rows.type) and not pyarrow.types.is_large_list(rows.type):
        raise DataError(f"column '{column}' is {rows.type}, expected lists", where=str(path))
    flat = rows.flatten()
    lengths = rows.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    if not pyarrow.types.is_integer(flat.type) or flat.null_count:
        raise DataError(f"column '{column}' holds other than ids", where=str(path))
    ids = flat.to_numpy(zero_copy_only=False)
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) <= 0x7FFFFFFF:
        raise DataError(f"column '{column}' holds ids outside of int32", where=str(path))
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return TokenBatch(ids.astype(np.int32), offsets, None, np.zeros(len(lengths), np.int32))
