"""`textkit embed`: a corpus in, one vector a row out, as numbered parts in a folder, resumable
to the same bytes.
"""

from __future__ import annotations

import itertools
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textkit.cli.tokenize import OnBad

if TYPE_CHECKING:
    from textkit.embedders.embedder import TextEmbedder
    from textkit.io.bulk import Inputs
    from textkit.jobs.embedded import Plan

app = typer.Typer(rich_markup_mode=None)

_PART_CHARACTERS = 8 << 20


class Output(StrEnum):
    """What a part is written as."""

    parquet = "parquet"
    npy = "npy"


class Dtype(StrEnum):
    """How numbers are stored."""

    float32 = "float32"
    float16 = "float16"


class Unknown(StrEnum):
    """What an unknown word becomes."""

    error = "error"
    zero = "zero"
    random = "random"
    ngram = "ngram"
    mean = "mean"


@app.command()
def embed(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES",
            help="Files, globs, folders: txt csv tsv jsonl parquet arrow, .gz .zst.",
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="Vectors (folder, file, glove, spacy:NAME), a folder of a model, or hf:NAME.",
        ),
    ],
    to: Annotated[Path, typer.Option("--to", "-o", help="Folder for the parts.")],
    output: Annotated[
        Output, typer.Option("--as", help="What a part is written as.")
    ] = Output.parquet,
    dtype: Annotated[Dtype, typer.Option(help="How numbers are stored.")] = Dtype.float32,
    words: Annotated[
        bool, typer.Option("--words", help="Each row is a word, looked up whole in vectors.")
    ] = False,
    unknown: Annotated[
        Unknown | None,
        typer.Option(
            help="With --words, an unknown word: by default ngram with fastText, else zero.",
            show_default=False,
        ),
    ] = None,
    pooling: Annotated[
        list[str] | None,
        typer.Option(
            help="Vectors: mean, sif, max. Models: mean, cls, last, max; may be repeated to join"
            " several."
        ),
    ] = None,
    normalize: Annotated[
        bool | None,
        typer.Option(
            "--normalize/--no-normalize", help="Scale to length 1; else as the model says."
        ),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Text before each text.")] = None,
    prompt_name: Annotated[str | None, typer.Option(help="One of the model's own prompts.")] = None,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Tokens a row at most; what is cut is said.")
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            "--tokenizer", "-t", help="For vectors: what cuts texts; else what they came with."
        ),
    ] = None,
    fit_rows: Annotated[
        int,
        typer.Option(
            min=0,
            help="With --pooling sif: rows to count words and find the common part on; 0: none.",
        ),
    ] = 20_000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto (bfloat16 on a GPU), float32, bfloat16.")
    ] = "auto",
    batch_tokens: Annotated[
        int | None, typer.Option(min=1, help="Padded tokens of a batch.")
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="Column or key that holds the text.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Column to carry along; may be repeated.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="Input format, where the name does not tell.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes, for vectors; a model uses all cores in one.")
    ] = 1,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Make only every N-th part, from the I-th.")
    ] = None,
    part_rows: Annotated[
        int, typer.Option(min=1, help="Rows of a part at most; 8 million characters end it too.")
    ] = 10_000,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the job in --to.")] = False,
    on_bad: Annotated[
        OnBad, typer.Option(help="A bad row: stop, or skip it and write it to _rejects.txt.")
    ] = OnBad.stop,
) -> None:
    """Turn each row of text files into a vector, one row out for each row in."""
    from textkit.cli.output import note
    from textkit.embedders.embedder import TextEmbedder
    from textkit.embedders.word_rows import open_words
    from textkit.errors import UsageError
    from textkit.io.bulk import Inputs
    from textkit.jobs.embedded import Plan
    from textkit.tokenizers.opening import open_tokenizer

    kept = tuple(keep or ())
    plan = Plan(to, output=output.value, dtype=dtype.value, keep=kept)
    source = Inputs.of(inputs, text_column=text_column, format=format, keep=kept, on_bad=on_bad)
    if words:
        of_texts = {
            "--pooling": pooling,
            "--normalize": normalize,
            "--tokenizer": tokenizer,
            "--prompt": prompt,
            "--prompt-name": prompt_name,
            "--max-length": max_length,
            "--batch-tokens": batch_tokens,
            "--device": None if device == "auto" else device,
            "--precision": None if precision == "auto" else precision,
        }
        given = [name for name, value in of_texts.items() if value is not None]
        if given:
            raise UsageError(f"{given[0]} is for texts; with --words each row is looked up whole")
        embedder = open_words(model, unknown=None if unknown is None else unknown.value)
    else:
        if unknown is not None:
            raise UsageError(
                "--unknown goes with --words; in a text what has no vector is left out"
            )
        chosen: Any = None if not pooling else pooling[0] if len(pooling) == 1 else pooling
        embedder = TextEmbedder.open(
            model,
            pooling=chosen,
            normalize=normalize,
            prompt=prompt,
            prompt_name=prompt_name,
            max_length=max_length,
            tokenizer=None if tokenizer is None else open_tokenizer(tokenizer),
            device=device,
            precision=precision,
            batch_tokens=batch_tokens,
        )
        if chosen == "sif" and fit_rows:
            embedder = _fit(embedder, source, fit_rows)
    for line in embedder.notes:
        note(line)
    arguments = _worker_arguments(embedder, plan, workers=workers)
    _write_parts(
        embedder,
        source,
        plan,
        arguments=arguments,
        workers=workers,
        shard=shard,
        part_rows=part_rows,
        resume=resume,
    )


