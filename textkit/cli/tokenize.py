"""`textkit tokenize`: text in, tokens out, one row for each row, from a line of stdin to a corpus
of many files.

Without -o the tokens stream to standard output; with -o they become numbered parts in a folder, by
several workers if asked, resumable, with the same bytes however often it was interrupted and
however many workers ran.
"""

from __future__ import annotations

import itertools
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from textkit.io.bulk import Inputs
    from textkit.jobs.tokenized import Counts, Plan
    from textkit.tokenizers import Tokenizer

app = typer.Typer(rich_markup_mode=None)

_STREAM_ROWS = 1024
_STREAM_CHARACTERS = 8 << 20
_SHOWN_ROWS = 200


class Output(StrEnum):
    """How tokens are written."""

    text = "text"
    jsonl = "jsonl"
    tsv = "tsv"
    parquet = "parquet"
    arrow = "arrow"
    colour = "colour"


class OnBad(StrEnum):
    """What a bad row does."""

    stop = "stop"
    skip = "skip"


@app.command()
def tokenize(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES",
            help="Files, globs, folders: txt csv tsv jsonl parquet arrow, .gz .zst.",
        ),
    ],
    tokenizer: Annotated[
        str,
        typer.Option(
            "--tokenizer",
            "-t",
            help="Tokenizer folder or file, hf:NAME, or: word, char, grapheme, byte.",
        ),
    ] = "word",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the parts; else standard output.")
    ] = None,
    to: Annotated[
        Output | None,
        typer.Option(
            help="By default colour on a terminal, jsonl in a pipe, parquet with -o.",
            show_default=False,
        ),
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
    max_length: Annotated[
        int | None, typer.Option(min=0, help="Tokens a row at most; what is cut is said.")
    ] = None,
    spans: Annotated[
        bool, typer.Option("--spans/--no-spans", help="Write (start, end) of every token.")
    ] = True,
    tokens: Annotated[
        bool, typer.Option("--tokens/--no-tokens", help="Write the tokens' texts.")
    ] = True,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Make only every N-th part, from the I-th.")
    ] = None,
    part_rows: Annotated[
        int, typer.Option(min=1, help="Rows of a part at most; 8 million characters end it too.")
    ] = 50_000,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the job in -o, skipping finished parts.")
    ] = False,
    on_bad: Annotated[
        OnBad, typer.Option(help="A bad row: stop, or skip it and write it to _rejects.txt.")
    ] = OnBad.stop,
    count: Annotated[bool, typer.Option("--count", help="Only count.")] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Verify spans and round trip on this data; exit 3 on failure."
        ),
    ] = False,
    show: Annotated[
        Path | None, typer.Option(help="Write the first 200 rows, coloured, as an HTML page.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --count or --check: the counts as JSON.")
    ] = False,
) -> None:
    """Turn text files into tokens, one row out for each row in."""
    from textkit.io.bulk import Inputs
    from textkit.jobs.tokenized import Plan
    from textkit.tokenizers.opening import open_tokenizer

    tok = open_tokenizer(tokenizer)
    options: dict[str, Any] = {
        "text_column": text_column,
        "format": format,
        "keep": tuple(keep or ()),
        "on_bad": on_bad,
    }
    source = Inputs.of(inputs, **options)
    shape: dict[str, Any] = {"max_length": max_length, "keep": tuple(keep or ()), "check": check}
    if show is not None:
        _show(tok, source, show, tokenizer, max_length)
    elif count or check:
        plan = Plan(output=None, **shape)
        _finish(
            _stream(tok, source, plan, workers=workers, quiet=True),
            source,
            max_length,
            as_json=as_json,
        )
    elif out is not None:
        output = str(to or Output.parquet)
        if output == "colour":
            raise UsageError(
                "--to colour is for a terminal; use --show PAGE.html, or another --to with -o"
            )
        plan = Plan(output=output, folder=out, spans=spans, tokens=tokens, **shape)
        _write_parts(
            tok, source, plan, workers=workers, shard=shard, part_rows=part_rows, resume=resume
        )
    elif to in (Output.parquet, Output.arrow):
        raise UsageError(f"--to {to} writes files: name a folder with -o")
    elif (to or (Output.colour if sys.stdout.isatty() else Output.jsonl)) == Output.colour:
        _finish(_colour(tok, source, max_length), source, max_length)
    else:
        plan = Plan(output=str(to or Output.jsonl), spans=spans, tokens=tokens, **shape)
        _finish(_stream(tok, source, plan, workers=workers, quiet=False), source, max_length)


def _stream(
    tok: Tokenizer, source: Inputs, plan: Plan, *, workers: int, quiet: bool
) -> tuple[Counts, float]:
    """Tokenize part after part to standard output, or only count."""
    from textkit.io.bulk import cut_parts, map_parts
    from textkit.jobs.tokenized import Counts, tokenize_part, use_tokenizer

    counts, failures, started = Counts(), [], time.perf_counter()
    parts = cut_parts(source, n_rows=_STREAM_ROWS, n_characters=_STREAM_CHARACTERS)
    use_tokenizer(tok, plan)
    for result in map_parts(
        tokenize_part, parts, workers=workers, start=use_tokenizer, arguments=(tok, plan)
    ):
        counts.add(result.counts)
        failures += result.failures
        if not quiet:
            sys.stdout.buffer.write(result.data)
            sys.stdout.buffer.flush()
    if failures:
        raise DataError(
            f"{len(failures):,} rows fail the check, the first: {failures[0]}",
            where=source.names[0],
        )
    return counts, time.perf_counter() - started


