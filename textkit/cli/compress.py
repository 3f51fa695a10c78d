"""`textkit compress`: a model in, a smaller one that predicts nearly the same out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import CHECKS, INPUT, MODEL, OUTPUT, gather, new_verb, verb
from textkit.cli.options import (
    Allow,
    AsJsonLine,
    Delimiter,
    LabelColumn,
    LabelSeparator,
    ModelFolder,
    Overwrite,
    TextColumn,
    among,
)
from textkit.cli.output import Display, note, to_json, write_line

app = new_verb()


@dataclass(frozen=True, kw_only=True)
class CompressedModel:
    """The model, and the files that say what it needs and what is lost."""

    group: ClassVar = INPUT
    model: ModelFolder
    check: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Texts and labels to measure the loss on. It chooses, so no test file.",
            rich_help_panel=CHECKS,
        ),
    ] = None
    train: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Training file: says which rows are used, and trains once more what is left.",
        ),
    ] = None
    text_column: TextColumn = None
    label_column: LabelColumn = None
    label_separator: LabelSeparator = "|"
    delimiter: Delimiter = None
    allow: Allow = None


@dataclass(frozen=True, kw_only=True)
class CompressPlan:
    """How far: a limit, for which what fits is searched, or a plan."""

    group: ClassVar = MODEL
    max_loss: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Most that the score may lose, as .005.")
    ] = None
    numbers: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="Store tables as int8, float16 or float32.",
            autocompletion=among("int8", "float16", "float32"),
        ),
    ] = "int8"
    products: Annotated[
        bool, typer.Option("--products", help="Multiply in 8 bits too, in a graph.")
    ] = False
    rows: Annotated[
        int | None, typer.Option("--keep-rows", metavar="N", help="Keep the N most needed rows.")
    ] = None
    members: Annotated[
        int | None, typer.Option(metavar="N", help="Keep N members of an ensemble.")
    ] = None
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train once more what is left, on --train.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class CompressPlace:
    """Where it is written."""

    group: ClassVar = OUTPUT
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to write, or one file that ends in .zip.")
    ]
    overwrite: Overwrite = False


@verb(app)
def compress(
    model: CompressedModel,
    plan: CompressPlan,
    place: CompressPlace,
    size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Most bytes, as 2MB.", rich_help_panel=MODEL),
    ] = None,
    as_json: AsJsonLine = False,
) -> None:
    """Write a model in fewer bytes, and say what that changes.

    With --size or --max-loss what fits is searched from cheap to dear: float16, int8, unused rows,
    fewer members, fewer rows, these trained once more. Where nothing fits, nothing is written.

    Examples:
        textkit compress run/model -o small
        textkit compress run -o small.zip --size 2MB --train t.csv --check v.csv
        textkit compress run/model -o small --max-loss .005 --check valid.csv
    """
    from textkit.jobs.compress import CompressOptions, compress_model, parse_size

    options = gather(CompressOptions, model, plan, place)
    if size is not None:
        options = replace(options, size=parse_size(size))
    with Display() as watch:
        report = compress_model(options, watch=watch)
    if as_json:
        write_line(to_json(report.to_dict()))
    for line in report.to_text().splitlines():
        note(line)
