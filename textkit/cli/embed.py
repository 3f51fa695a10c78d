"""`textkit embed`: a corpus in, one vector a row out, as numbered parts in a folder, resumable
to the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import MODEL, OUTPUT, RUNNING, gather, new_verb, verb
from textkit.cli.options import (
    Allow,
    CorpusRows,
    Keep,
    On,
    Overwrite,
    PartRows,
    Resume,
    Shard,
    SplitPattern,
    among,
    complete_device,
    complete_tokenizer,
    complete_vectors,
    split_names,
)

app = new_verb()


class VectorFormat(StrEnum):
    """What a part is written as."""

    parquet = "parquet"
    npy = "npy"


class VectorDtype(StrEnum):
    """How numbers are stored."""

    float32 = "float32"
    float16 = "float16"


class UnknownWord(StrEnum):
    """What an unknown word becomes."""

    error = "error"
    zero = "zero"
    random = "random"
    ngram = "ngram"
    mean = "mean"


@dataclass(frozen=True, kw_only=True)
class VectorSource:
    """What makes the vectors."""

    group: ClassVar = MODEL
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="Vectors (folder, file, glove, spacy:NAME), a folder of a model, or hf:NAME.",
            autocompletion=complete_vectors,
        ),
    ]
    words: Annotated[
        bool, typer.Option("--words", help="Each row is a word, looked up whole in vectors.")
    ] = False
    unknown: Annotated[
        UnknownWord | None,
        typer.Option(
            help="With --words, an unknown word: by default ngram with fastText, else zero.",
            show_default=False,
        ),
    ] = None
    pooling: Annotated[
        list[str] | None,
        typer.Option(
            help="Vectors: mean, sif, max. Models: mean, cls, last, max; may be repeated to join"
            " several.",
            autocompletion=among("cls", "last", "max", "mean", "sif"),
        ),
    ] = None
    normalize: Annotated[
        bool | None,
        typer.Option(
            "--normalize/--no-normalize", help="Scale to length 1; else as the model says."
        ),
    ] = None
    prompt: Annotated[str | None, typer.Option(help="Text before each text.")] = None
    prompt_name: Annotated[str | None, typer.Option(help="One of the model's own prompts.")] = None
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Tokens a row at most; what is cut is said.")
    ] = None
    tokenizer: Annotated[
        str | None,
        typer.Option(
            "--tokenizer",
            "-t",
            help="For vectors: what cuts texts; else what they came with.",
            autocompletion=complete_tokenizer,
        ),
    ] = None
    pattern: SplitPattern = None
    fit_rows: Annotated[
        int,
        typer.Option(
            min=0,
            help="With --pooling sif: rows to count words and find the common part on; 0: none.",
        ),
    ] = 20_000
    allow: Allow = None


@dataclass(frozen=True, kw_only=True)
class VectorFiles:
    """How the vectors are written, and where."""

    group: ClassVar = OUTPUT
    out: Annotated[Path, typer.Option("--to", "-o", help="Folder for the parts.")]
    output: Annotated[VectorFormat, typer.Option("--as", help="What a part is written as.")] = (
        VectorFormat.parquet
    )
    dtype: Annotated[VectorDtype, typer.Option(help="How numbers are stored.")] = (
        VectorDtype.float32
    )
    keep: Keep = None
    part_rows: PartRows = 10_000


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """Where the work is done, and how it is shared out."""

    group: ClassVar = RUNNING
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, mps.", autocompletion=complete_device)
    ] = "auto"
    precision: Annotated[
        str,
        typer.Option(
            help="auto (bfloat16 on a GPU), float32, bfloat16.",
            autocompletion=among("auto", "float32", "bfloat16"),
        ),
    ] = "auto"
    batch_tokens: Annotated[int | None, typer.Option(min=1, help="Padded tokens of a batch.")] = (
        None
    )
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes, for vectors; a model uses all cores in one."),
    ] = None
    on: On = None
    shard: Shard = None
    overwrite: Overwrite = False
    resume: Resume = False


@verb(app)
def embed(
    corpus: CorpusRows, embedding: VectorSource, written: VectorFiles, running: Hardware
) -> None:
    """Turn each row of text files into a vector, one row out for each row in.

    Examples:
        textkit embed corpus.txt -m glove -o rows
        textkit embed texts/ -m vectors --pooling sif --workers 2 -o rows
        textkit embed corpus.jsonl -m all-MiniLM-L6-v2/ --keep id --as parquet -o rows
        textkit embed words.txt -m vectors --words --as npy --dtype float16 -o rows
    """
    from textkit.cli.output import Display, note
    from textkit.jobs.embed import EmbedOptions, embed_corpus

    keep, pooling = split_names(written.keep), embedding.pooling or []
    options = gather(
        EmbedOptions,
        corpus,
        embedding,
        written,
        running,
        keep=keep,
        pooling=pooling[0] if len(pooling) == 1 else pooling or None,
    )
    with Display() as watch:
        made = embed_corpus(options, watch=watch)
    counts = made.whole
    cut = f", {counts.n_truncated:,} rows cut at the model's length" if counts.n_truncated else ""
    empty = f", {counts.n_empty:,} rows without a known word: zeros" if counts.n_empty else ""
    note(
        f"{counts.n_rows:,} rows, {made.dim} wide{cut}{empty}, {made.seconds:.1f} s,"
        f" {made.counts.speed(made.seconds)}"
    )
    ready = f", {made.n_ready:,} of them finished before" if made.n_ready else ""
    note(f"{made.place}: {made.n_parts:,} parts, {made.n_rows:,} rows{ready}")
