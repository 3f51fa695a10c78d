"""`textkit predict`: texts in, one line of labels and probabilities out for each."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import INPUT, OUTPUT, gather, new_verb, verb
from textkit.cli.options import Allow, Delimiter, Format, ModelFolder, TextColumn
from textkit.cli.output import note, to_json, write_line
from textkit.errors import UsageError
from textkit.watch import Watch

app = new_verb()


@dataclass(frozen=True, kw_only=True)
class PredictedRows:
    """The model, the texts, and how much is told of each."""

    group: ClassVar = INPUT
    model: ModelFolder
    data: Annotated[
        str, typer.Argument(metavar="[FILE]", help="txt, csv, tsv, jsonl; - is standard input.")
    ] = "-"
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            "-k",
            min=1,
            help="Labels a line, the most probable first; by default 1.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    text_column: TextColumn = None
    delimiter: Delimiter = None
    format: Format = None
    allow: Allow = None


@verb(app)
def predict(
    rows: PredictedRows,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write JSON lines.", rich_help_panel=OUTPUT)
    ] = False,
    spreadsheet_safe: Annotated[
        bool,
        typer.Option(
            "--spreadsheet-safe",
            help="Put ' before a label that begins with = + - @, a tab or a carriage return.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
) -> None:
    """Label texts: one line out for each row in, as LABEL<tab>PROBABILITY, repeated for --top.

    A multi-label model gives the labels above their thresholds, a regression its numbers.

    Examples:
        textkit predict run/model texts.csv > labels.tsv
        echo "a good film" | textkit predict run/model --top 3
    """
    from textkit.jobs import PredictOptions, predict_file

    if as_json and spreadsheet_safe:
        raise UsageError("--spreadsheet-safe is for lines of text; leave it out, or --json")
    options = gather(PredictOptions, rows)
    if rows.data == "-" and sys.stdin.isatty():
        options = gather(PredictOptions, rows, chunk_rows=1)  # a person types, and waits
    for n, prediction in enumerate(predict_file(options, watch=Watch(note=note)), start=1):
        write_line(
            to_json(prediction.to_dict())
            if as_json
            else prediction.to_text(spreadsheet_safe=spreadsheet_safe)
        )
        if n % options.chunk_rows == 0:
            sys.stdout.buffer.flush()
    sys.stdout.buffer.flush()
