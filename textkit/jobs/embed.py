"""Embed a corpus: a vector for each row, as parts of Parquet or .npy in a folder.

In: EmbedOptions. Out: a report with what was counted. Nothing is printed: what is guessed, skipped
and how far the work is goes to a Watch.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from textkit.embedders.embedder import TextEmbedder
from textkit.embedders.word_rows import open_words
from textkit.errors import DataError, UsageError, unknown_name
from textkit.io.bulk import (
    Inputs,
    Job,
    Part,
    check_kept,
    part_name,
    share_numbers,
    write_table,
)
from textkit.io.columns import open_column
from textkit.io.inputs import refuse_streams
from textkit.io.kept_values import declared_types, describe_types
from textkit.jobs.parts import CorpusOptions, PartsReport, write_parts
from textkit.jobs.runs import find_model
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.formats import open_tokenizer
from textkit.vectors.table import Floats, Unknown
from textkit.watch import Watch

if TYPE_CHECKING:
    import pyarrow

OUTPUTS = ("parquet", "npy")
DTYPES = ("float32", "float16")
# What only texts have, where rows can be words.
_OF_TEXTS = {
    "pooling": None,
    "normalize": None,
    "tokenizer": None,
    "pattern": None,
    "prompt": None,
    "prompt_name": None,
    "max_length": None,
    "batch_tokens": None,
    "device": "auto",
    "precision": "auto",
    "allow": None,
}


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(CorpusOptions):
    """What is embedded, by what, and how the vectors are stored.

    - model: a TextEmbedder, or what `TextEmbedder.open` takes: vectors, a folder of a model, ...
    - out: the folder of the parts.
    - output: parquet, or npy, which holds vectors alone. dtype: float32 or float16.
    - words: each row is a word, looked up whole in vectors; what is unknown follows `unknown`, a
      policy of `Vectors.lookup`, by default ngram with fastText's vectors, else zero.
    - pooling to batch_tokens, and allow: options of `TextEmbedder.open`. pattern: how the texts of
      a .tiktoken file are split, where `tokenizer` names one.
    - fit_rows: with pooling sif, the rows to count words and find the common part on; 0: none.
    """

    keeps_values: ClassVar[bool] = True

    model: str | TextEmbedder
    out: Path
    output: str = "parquet"
    dtype: str = "float32"
    words: bool = False
    unknown: Unknown | None = None
    pooling: str | Sequence[str] | None = None
    normalize: bool | None = None
    prompt: str | None = None
    prompt_name: str | None = None
    max_length: int | None = None
    tokenizer: str | Tokenizer | None = None
    pattern: str | None = None
    fit_rows: int = 20_000
    device: str = "auto"
    precision: str = "auto"
    batch_tokens: int | None = None
    allow: Sequence[str] | None = None
    part_rows: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind, value, known in (("output", self.output, OUTPUTS), ("dtype", self.dtype, DTYPES)):
            if value not in known:
                raise UsageError(unknown_name(kind, value, known))
        if self.output == "npy" and self.keep:
            raise UsageError(".npy holds vectors alone; to keep columns write parquet")
        check_kept(self.keep, own=("row", "vector"))

    def open_embedder(self) -> TextEmbedder:
        """Open the model that is named, or give the one that is there."""
        of_texts = [name for name, unset in _OF_TEXTS.items() if getattr(self, name) != unset]
        if not isinstance(self.model, str):
            if of_texts or self.words:
                raise UsageError(
                    f"{[*of_texts, 'words'][0]} is for a model that is opened by its name; this one"
                    f" is open"
                )
            return self.model
        if self.words:
            if of_texts:
                flag = of_texts[0].replace("_", "-")
                raise UsageError(f"--{flag} is for texts; with --words each row is looked up whole")
            return open_words(self.model, unknown=self.unknown)
        if self.unknown is not None:
            raise UsageError(
                "--unknown goes with --words; in a text what has no vector is left out"
            )
        tokenizer = self.tokenizer
        if isinstance(tokenizer, str):
            tokenizer = open_tokenizer(tokenizer, pattern=self.pattern)
        elif self.pattern is not None:
            raise UsageError("pattern is for the name of a .tiktoken file; name it as tokenizer")
        return TextEmbedder.open(
            str(find_model(self.model)) if Path(self.model).is_dir() else self.model,
            pooling=self.pooling,
            normalize=self.normalize,
            prompt=self.prompt,
            prompt_name=self.prompt_name,
            max_length=self.max_length,
            tokenizer=tokenizer,
            device=self.device,
            precision=self.precision,
            batch_tokens=self.batch_tokens,
            allow=self.allow or (),
        )


@dataclass
class VectorCounts:
    """n_rows, of which n_truncated were cut and n_empty have no vector but zeros."""

    n_rows: int = 0
    n_truncated: int = 0
    n_empty: int = 0

    def add(self, other: VectorCounts) -> None:
        """Count the rows of another part too."""
        self.n_rows += other.n_rows
        self.n_truncated += other.n_truncated
        self.n_empty += other.n_empty

    def pack(self) -> Mapping[str, object]:
        """Give what `unpack` takes, as JSON can hold it."""
        return dict(vars(self))

    @classmethod
    def unpack(cls, values: Mapping[str, Any]) -> VectorCounts:
        """Take up what `pack` gave."""
        return cls(**values)

    def speed(self, seconds: float) -> str:
        """Say how fast rows went by."""
        return f"{self.n_rows / max(seconds, 1e-9):,.0f} rows/s"


@dataclass(frozen=True)
class EmbedReport(PartsReport[VectorCounts]):
    """What a job on a corpus did; dim: the width of a vector."""

    dim: int = 0


@dataclass(frozen=True)
class EmbedParts:
    """Embed the rows of a part and write them as the options say."""

    title: ClassVar[str] = "embedding"
    embedder: TextEmbedder
    ending: str
    dtype: str
    keep: tuple[str, ...]
    types: Mapping[str, pyarrow.DataType] = field(default_factory=dict)

    def describe(self) -> Mapping[str, object]:
        """Say all that decides the bytes beside the rows."""
        return {
            "kind": "embed",
            "model": self.embedder.describe(),
            "output": self.ending,
            "dtype": self.dtype,
            **describe_types(self.types),
        }

    def facts(self, job: Job) -> Mapping[str, object]:
        """Say what the vectors are, and how many rows each part has, for who maps them."""
        return {"dim": self.embedder.dim, "dtype": self.dtype, "rows": job.rows}

    def write(self, part: Part, folder: Path) -> VectorCounts:
        """Write the file of a part."""
        embedded = self.embedder.embed(part.texts)
        stored = narrow(embedded.vectors, self.dtype, first_row=part.first_row)
        path = folder / part_name(part.number, self.ending)
        if self.ending == "npy":
            with open_column(path, self.dtype) as column:
                column.write(stored)
        else:
            self._write_table(path, part, stored)
        n_empty = int((~embedded.vectors.any(axis=1)).sum())
        return VectorCounts(len(part.rows), int((embedded.truncated > 0).sum()), n_empty)

    def _write_table(self, path: Path, part: Part, vectors: NDArray[np.floating]) -> None:
        """Write row, the kept columns, and vector, a list of fixed size."""
        import pyarrow

        flat = share_numbers(vectors.reshape(-1))
        column = pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
        # Numbers of a vector hardly repeat: neither a dictionary nor compression pays.
        stored = {"compression": "none", "use_dictionary": list(self.keep)}
        write_table(
            path, part, {"vector": column}, keep=self.keep, types=self.types, parquet=stored
        )


def embed_corpus(options: EmbedOptions, *, watch: Watch = Watch()) -> EmbedReport:
    """Embed a corpus into the folder `options.out`, as parts that a stopped job goes on from.

    >>> from textkit import Vectors
    >>> Vectors(["king", "tree"], np.ones((2, 3), np.float32)).save("v")
    >>> _ = Path("a.txt").write_text("the king\\nnobody\\n", encoding="utf-8")
    >>> report = embed_corpus(EmbedOptions(inputs=["a.txt"], model="v", out=Path("rows")))
    >>> report.dim, report.n_rows, report.counts.n_empty
    (3, 2, 1)
    """
    source = options.open_inputs()
    embedder = options.open_embedder()
    if options.pooling == "sif" and options.fit_rows:
        embedder = _fit(embedder, source, options.fit_rows, watch)
    for line in embedder.notes:
        watch.note(line)
    if (options.workers or 1) > 1 and not embedder.backend.parallel:
        raise UsageError("--workers is for texts by vectors; leave it out here")
    types = declared_types(source.names, options.format, options.keep)
    work = EmbedParts(embedder, options.output, options.dtype, options.keep, types)
    made = write_parts(work, options.out, source, options, counting=VectorCounts, watch=watch)
    return EmbedReport(**vars(made), dim=embedder.dim)


def _fit(embedder: TextEmbedder, source: Inputs, n_rows: int, watch: Watch) -> TextEmbedder:
    """Fit SIF on the first rows, which a shard and a resumed job read too.

    The inputs are then read from the start.
    """
    refuse_streams(source.names)  # before they are used up
    texts = [row.text for row in itertools.islice(Inputs(source.names, source.options), n_rows)]
    watch.note(f"SIF: word frequencies and the common component from the first {len(texts):,} rows")
    return embedder.fit(texts)


def narrow(vectors: Floats, dtype: str, *, first_row: int = 0) -> NDArray[np.floating]:
    """Store vectors (n, dim) as a dtype.

    A number that float16 cannot hold is a DataError that names its row.

    >>> narrow(np.ones((1, 2), np.float32), "float16").dtype.name
    'float16'
    """
    if dtype == "float32":
        return vectors
    with np.errstate(over="ignore"):
        stored = vectors.astype(np.float16)
    bad = np.flatnonzero(~np.isfinite(stored).all(axis=1))
    if len(bad):
        largest = float(np.abs(vectors[bad[0]]).max())
        raise DataError(
            f"row {first_row + bad[0]} holds {largest:g}, more than float16 can; take float32"
            f" (--dtype)"
        )
    return stored
