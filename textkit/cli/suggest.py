"""`textkit suggest`: a model and a file of texts; which rows to label next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textkit.cli.command import INPUT, OUTPUT, new_verb, verb
from textkit.cli.options import (
    Allow,
    AsJsonLine,
    Delimiter,
    Format,
    ModelFolder,
    Overwrite,
    TextColumn,
)
from textkit.cli.output import Display, note, to_json, write_line

app = new_verb()


@verb(app)
def suggest(
    model: ModelFolder,
    data: Annotated[
        Path, typer.Argument(metavar="FILE", help="Texts without labels; - for standard input.")
    ],
    n: Annotated[
        int, typer.Option("-n", min=1, help="Rows to suggest.", rich_help_panel=INPUT)
    ] = 100,
    text_column: TextColumn = None,
    delimiter: Delimiter = None,
    format: Format = None,
    allow: Allow = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="A .csv file to write labels into.", rich_help_panel=OUTPUT
        ),
    ] = None,
    as_json: AsJsonLine = False,
    overwrite: Overwrite = False,
) -> None:
    """Suggest which rows to label next: those that the model doubts most, no two of them alike.

    Examples:
        textkit suggest run texts.csv -n 200 -o to_label.csv
        textkit suggest run texts.jsonl --json
    """
    from textkit.jobs import SuggestOptions, suggest_rows

    options = SuggestOptions(
        model=model,
        data=data,
        n=n,
        text_column=text_column,
        delimiter=delimiter,
        format=format,
        out=out,
        overwrite=overwrite,
        allow=allow,
    )
    with Display() as watch:
        chosen = suggest_rows(options, watch=watch)
    if out is not None:
        note(f"{out}: {len(chosen):,} rows; write the labels into its column, then train --more")
    for found in chosen:
        if as_json:
            write_line(to_json(found.to_dict()))
        elif out is None:
            text = " ".join(found.text.split())
            write_line(f"{found.row}\t{found.doubt:.3f}\t{found.to_dict()['predicted']}\t{text}")
