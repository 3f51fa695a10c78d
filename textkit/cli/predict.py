"""`textkit predict`: texts in, one answer out for each: lines on standard output, or a file whose
rows have the columns that they came with.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, RUNNING, gather, new_verb, verb
from textkit.cli.options import (
    Allow,
    Delimiter,
    Format,
    Keep,
    LabelSeparator,
    MaxRow,
    ModelFolder,
    On,
    OnBad,
    OnBadLabelledRow,
    Overwrite,
    Resume,
    TextColumn,
    among,
    split_names,
)
from textkit.cli.output import Display, note, to_json, write_line
from textkit.errors import UsageError
from textkit.watch import Watch

app = new_verb()


class AnswerFormat(StrEnum):
    """What answers are written as."""

    csv = "csv"
    tsv = "tsv"
    jsonl = "jsonl"
    parquet = "parquet"


@dataclass(frozen=True, kw_only=True)
class PredictedRows:
    """The model, and the rows that it answers."""

    group: ClassVar = INPUT
    model: ModelFolder
    data: Annotated[
        str,
        typer.Argument(metavar="[FILE]", help="txt, csv, tsv, jsonl, xlsx, a folder; - is stdin."),
    ] = "-"
    text_column: TextColumn = None
    delimiter: Delimiter = None
    format: Format = None
    on_bad: OnBadLabelledRow = OnBad.stop
    max_row_mb: MaxRow = 32
    allow: Allow = None


@dataclass(frozen=True, kw_only=True)
class Told:
    """How much is told of each row."""

    group: ClassVar = MODEL
    proba: Annotated[
        str | None,
        typer.Option(
            metavar="all|topN",
            help="Also the probability of every label, or the N most probable, as top3.",
            autocompletion=among("all", "top3"),
        ),
    ] = None
    threshold: Annotated[
        float | None,
        typer.Option(
            help="How probable an answer must be, from 0 to 1; a row without one has no label.",
        ),
    ] = None
    abstain: Annotated[
        str | None,
        typer.Option(
            metavar="[WORD]",
            help="With --threshold: what a row without a label gets; nothing unless WORD is given.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class AnswerFiles:
    """What is written, and where."""

    group: ClassVar = OUTPUT
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="File, .csv .tsv .jsonl or .parquet; - is standard output."
        ),
    ] = None
    output: Annotated[
        AnswerFormat | None,
        typer.Option("--to", help="By default as -o ends.", show_default=False),
    ] = None
    keep: Keep = None
    text: Annotated[bool, typer.Option("--text", help="The texts too.")] = False
    label_separator: LabelSeparator = "|"
    spreadsheet_safe: Annotated[
        bool,
        typer.Option(
            "--spreadsheet-safe",
            help="Put ' before a label that begins with = + - @, a tab or a carriage return.",
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class Lines:
    """How lines are written, where no file is asked for."""

    group: ClassVar = OUTPUT
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            "-k",
            min=1,
            help="Labels a line, the most probable first; by default 1.",
        ),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON lines.")] = False


@dataclass(frozen=True, kw_only=True)
class Processes:
    """How the work is shared out."""

    group: ClassVar = RUNNING
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes; for linear models, a network uses all cores."),
    ] = None
    on: On = None
    overwrite: Overwrite = False
    resume: Resume = False


@verb(app, bare=("--abstain",), streams=("out",))
def predict(
    rows: PredictedRows, told: Told, written: AnswerFiles, lines: Lines, running: Processes
) -> None:
    """Label texts: one line out for each row in, as LABEL<tab>PROBABILITY, repeated for --top.

    A multi-label model gives the labels above their thresholds, a regression its numbers. With -o
    or --to a table comes out, a row for each row: its number from 0, the columns of --keep, then
    the answer.

    Examples:
        textkit predict runs/first texts.csv > labels.tsv
        echo "a good film" | textkit predict runs/first --top 3
        textkit predict runs/first new.csv -o out.parquet --keep id --proba all
        textkit predict runs/first new.csv -o out.csv --threshold .7 --abstain ?
        textkit predict runs/first new.jsonl --keep id --to jsonl > out.jsonl
    """
    if written.out is None and written.output is None:
        _refuse_of_tables(told, written, running)
        _write_lines(rows, lines, spreadsheet_safe=written.spreadsheet_safe)
    else:
        _write_table(rows, told, written, lines, running)


def _write_table(
    rows: PredictedRows, told: Told, written: AnswerFiles, lines: Lines, running: Processes
) -> None:
    """Predict into a file, or as a table to standard output."""
    from textkit.jobs import PredictCorpusOptions, predict_corpus, stream_predictions

    if lines.top is not None or lines.as_json:
        given, instead = ("--json", "--to jsonl") if lines.as_json else ("--top", "--proba top3")
        raise UsageError(f"{given} is for lines; with -o and --to it is {instead}")
    streams = written.out is None or str(written.out) == "-"
    options = gather(
        PredictCorpusOptions,
        told,
        written,
        running,
        **{name: value for name, value in vars(rows).items() if name != "data"},
        inputs=[rows.data],
        out=None if streams else written.out,
        keep=split_names(written.keep),
    )
    if streams:
        if options.overwrite or options.resume:
            raise UsageError("--overwrite and --resume are for a file: name one with -o")
        typed = {"n_rows": 1} if rows.data == "-" and sys.stdin.isatty() else {}
        stream_predictions(options, sys.stdout.buffer, **typed, watch=Watch(note=note))
        return
    with Display() as watch:
        made = predict_corpus(options, watch=watch)
    counts = made.whole
    without = f", {counts.n_without:,} without a label" if counts.n_without else ""
    ready = f", {made.n_ready:,} of {made.n_parts:,} parts finished before" if made.n_ready else ""
    speed = made.counts.speed(made.seconds)
    note(f"{made.folder}: {counts.n_rows:,} rows{without}{ready}, {made.seconds:.1f} s, {speed}")


def _refuse_of_tables(told: Told, written: AnswerFiles, running: Processes) -> None:
    """Refuse what lines have no place for."""
    given = {
        "--keep": bool(written.keep),
        "--text": written.text,
        "--proba": told.proba is not None,
        "--threshold": told.threshold is not None,
        "--abstain": told.abstain is not None,
        "--workers": running.workers is not None,
        "--on": running.on is not None,
        "--resume": running.resume,
        "--overwrite": running.overwrite,
    }
    name = next((name for name, is_given in given.items() if is_given), None)
    if name is not None:
        raise UsageError(f"{name} is for a table: name a file with -o, or say --to csv")


def _write_lines(rows: PredictedRows, lines: Lines, *, spreadsheet_safe: bool) -> None:
    """Write a line for each row to standard output."""
    from textkit.jobs import PredictOptions, predict_file

    if lines.as_json and spreadsheet_safe:
        raise UsageError("--spreadsheet-safe is for lines of text; leave it out, or --json")
    typed = rows.data == "-" and sys.stdin.isatty()  # a person types, and waits
    options = gather(PredictOptions, rows, top=lines.top, **({"chunk_rows": 1} if typed else {}))
    for n, prediction in enumerate(predict_file(options, watch=Watch(note=note)), start=1):
        write_line(
            to_json(prediction.to_dict())
            if lines.as_json
            else prediction.to_text(spreadsheet_safe=spreadsheet_safe)
        )
        if n % options.chunk_rows == 0:
            sys.stdout.buffer.flush()
    sys.stdout.buffer.flush()
