"""`textkit tokenize`: text in, tokens out, one row for each row, from a line of stdin to a corpus
of many files.

Without -o the tokens stream to standard output; with -o they become numbered parts in a folder, by
several workers if asked, resumable, with the same bytes however often it was interrupted and
however many workers ran.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from textkit.cli.command import OUTPUT, RUNNING, TOKENIZER, gather, new_verb, verb
from textkit.cli.options import (
    CorpusRows,
    Keep,
    Lowercase,
    MaxLength,
    On,
    Overwrite,
    PartRows,
    Resume,
    Shard,
    SplitPattern,
    among,
    complete_tokenizer,
    split_names,
)

if TYPE_CHECKING:
    from textkit.jobs.token_counts import TokenCounts
    from textkit.jobs.tokenize import TokenizeOptions

app = new_verb()


class TokenFormat(StrEnum):
    """How tokens are written."""

    text = "text"
    jsonl = "jsonl"
    tsv = "tsv"
    parquet = "parquet"
    arrow = "arrow"
    colour = "colour"


@dataclass(frozen=True, kw_only=True)
class Tokenizing:
    """What cuts the texts."""

    group: ClassVar = TOKENIZER
    tokenizer: Annotated[
        str,
        typer.Option(
            "--tokenizer",
            "-t",
            help="Tokenizer folder or file, hf:NAME, or: word, char, grapheme, byte.",
            autocompletion=complete_tokenizer,
        ),
    ] = "word"
    pattern: SplitPattern = None
    lowercase: Lowercase = None
    max_length: MaxLength = None
    window: Annotated[
        int | None,
        typer.Option(min=1, help="Cut rows into windows of at most so many tokens."),
    ] = None
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens from one window to the next; by default half a window."),
    ] = None
    sentences: Annotated[
        str | None,
        typer.Option(
            metavar="RULES",
            help="Where windows begin and end: unicode (the default), spacy, spacy:de, or none.",
            autocompletion=among("none", "spacy", "unicode"),
        ),
    ] = None
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Verify spans and round trip on this data; exit 3 on failure."
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class TokenFiles:
    """What is written of the tokens, and where."""

    group: ClassVar = OUTPUT
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the parts; else standard output.")
    ] = None
    output: Annotated[
        TokenFormat | None,
        typer.Option(
            "--to",
            help="By default colour on a terminal, jsonl in a pipe, parquet with -o.",
            show_default=False,
        ),
    ] = None
    keep: Keep = None
    spans: Annotated[
        bool, typer.Option("--spans/--no-spans", help="Write (start, end) of every token.")
    ] = True
    tokens: Annotated[
        bool, typer.Option("--tokens/--no-tokens", help="Write the tokens' texts.")
    ] = True
    part_rows: PartRows = 50_000


@dataclass(frozen=True, kw_only=True)
class Instead:
    """What is made instead of tokens."""

    group: ClassVar = OUTPUT
    count: Annotated[bool, typer.Option("--count", help="Only count.")] = False
    by_file: Annotated[
        bool, typer.Option("--by-file", help="With --count: a line for each file.")
    ] = False
    as_json: Annotated[
        bool, typer.Option("--json", help="With --count or --check: the counts as JSON.")
    ] = False
    show: Annotated[
        Path | None, typer.Option(help="Write the first 200 rows, coloured, as an HTML page.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Processes:
    """How the work is shared out."""

    group: ClassVar = RUNNING
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes of one core; by default one, whose engine takes all."),
    ] = None
    on: On = None
    shard: Shard = None
    overwrite: Overwrite = False
    resume: Resume = False


@verb(app)
def tokenize(
    corpus: CorpusRows,
    tokenizing: Tokenizing,
    written: TokenFiles,
    instead: Instead,
    running: Processes,
) -> None:
    """Turn text files into tokens, one row out for each row in.

    Examples:
        textkit tokenize corpus.txt
        echo "Don't stop" | textkit tokenize - --to text
        textkit tokenize texts/ -t tok --max-length 512 -o tokens --workers 2
        textkit tokenize corpus.jsonl.gz -t tok --text-column body --count --json
        textkit tokenize texts/ -t tok --count --by-file
        textkit tokenize corpus.txt -t tok --show tokens.html
        textkit tokenize novels/ --texts-are files --window 512 -o windows
    """
    from textkit.cli.output import Display, note, to_json, write_line
    from textkit.jobs.tokenize import TokenizeOptions, count_corpus, show_corpus, tokenize_corpus
    from textkit.watch import Watch

    keep = split_names(written.keep)
    options = gather(TokenizeOptions, corpus, tokenizing, written, running, keep=keep)
    if instead.show is not None:
        shown = show_corpus(options, instead.show)
        note(f"{instead.show}: the first {shown.n_rows:,} rows, {shown.n_tokens:,} tokens")
    elif instead.by_file:
        if not instead.count:
            from textkit.errors import UsageError

            raise UsageError("--by-file is for --count")
        _count_files(options, as_json=instead.as_json)
    elif instead.count or options.check:
        counted = count_corpus(options, watch=Watch(note=note))
        if instead.as_json:
            write_line(to_json(counted.counts.to_dict()))
        else:
            note(summary(counted.counts, counted.seconds, options.max_length))
    elif options.out is not None:
        with Display() as watch:
            made = tokenize_corpus(options, watch=watch)
        note(summary(made.whole, made.seconds, options.max_length, now=made.counts))
        ready = f", {made.n_ready:,} of them finished before" if made.n_ready else ""
        note(f"{made.place}: {made.n_parts:,} parts, {made.n_rows:,} rows{ready}")
    else:
        _stream(options)


def _count_files(options: TokenizeOptions, *, as_json: bool) -> None:
    """Write a line for each file: its rows, its tokens and its name, or an object of JSON."""
    from textkit.cli.output import note, to_json, write_line
    from textkit.jobs.token_counts import TokenCounts
    from textkit.jobs.tokenize import count_files
    from textkit.watch import Watch

    whole, seconds = TokenCounts(), 0.0
    for name, found in count_files(options, watch=Watch(note=note)):
        counts = found.counts
        told = {"file": name, **counts.to_dict()}
        line = f"{counts.n_rows:12,} {counts.n_tokens:15,}  {name}"
        write_line(to_json(told) if as_json else line)
        whole.add(counts)
        seconds += found.seconds
    note(summary(whole, seconds, options.max_length))


def _stream(options: TokenizeOptions) -> None:
    """Tokenize to standard output."""
    from textkit.cli.output import note
    from textkit.jobs.tokenize import STREAM_ROWS, stream_corpus
    from textkit.watch import Watch

    is_terminal = sys.stdout.isatty() and options.window is None
    output = options.output or ("colour" if is_terminal else "jsonl")
    coloured = output == "colour"
    # A person who types wants each line back at once.
    typed = coloured and options.inputs == ["-"] and sys.stdin.isatty()
    made = stream_corpus(
        replace(options, output=output),
        sys.stdout.buffer,
        n_rows=1 if typed else STREAM_ROWS,
        watch=Watch(note=note),
    )
    note(summary(made.counts, made.seconds, options.max_length, brief=coloured))


def summary(
    counts: TokenCounts,
    seconds: float,
    max_length: int | None,
    *,
    brief: bool = False,
    now: TokenCounts | None = None,
) -> str:
    """Say on one line what came out, what was lost, and unless brief how much and how fast.

    now: the part of it that was done in these seconds, where that is not all.
    """
    windows = [f"{counts.n_windows:,} windows"] if counts.n_windows else []
    said = [f"{counts.n_rows:,} rows", *windows, f"{counts.n_tokens:,} tokens"]
    if counts.lengths and not brief:
        said.append(f"p99 length {counts.percentile(0.99)}")
    if counts.n_truncated_rows:
        share = counts.n_truncated_tokens / (counts.n_tokens + counts.n_truncated_tokens)
        said.append(
            f"{counts.n_truncated_rows:,} rows cut at {max_length} tokens ({share:.1%} of all"
            f" tokens)"
        )
    if counts.n_unknown and not brief:
        said.append(f"{counts.n_unknown / max(counts.n_tokens, 1):.2%} unknown")
    if counts.n_replaced:
        said.append(f"{counts.n_replaced:,} lone surrogates replaced")
    said.append(f"{seconds:.1f} s")
    if counts.n_text_bytes and not brief:
        said.append((now or counts).speed(seconds))
    return ", ".join(said)