def _colour(tok: Tokenizer, source: Inputs, max_length: int | None) -> tuple[Counts, float]:
    from textkit.cli.colours import colour_rows
    from textkit.io.bulk import cut_parts
    from textkit.jobs.tokenized import Counts

    counts, started = Counts(), time.perf_counter()
    # A person who types wants each line back at once.
    rows = 1 if source.names == ["-"] and sys.stdin.isatty() else _STREAM_ROWS
    for part in cut_parts(source, n_rows=rows, n_characters=_STREAM_CHARACTERS):
        texts = [row.text for row in part.rows]
        batch = tok.encode(texts, spans=True, max_length=max_length)
        sys.stdout.buffer.write(
            "".join(colour_rows(texts, batch)).encode("utf-8", "backslashreplace")
        )
        sys.stdout.buffer.flush()
        cut = batch.truncated
        counts.add(
            Counts(
                len(texts),
                len(batch.ids),
                0,
                0,
                int((cut > 0).sum()),
                int(cut.sum()),
                batch.n_replaced,
            )
        )
    return counts, time.perf_counter() - started


def _show(tok: Tokenizer, source: Inputs, page: Path, name: str, max_length: int | None) -> None:
    from textkit.cli.colours import html_page
    from textkit.cli.output import note
    from textkit.io import files

    texts = [row.text for row in itertools.islice(source, _SHOWN_ROWS)]
    batch = tok.encode(texts, spans=True, max_length=max_length)
    files.write_text(page, html_page(f"{', '.join(source.names)} by {name}", texts, batch))
    note(f"{page}: the first {len(texts):,} rows, {len(batch.ids):,} tokens")


def _write_parts(
    tok: Tokenizer,
    source: Inputs,
    plan: Plan,
    *,
    workers: int,
    shard: str | None,
    part_rows: int,
    resume: bool,
) -> None:
    """Make the parts of a job that are missing, each a whole file, and close the job."""
    from textkit.cli.output import ProgressBar, note
    from textkit.io import bulk
    from textkit.jobs.tokenized import Counts, tokenize_part, use_tokenizer

    assert plan.folder is not None
    description = {
        "kind": "tokenize",
        "tokenizer": tok.fingerprint,
        **{key: getattr(plan, key) for key in ("output", "max_length", "spans", "tokens")},
    }
    job = bulk.Job.open(
        plan.folder,
        source,
        description,
        ending=str(plan.output),
        part_rows=part_rows,
        n_characters=_STREAM_CHARACTERS,
        shard=shard,
        resume=resume,
    )
    counts, started = Counts(), time.perf_counter()
    with ProgressBar("tokenizing") as progress:
        use_tokenizer(tok, plan)
        for result in bulk.map_parts(
            tokenize_part,
            job.missing(),
            workers=workers,
            start=use_tokenizer,
            arguments=(tok, plan),
        ):
            counts.add(result.counts)
            seconds = max(time.perf_counter() - started, 1e-9)
            progress.update(
                counts.n_rows, details=f"{counts.n_text_bytes / seconds / 1e6:.1f} MB/s"
            )
    job.finish()
    _finish((counts, time.perf_counter() - started), source, plan.max_length)
    kept = f", {len(job.ready):,} of them finished before" if job.ready else ""
    note(f"{job.folder}: {job.n_parts:,} parts{kept}")


def _finish(
    done: tuple[Counts, float], source: Inputs, max_length: int | None, *, as_json: bool = False
) -> None:
    """Say what was read, what came out, what was lost, and how fast."""
    from textkit.cli.output import note, to_json, write_line

    counts, seconds = done
    for line in source.notes:
        note(line)
    if as_json:
        write_line(to_json(counts.to_dict()))
        return
    lost = ""
    if counts.n_truncated_rows:
        share = counts.n_truncated_tokens / (counts.n_tokens + counts.n_truncated_tokens)
        lost = (
            f", {counts.n_truncated_rows:,} rows cut at {max_length} tokens ({share:.1%} of all"
            f" tokens)"
        )
    longest = f", p99 length {counts.percentile(0.99)}" if counts.lengths else ""
    unknown = (
        f", {counts.n_unknown / max(counts.n_tokens, 1):.2%} unknown" if counts.n_unknown else ""
    )
    replaced = f", {counts.n_replaced:,} lone surrogates replaced" if counts.n_replaced else ""
    speed = (
        f", {counts.n_text_bytes / max(seconds, 1e-9) / 1e6:.1f} MB/s"
        if counts.n_text_bytes
        else ""
    )
    note(
        f"{counts.n_rows:,} rows, {counts.n_tokens:,} tokens{longest}{lost}{unknown}{replaced},"
        f" {seconds:.1f} s{speed}"
    )
