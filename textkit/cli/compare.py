"""`textkit compare`: models side by side on one file, trained for it or there already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, RUNNING, TRAINING, gather, new_verb, verb
from textkit.cli.errors import StopSignal
from textkit.cli.options import (
    Allow,
    AsJsonLine,
    Delimiter,
    LabelColumn,
    LabelSeparator,
    Overrides,
    Overwrite,
    TextColumn,
    complete_encoder,
    complete_recipe,
    split_names,
)
from textkit.cli.output import Display, note, show_line, to_json, write_line
from textkit.errors import UsageError

app = new_verb()


def complete_encoders(incomplete: str) -> list[str]:
    """Give the encoders that begin as what stands behind the last comma.

    >>> complete_encoders("bag,ls")
    ['bag,lstm']
    """
    head, comma, last = incomplete.rpartition(",")
    return [f"{head}{comma}{name}" for name in complete_encoder(last)]


@dataclass(frozen=True, kw_only=True)
class ComparedRows:
    """The rows that the models are measured on."""

    group: ClassVar = INPUT
    data: Annotated[
        Path,
        typer.Argument(metavar="TEST", help="csv, tsv, jsonl, xlsx, or txt with __label__NAME."),
    ]
    text_column: TextColumn = None
    label_column: LabelColumn = None
    label_separator: LabelSeparator = "|"
    delimiter: Delimiter = None


@dataclass(frozen=True, kw_only=True)
class Contenders:
    """What is compared."""

    group: ClassVar = MODEL
    models: Annotated[
        list[Path] | None,
        typer.Option("--model", "-m", help="Run folder, model folder or hf:NAME; may be repeated."),
    ] = None
    recipes: Annotated[
        list[Path] | None,
        typer.Option(
            "--recipe",
            "-r",
            help="Recipe to train; may be repeated.",
            autocompletion=complete_recipe,
        ),
    ] = None
    allow: Allow = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where it is written."""

    group: ClassVar = OUTPUT
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write: runs, page, picture, numbers."),
    ] = None
    overwrite: Overwrite = False
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the comparison in -o.", rich_help_panel=RUNNING),
    ] = False


@verb(app)
def compare(
    rows: ComparedRows,
    contenders: Contenders,
    place: Place,
    encoders: Annotated[
        list[str] | None,
        typer.Option(
            "--encoders",
            "-e",
            metavar="NAMES",
            help="Encoders to train, as bag,cnn,lstm; may be repeated.",
            autocompletion=complete_encoders,
            rich_help_panel=MODEL,
        ),
    ] = None,
    overrides: Overrides = None,
    train: Annotated[
        Path | None,
        typer.Option(help="What encoders and recipes learn from.", rich_help_panel=TRAINING),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="N,N",
            help="Train on so many rows, too, for a curve of the data's size.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    texts: Annotated[
        int,
        typer.Option(min=0, help="Texts with different labels to keep.", rich_help_panel=OUTPUT),
    ] = 50,
    as_json: AsJsonLine = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write the page here.", rich_help_panel=OUTPUT)
    ] = None,
) -> None:
    """Compare models of one task: scores with intervals, time, size, texts they differ on.

    Examples:
        textkit compare test.csv -m runs/first -m runs/second --html compare.html
        textkit compare test.csv --train train.csv -e bag,cnn,lstm -o compared
        textkit compare test.csv --train train.csv -e cnn,gru --sizes 100,1000 -o out
    """
    from textkit.jobs import CompareOptions, compare_models

    options = gather(
        CompareOptions,
        rows,
        contenders,
        place,
        encoders=split_names(encoders),
        overrides=overrides,
        train=train,
        sizes=None if sizes is None else _numbers(sizes),
        n_changed=texts,
    )
    with StopSignal() as stop, Display() as watch:
        report = compare_models(options, watch=replace(watch, should_stop=stop.is_set))
    if report is None:
        raise stop.error(
            f"stopped by a signal; {place.out} holds what is trained; to go on: the same command"
            " with --resume" + (", without --overwrite" if place.overwrite else "")
        )
    if as_json:
        write_line(to_json(report.to_dict()))
    else:
        show_line(report.to_text())
    if html is not None:
        report.write_html(html)
        note(f"page: {html}")
    if place.out is not None:
        note(f"page, picture and numbers: {place.out}")


def _numbers(text: str) -> list[int]:
    """Read numbers of rows that stand between commas.

    >>> _numbers("100,1000")
    [100, 1000]
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--sizes is '{text}', expected numbers of rows such as 100,1000")
    return [int(part) for part in parts]