def _fit(embedder: TextEmbedder, source: Inputs, n_rows: int) -> TextEmbedder:
    """Fit SIF on the first rows, which a shard and a resumed job read too.

    The inputs are then read from the start.
    """
    from textkit.cli.output import note
    from textkit.io.bulk import Inputs, describe_inputs

    describe_inputs(source.names)  # refuses standard input before it is used up
    texts = [row.text for row in itertools.islice(Inputs(source.names, source.options), n_rows)]
    note(f"SIF: word frequencies and the common component from the first {len(texts):,} rows")
    return embedder.fit(texts)


def _worker_arguments(embedder: TextEmbedder, plan: Plan, *, workers: int) -> tuple[Any, ...]:
    """Make this process ready, and give what a worker process needs to be so."""
    from textkit.errors import UsageError
    from textkit.jobs.embedded import use_embedder

    use_embedder(embedder, plan)
    if workers > 1 and not embedder.backend.parallel:
        raise UsageError("--workers is for texts by vectors; leave it out here")
    return embedder, plan


def _write_parts(
    embedder: TextEmbedder,
    source: Inputs,
    plan: Plan,
    *,
    arguments: tuple[Any, ...],
    workers: int,
    shard: str | None,
    part_rows: int,
    resume: bool,
) -> None:
    """Make the parts of a job that are missing, and close the job with the counts of its rows."""
    from textkit.cli.output import ProgressBar, note
    from textkit.io import bulk
    from textkit.jobs.embedded import embed_part, use_embedder

    description = {
        "kind": "embed",
        "model": embedder.describe(),
        "output": plan.output,
        "dtype": plan.dtype,
    }
    job = bulk.Job.open(
        plan.folder,
        source,
        description,
        ending=plan.output,
        part_rows=part_rows,
        n_characters=_PART_CHARACTERS,
        shard=shard,
        resume=resume,
    )
    done = n_truncated = n_empty = 0
    started = time.perf_counter()
    with ProgressBar("embedding") as progress:
        for part in bulk.map_parts(
            embed_part, job.missing(), workers=workers, start=use_embedder, arguments=arguments
        ):
            done, n_truncated, n_empty = (
                done + part.n_rows,
                n_truncated + part.n_truncated,
                n_empty + part.n_empty,
            )
            progress.update(
                done, details=f"{done / max(time.perf_counter() - started, 1e-9):,.0f} rows/s"
            )
    job.finish({"dim": embedder.dim, "dtype": plan.dtype, "rows": job.rows})
    seconds = time.perf_counter() - started
    for line in source.notes:
        note(line)
    cut = f", {n_truncated:,} rows cut at the model's length" if n_truncated else ""
    empty = f", {n_empty:,} rows without a known word: zeros" if n_empty else ""
    note(
        f"{done:,} rows, {embedder.dim} wide{cut}{empty}, {seconds:.1f} s,"
        f" {done / max(seconds, 1e-9):,.0f} rows/s"
    )
    ready = f", {len(job.ready):,} of them finished before" if job.ready else ""
    note(f"{job.folder}: {job.n_parts:,} parts, {job.n_rows:,} rows{ready}")
